# SPDX-License-Identifier: MIT
"""Checks the Spin models of test/model: each must hold, its broken twins must be rejected, and the
C text that it quotes beside its steps, /* file.c: text */, must stand in the sources."""
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


def twins(name):
    """The defines that make a broken twin of the model."""
    source = paths.ROOT / "test" / "model" / f"{name}.pml"
    return sorted(set(re.findall(r"#ifn?def (BROKEN\w*)", source.read_text(encoding="ascii"))))


def check_quotes(name):
    """Fails where the model quotes C text that the named file does not hold; returns how many."""
    text = (paths.ROOT / "test" / "model" / f"{name}.pml").read_text(encoding="ascii")
    quotes = re.findall(r"/\* (\S+\.[ch]): (.*?) \*/", text, re.DOTALL)
    for file, quote in quotes:
        path = paths.ROOT / file
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        words = " ".join(" ".join(line.split("//")[0] for line in lines).split())
        if " ".join(quote.split()) not in words:
            raise report.Failure(1, f"{name}.pml quotes what {file} does not say any more: {quote}")
    if not quotes:
        raise report.Failure(1, f"{name}.pml quotes no C code")
    return len(quotes)


def check(name):
    """Fails unless the model holds, completely searched, and its broken twins do not; returns the
    numbers of states, of twins and of quotes."""
    quotes = check_quotes(name)
    errors, states, output = search(name)
    if errors or "max search depth too small" in output or "out of memory" in output:
        raise report.Failure(1, f"{name}.pml does not hold:\n{output}")
    broken = twins(name)
    for twin in broken:
        if not search(name, "-D" + twin)[0]:
            raise report.Failure(1, f"{name}.pml: the twin {twin} was accepted, so the model does "
                                 "not see it")
    if not broken:
        raise report.Failure(1, f"{name}.pml has no broken twin")
    return states, len(broken), quotes
