# SPDX-License-Identifier: MIT
"""Style and layer checks of the source tree. Each returns a list of problems; none means good."""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess

from gatehouse import paths, sources

# What a file of a layer may include, by longest prefix. The ABI is open to every layer.
ALLOWED = {
    "kernel/lib": ["kernel/lib"],
    "kernel/abi": ["kernel/lib", "kernel/abi"],
    "arch/x86": ["kernel/lib", "kernel/abi", "arch/x86"],
    "drivers": ["kernel/lib", "kernel/abi", "arch/x86", "drivers"],
    "kernel": ["kernel", "arch/x86", "drivers"],
    "vmm/runtime": ["kernel/lib", "kernel/abi", "vmm/runtime"],
    "vmm/devices": ["kernel/lib", "vmm/devices"],
    "vmm/emulate": ["kernel/lib", "kernel/abi", "vmm/emulate"],
    "vmm/config": ["kernel/lib", "kernel/abi", "vmm/config"],
    "vmm/load": ["kernel/lib", "kernel/abi", "vmm/load", "vmm/runtime", "vmm/devices"],
    "vmm/monitor": ["kernel/lib", "kernel/abi", "vmm"],
    "vmm/console": ["kernel/lib", "kernel/abi", "vmm/console", "vmm/config", "vmm/runtime"],
    "vmm": ["kernel/lib", "kernel/abi", "vmm"],
    "guests": ["guests", "kernel/lib"],
}
FORBIDDEN = {"vmm/devices": ["kernel/abi/vcpu.h"]}
LINE_LIMIT = 500
ASSEMBLY_LIMIT = 80

_INCLUDE = re.compile(r'^\s*[#%]\s*include\s+"([^"]+)"', re.MULTILINE)
_CONDITIONAL = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b", re.MULTILINE)
_FORMATTING = re.compile(r"\b(?:format_text|log_line|panic)\(([^;]*);")
_CONVERSION = re.compile(r"%[-+#.*0-9]*l*[a-zA-Z%]")
_KERNEL_CONVERSION = re.compile(r"%\d*l*[ux]|%s")
_PRODUCT = ("arch/", "kernel/", "drivers/", "vmm/")
_FREESTANDING = ["-std=gnu17", "-ffreestanding", "-mgeneral-regs-only", "-mno-red-zone", "-Wall",
                 "-Wextra", "-Werror", "-fsyntax-only", "-I", str(paths.ROOT), "-x", "c"]


def product_files(*suffixes):
    """Source files that end up in the hypervisor."""
    return [name for name in sources.tracked(*suffixes) if name.startswith(_PRODUCT)]


