# SPDX-License-Identifier: MIT
"""The libFuzzer programs of test/fuzz: built by clang with the address and undefined sanitizers from
the product's own sources, and run from the corpus kept in test/fuzz/corpus."""
import dataclasses
import pathlib
import shutil
import subprocess
import tempfile

from gatehouse import paths

PACKAGES = ["clang", "libclang-rt-14-dev", "libzydis-dev", "libc6-dev"]
_FLAGS = ["-std=gnu17", "-g", "-O1", "-D_FORTIFY_SOURCE=0", "-fno-omit-frame-pointer",
          "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all",
          "-Wno-gnu-variable-sized-type-not-at-end"]
_LIBRARY = ["vmm/runtime/format.c"]
_EMULATE = ["vmm/emulate/*.c"]


@dataclasses.dataclass
class Fuzzer:
    """A program of test/fuzz/<name>_fuzz.c and the product sources it runs."""
    name: str
    sources: list
    libraries: tuple = ()
    limit: int = 4096  # bytes of input


FUZZERS = [
    Fuzzer("decode", [*_EMULATE, "test/host/emulate/oracle.c"], ("-lZydis",), 15),
    Fuzzer("native", [*_EMULATE, "test/host/emulate/native.c",
                      "test/host/emulate/native_flags.c"]),
    Fuzzer("emulate", [*_EMULATE, "vmm/monitor/guest_walk.c", "vmm/monitor/guest_access.c",
                       "vmm/devices/guest_memory.c", "vmm/devices/bus.c"], (), 16384),
    Fuzzer("devices", ["vmm/devices/*.c"]),
    Fuzzer("load", ["vmm/load/*.c", "vmm/devices/guest_memory.c", *_LIBRARY], (), 16384),
    Fuzzer("parse", ["arch/x86/boot/multiboot2.c", "arch/x86/boot/memory_map.c",
                     "arch/x86/boot/boot_information.c", "kernel/process/elf_parser.c",
                     "vmm/config/*.c", *_LIBRARY]),
]


def _files(fuzzer):
    files = [paths.ROOT / "test" / "fuzz" / f"{fuzzer.name}_fuzz.c"]
    for pattern in fuzzer.sources:
        found = sorted(paths.ROOT.glob(pattern))
        assert found, f"{fuzzer.name}: no source {pattern}"
        files += found
    return files


def build(fuzzer):
    """Builds the program where a source is newer than it; its path."""
    target = paths.BUILD / "fuzz" / fuzzer.name
    files = _files(fuzzer)
    headers = [path for top in ("vmm", "kernel", "arch", "test") for path in
               (paths.ROOT / top).rglob("*.h")]
    newest = max(path.stat().st_mtime for path in files + headers)
    if target.exists() and target.stat().st_mtime > newest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(["clang", *_FLAGS, f"-I{paths.ROOT}", "-o", target, *files,
                             *fuzzer.libraries], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr[-4000:]
    return target


def corpus(fuzzer):
    """The folder of inputs kept in the tree."""
    return paths.ROOT / "test" / "fuzz" / "corpus" / fuzzer.name


def run(fuzzer, seconds, keep=None):
    """Runs the fuzzer; what it finds is kept in build/fuzz and fails. Returns its statistics."""
    program = build(fuzzer)
    found = paths.BUILD / "fuzz" / f"{fuzzer.name}-found-"
    with tempfile.TemporaryDirectory(prefix="gatehouse-fuzz-") as scratch:
        folders = [scratch, *([corpus(fuzzer)] if corpus(fuzzer).is_dir() else [])]
        command = [program, f"-max_total_time={seconds}", f"-max_len={fuzzer.limit}",
                   "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0",
                   f"-artifact_prefix={found}", *folders]
        result = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, text=True,
                                capture_output=True, errors="replace", check=False)
        assert result.returncode == 0, (f"{fuzzer.name}: the input is kept as {found}*\n"
                                        + result.stderr[-5000:])
        if keep:
            _merge(fuzzer, program, scratch, keep)
    return [line for line in result.stderr.splitlines() if "number_of_executed_units" in line]


def _merge(fuzzer, program, scratch, keep):
    """The smallest set of inputs with the same coverage, at most `keep` of them."""
    target = corpus(fuzzer)
    with tempfile.TemporaryDirectory(prefix="gatehouse-fuzz-") as merged:
        sources = [scratch, *([target] if target.is_dir() else [])]
        subprocess.run([program, "-merge=1", f"-max_len={fuzzer.limit}", merged, *sources],
                       stdin=subprocess.DEVNULL, capture_output=True, check=True)
        chosen = sorted(pathlib.Path(merged).iterdir(), key=lambda path: path.stat().st_size)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for path in chosen[:keep]:
            shutil.copy(path, target)
