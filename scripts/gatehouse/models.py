# SPDX-License-Identifier: MIT
"""Checks the Spin models of test/model: each must hold, and its broken twin must be rejected."""
import re
import subprocess
import tempfile

from gatehouse import paths, report

PACKAGES = ["spin", "gcc", "libc6-dev"]
SECONDS = 300
DEPTH = 1000000  # steps of the longest path that the search follows


def names():
    """The models, by file name without its ending."""
    return sorted(path.stem for path in (paths.ROOT / "test" / "model").glob("*.pml"))


def _command(command, folder):
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    if result.returncode:
        raise report.Failure(1, f"{command[0]}: status {result.returncode}\n{result.stdout}")
    return result.stdout


def search(name, *defines):
    """Searches the whole state space; returns (errors, states, what the checker printed)."""
    source = paths.ROOT / "test" / "model" / f"{name}.pml"
    liveness = "ltl " in source.read_text(encoding="ascii")
    with tempfile.TemporaryDirectory() as folder:
        _command(["spin", *defines, "-a", str(source)], folder)
        kind = "-DNOREDUCE" if liveness else "-DSAFETY"
        _command(["gcc", "-O2", "-w", kind, "-DMEMLIM=4096", "-o", "pan", "pan.c"], folder)
        output = _command(["./pan", f"-m{DEPTH}", *(["-a", "-f"] if liveness else [])], folder)
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+)(?:e\+\d+)? states, stored", output)
    if not errors or not states:
        raise report.Failure(1, f"{name}: the checker's answer was not understood\n{output}")
    return int(errors[1]), int(states[1]), output


def check(name):
    """Fails unless the model holds, completely searched, and its broken twin does not."""
    errors, states, output = search(name)
    if errors or "max search depth too small" in output or "out of memory" in output:
        raise report.Failure(1, f"{name}.pml does not hold:\n{output}")
    broken, _, _ = search(name, "-DBROKEN")
    if not broken:
        raise report.Failure(1, f"{name}.pml: the broken twin was accepted, so the model proves "
                             "nothing")
    return states