def _each(function, names):
    """Runs function(name) -> problem or None for each name, on all processors."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return [problem for problem in pool.map(function, names) if problem]


def _tool(command):
    """What a tool printed if it failed, else None."""
    result = subprocess.run(command, cwd=paths.ROOT, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    return result.stdout.strip() or "failed silently" if result.returncode else None


def _include_problem(name, target):
    layer = sources.layer(name)
    if layer not in ALLOWED or "/" not in target:
        return None
    fine = any(target.startswith(prefix + "/") for prefix in ALLOWED[layer])
    if fine and target not in FORBIDDEN.get(layer, []):
        return None
    return f"{name}: {layer} must not include {target}"


def includes():
    """Include directions as ARCHITECTURE states them; each .c includes its own header first."""
    problems = []
    for name in sources.tracked(".c", ".h", ".asm", ".inc"):
        targets = _INCLUDE.findall(sources.read(name))
        problems += filter(None, (_include_problem(name, target) for target in targets))
        own = name[:-2] + ".h"
        if name.endswith(".c") and (paths.ROOT / own).exists() and targets[:1] != [own]:
            problems.append(f"{name}: includes {targets[:1]} before its own header {own}")
    return problems


def headers():
    """Every product header compiles alone."""
    def problem(name):
        return _tool(["gcc", *_FREESTANDING, "-include", name, "/dev/null"])
    return _each(problem, product_files(".h"))


def conditionals():
    """No conditional compilation in .c files."""
    return [f"{name}: conditional compilation ({match[0].strip()})"
            for name in sources.tracked(".c")
            for match in _CONDITIONAL.finditer(sources.without_comments(sources.read(name)))]


def licences():
    """Each source file says its licence within its first three lines."""
    wanted = (".c", ".h", ".asm", ".inc", ".py", ".ld", ".cmake", "CMakeLists.txt", ".ci/run",
              "scripts/run", "scripts/test", "scripts/bench", "scripts/check", "scripts/model",
              "scripts/prove")
    return [f"{name}: no SPDX-License-Identifier line" for name in sources.tracked(*wanted)
            if not any("SPDX-License-Identifier: MIT" in line
                       for line in sources.read(name).splitlines()[:3])]


def sizes():
    """Files stay readable: length of sources and of assembly files."""
    problems = []
    for name in sources.tracked(".c", ".h", ".asm", ".py"):
        assembly = name.endswith(".asm") and name.startswith(_PRODUCT)
        lines = sources.lines_of_code(name) if assembly else len(sources.read(name).splitlines())
        limit = ASSEMBLY_LIMIT if assembly else LINE_LIMIT
        if lines > limit:
            problems.append(f"{name}: {lines} lines, the limit is {limit}")
    return problems


def small_kernel():
    """Ring 0 stays small."""
    counts = sources.count_by_layer()
    total = sum(counts.get(layer, {"c": 0})["c"] for layer in sources.RING_0)
    if total <= sources.RING_0_LIMIT:
        return []
    return [f"ring 0 has {total} lines of C, the limit is {sources.RING_0_LIMIT}"]


def kernel_formats():
    """Ring 0 asks of its format_text only what it understands (kernel/lib/format.h)."""
    problems = []
    for name in sources.tracked(".c"):
        if sources.layer(name) in sources.RING_0 or name.startswith("test/emulator/kernel_"):
            for call in _FORMATTING.findall(sources.without_comments(sources.read(name))):
                problems += [f"{name}: {found}" for found in _CONVERSION.findall(call)
                             if not _KERNEL_CONVERSION.fullmatch(found)]
    return problems


def formatting():
    """clang-format agrees with every C file."""
    names = sources.tracked(".c", ".h")
    return _each(lambda name: _tool(["clang-format", "--dry-run", "-Werror", name]), names)


def _one_command_per_file():
    """A compilation database that names each file once: many are compiled for several programs, and
    clang-tidy would look at each compilation. Returns its folder."""
    folder = paths.BUILD / "tidy"
    folder.mkdir(exist_ok=True)
    commands = json.loads((paths.BUILD / "compile_commands.json").read_text(encoding="utf-8"))
    first = {entry["file"]: entry for entry in reversed(commands)}
    (folder / "compile_commands.json").write_text(json.dumps(list(first.values())),
                                                  encoding="utf-8")
    return folder


def _with_includes(name, seen):
    """Adds to `seen` the file and what it includes of the tree, transitively."""
    if name in seen or not (paths.ROOT / name).is_file():
        return seen
    seen.add(name)
    for target in _INCLUDE.findall(sources.read(name)):
        _with_includes(target, seen)
    return seen


def _fingerprint(name):
    """Changes whenever what clang-tidy would see of a file changes."""
    names = [".clang-tidy", "CMakeLists.txt", *sorted(_with_includes(name, set()))]
    text = "\0".join(sources.read(entry) for entry in names)
    return hashlib.sha256(text.encode()).hexdigest()


def clang_tidy():
    """clang-tidy's bug finders on the product's C files. A file that was found clean is looked at
    again once it, or something it includes, changes."""
    folder = _one_command_per_file()

    def problem(name):
        clean = folder / _fingerprint(name)
        if clean.exists():
            return None
        text = _tool(["clang-tidy", "--quiet", "-p", str(folder), name])
        if text is None:
            clean.touch()
            return None
        lines = [line for line in text.splitlines() if " error: " in line]
        return "\n".join(lines[:20]) or text
    return _each(problem, product_files(".c"))


def cppcheck():
    """cppcheck on the product's C files."""
    problem = _tool(["cppcheck", "--quiet", "--error-exitcode=1", "--std=c11", "--language=c",
                     "--enable=warning,portability", "--inline-suppr", "-j", "2", "-I", ".",
                     "--suppress=missingInclude", *product_files(".c")])
    return [problem] if problem else []


def _symbols(path):
    """(defined, undefined) global symbols of an object file."""
    result = subprocess.run(["nm", "-g", str(path)], capture_output=True, text=True, check=True)
    defined, undefined = set(), set()
    for row in map(str.split, result.stdout.splitlines()):
        (undefined if row[-2] == "U" else defined).add(row[-1])
    return defined, undefined


# What lower layers call by design: assembly and the boot path enter the kernel here.
UPCALLS = {"arch/x86": {"kernel_main", "processor_main", "kernel_cannot_start"}, "drivers": set(),
           "kernel/lib": set()}


def link_layers():
    """No object of a lower layer needs a symbol that a higher layer defines."""
    folder = paths.BUILD / "kernel" / "CMakeFiles" / "gatehouse.elf.dir"
    objects = {}
    for path in sorted(folder.rglob("*.o")):
        name = str(path.relative_to(folder)).replace("__/", "", 1)
        name = name if name.startswith(("arch/", "drivers/")) else "kernel/" + name
        objects[name] = _symbols(path)
    owner = {symbol: name for name, (defined, _) in objects.items() for symbol in defined}
    problems = []
    for name, (_, undefined) in objects.items():
        layer = sources.layer(name)
        for symbol in sorted(undefined - UPCALLS.get(layer, set())):
            target = owner.get(symbol, "")
            if target and not any(target.startswith(p + "/") for p in ALLOWED[layer]):
                problems.append(f"{name}: needs {symbol} of {target}")
    return problems


# Name and function; clang-tidy and link-layers need a configured and built tree.
CHECKS = [
    ("includes", includes),
    ("headers", headers),
    ("conditionals", conditionals),
    ("licences", licences),
    ("sizes", sizes),
    ("ring-0-size", small_kernel),
    ("ring-0-formats", kernel_formats),
    ("format", formatting),
    ("clang-tidy", clang_tidy),
    ("cppcheck", cppcheck),
    ("link-layers", link_layers),
]
