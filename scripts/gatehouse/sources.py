# SPDX-License-Identifier: MIT
"""The source files of the tree, the layer each belongs to, and their lines of code."""
import re
import shutil
import subprocess

from gatehouse import paths

LAYERS = ["kernel/lib", "kernel/abi", "arch/x86", "drivers", "kernel", "vmm/runtime",
          "vmm/devices", "vmm/emulate", "vmm/load", "vmm/config", "vmm/monitor", "vmm/console", "vmm", "guests",
          "test", "scripts"]
RING_0 = ["kernel/lib", "kernel/abi", "arch/x86", "drivers", "kernel"]
RING_0_LIMIT = 9265
# Twins of files that the default build links instead: in no ring 0 together with them.
VARIANTS = ["kernel/lock/mcs_lock.c", "kernel/lock/mcs_lock_cpu.c", "kernel/lock/lock_order.c",
            "kernel/lock/lock_checked.c", "kernel/core/mode_checked.c"]
KINDS = ["c", "h", "asm", "py"]

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)


def tracked(*suffixes):
    """Paths, relative to the root, of the files that git knows and that still exist."""
    names = []
    if shutil.which("git"):
        result = subprocess.run(["git", "-C", str(paths.ROOT), "ls-files", "-z"], check=False,
                                capture_output=True, text=True)
        names = [name for name in result.stdout.split("\0") if name]
    if not names:
        names = [str(path.relative_to(paths.ROOT)) for path in paths.ROOT.rglob("*")
                 if path.is_file()]
        names = [name for name in names if not name.startswith((".git/", "build"))]
    return sorted(name for name in names
                  if name.endswith(tuple(suffixes)) and (paths.ROOT / name).is_file())


def read(name):
    """The text of a file of the tree."""
    return (paths.ROOT / name).read_text(encoding="utf-8", errors="replace")


def layer(name):
    """The innermost layer a path lies in, or an empty string."""
    inside = [layer for layer in LAYERS if name.startswith(layer + "/")]
    return max(inside, key=len, default="")


def without_comments(text):
    """C text with comments blanked; strings are kept."""
    return _COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else " ", text)


def lines_of_code(name):
    """Lines that hold more than white space and comments."""
    text = read(name)
    if name.endswith((".asm", ".inc")):
        lines = [line.split(";")[0] for line in text.splitlines()]
    elif name.endswith((".c", ".h")):
        lines = without_comments(text).splitlines()
    else:
        lines = [line.split("#")[0] for line in text.splitlines()]
    return sum(1 for line in lines if line.strip())


def count_by_layer():
    """Lines of code by layer, as {layer: {"c": n, "h": n, "asm": n, "py": n}}."""
    counts = {}
    for name in tracked(".c", ".h", ".asm", ".inc", ".py"):
        kind = name.rsplit(".", 1)[1].replace("inc", "asm")
        place = "test" if name in VARIANTS else layer(name) or "other"
        row = counts.setdefault(place, dict.fromkeys(KINDS, 0))
        row[kind] += lines_of_code(name)
    return counts
