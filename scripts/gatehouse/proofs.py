# SPDX-License-Identifier: MIT
"""Proves ACSL contracts of the product's sources with Frama-C/WP; what is proved stands in
test/proof/proofs.toml, with the number of goals of each function and with mutations, small bugs that
must make the proof of a function fail."""
import concurrent.futures
import dataclasses
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib

from gatehouse import paths, report

PACKAGES = ["frama-c-base", "why3", "cvc4", "z3", "gcc"]
SECONDS = 3600  # for one file
WORKERS = 2
# A prover gives up after so many steps of its own, so that the result does not depend on the
# machine's load; the seconds are there only so that a prover which counts badly ends too.
STEPS = 1000000
GOAL_SECONDS = 60
PRELUDE = "test/proof/frama_c.h"  # what Frama-C lacks of the compiler
BITS = "test/proof/bits.h"        # for contracts about bits
LIST = "test/proof/proofs.toml"
LEMMA = "lemma_"  # so begins the name of a lemma where it stands in the place of a function


@dataclasses.dataclass
class Mutation:
    """A bug to plant: in `file`, `old` becomes `new`, and `function` can no longer be proved."""
    function: str
    file: str
    old: str
    new: str


@dataclasses.dataclass
class Proof:
    """A file, its proved functions with the goals that each had when it was entered, and options
    for Frama-C besides the common ones. `bits`: the contracts are about bits, proved path by path;
    so are the functions of `paths`, and those of `whole` are not."""
    file: str
    goals: dict
    quick: bool
    bits: bool
    mutations: list
    options: list
    paths: list
    whole: list


@dataclasses.dataclass
class Count:
    """What came out for one function."""
    function: str
    goals: int
    proved: int
    problems: list


def _load():
    with open(paths.ROOT / LIST, "rb") as handle:
        rows = tomllib.load(handle)["file"]
    return [Proof(row["path"], row["goals"], row.get("quick", False), row.get("bits", False),
                  [Mutation(entry["function"], entry.get("file", row["path"]), entry["old"],
                            entry["new"]) for entry in row.get("mutation", [])],
                  row.get("options", []), row.get("paths", []), row.get("whole", []))
            for row in rows]


PROOFS = _load()


def _provers(folder):
    """Has Why3 look for the provers; returns its configuration file."""
    configuration = os.path.join(folder, "why3.conf")
    result = subprocess.run(["why3", "-C", configuration, "config", "detect"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode or not os.path.exists(configuration):
        raise report.Failure(report.HOST_LACKS, "why3 found no prover\n" + result.stdout)
    return configuration


def _by_paths(proof, function):
    return function in proof.paths or (proof.bits and function not in proof.whole)


def _way(proof, function):
    """Functions that are proved in one run have this in common."""
    return function.startswith(LEMMA), _by_paths(proof, function)


def _selection(functions):
    if functions[0].startswith(LEMMA):
        return ["-wp-prop", ",".join(name.removeprefix(LEMMA) for name in functions)]
    return ["-wp-fct", ",".join(functions)]


def _command(proof, functions, folder, overlay, smoke):
    cache = paths.BUILD / "proofs"
    cache.mkdir(parents=True, exist_ok=True)
    changed = os.path.join(overlay, proof.file) if overlay else proof.file
    include = f"-iquote {overlay} -I." if overlay else "-I."
    return ["frama-c", "-machdep", "gcc_x86_64", "-c11",
            f"-cpp-extra-args={include} -include {PRELUDE}"
            + (f" -include {BITS}" if proof.bits else ""),
            changed if os.path.exists(paths.ROOT / changed) else proof.file, "-wp", "-wp-rte",
            *_selection(functions), "-wp-prover", "cvc4,z3", "-wp-steps", str(STEPS),
            "-wp-timeout", str(GOAL_SECONDS), "-wp-par", "1", "-wp-session", folder,
            "-wp-cache", "update", "-wp-cache-dir", str(cache),
            "-wp-report-json", os.path.join(folder, "report.json"),
            *(["-wp-smoke-tests", "-wp-smoke-timeout", "2"] if smoke else []),
            *(["-wp-split"] if _by_paths(proof, functions[0]) else []), *proof.options]


def _rows(answer):
    """What Frama-C reports of each function, and of each lemma by its name."""
    lemmas = {name: {"wp:section": row} for group in answer.get("wp:axiomatics", {}).values()
              for name, row in group.items() if name.startswith(LEMMA)}
    return answer.get("wp:functions", {}) | lemmas


def _run(proof, functions, overlay=None, smoke=False):
    """Runs Frama-C on functions of one file: the report by function, and what it printed."""
    folder = tempfile.mkdtemp(prefix="gatehouse-prove-")
    try:
        result = subprocess.run(_command(proof, functions, folder, overlay, smoke), cwd=paths.ROOT,
                                check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
                                env=dict(os.environ, WHY3CONFIG=_provers(folder)))
        answer = os.path.join(folder, "report.json")
        if result.returncode or not os.path.exists(answer):
            raise report.Failure(1, f"Frama-C could not read {proof.file}\n{result.stdout}")
        with open(answer, encoding="utf-8") as handle:
            return _rows(json.load(handle)), result.stdout
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _trouble(proof, function, goals, output):
    """The goals of a function that no prover could prove, and smoke tests that failed."""
    prefix = f"typed_{function}_"
    names = set()
    for line in output.splitlines():
        words = line.split()
        bad = "Timeout" in line or "Unknown" in line or "Failed" in line or "Stepout" in line
        if bad and line.startswith("[wp]"):
            names |= {word for word in words if prefix in word}
    return [f"{proof.file}: {function}: {goals} goals unproved"] + [
        f"{proof.file}: {name}" for name in sorted(names)]


def _totals(functions, function):
    row = functions.get(function, {}).get("wp:section", {}).get("wp:main", {})
    return row.get("total", 0), row.get("valid", 0)


def prove(proof, smoke=False):
    """Proves one file; returns the Count of each function of the list."""
    functions, output = {}, ""
    for way in sorted({_way(proof, name) for name in proof.goals}):
        part = [name for name in proof.goals if _way(proof, name) == way]
        found, text = _run(proof, part, None, smoke)
        functions |= {name: found[name] for name in part if name in found}
        output += text
    counts = []
    for function, expected in proof.goals.items():
        goals, proved = _totals(functions, function)
        problems = []
        if proved < goals:
            problems = _trouble(proof, function, goals - proved, output)
        elif proved < expected:
            problems = [f"{proof.file}: {function}: {proved} goals proved, the list says {expected}"]
        counts.append(Count(function, goals, proved, problems))
    return counts


def mutation_problem(mutation):
    """A text where the bug can't be planted, since its place is not found or is not one, else empty."""
    times = (paths.ROOT / mutation.file).read_text(encoding="utf-8").count(mutation.old)
    return "" if times == 1 else (f"{mutation.file}: {mutation.old!r} stands in it {times} times, "
                                  f"not once; see {mutation.function} in {LIST}")


def mutate(proof, mutation):
    """Plants one bug in a copy of its file; returns the numbers of goals and of proved ones of the
    function. Where all are proved the contract does not see the bug."""
    problem = mutation_problem(mutation)
    if problem:
        raise report.Failure(1, problem)
    text = (paths.ROOT / mutation.file).read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="gatehouse-mutate-") as overlay:
        path = os.path.join(overlay, mutation.file)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as handle:
            handle.write(text.replace(mutation.old, mutation.new))
        return _totals(_run(proof, [mutation.function], overlay)[0], mutation.function)


def in_parallel(function, items):
    """Yields (item, function(item)) in order, computed by a few workers."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        yield from zip(items, pool.map(function, items))


def record(results):
    """Writes the numbers of goals of proved functions, {file: [Count]}, into the list."""
    lines = (paths.ROOT / LIST).read_text(encoding="utf-8").splitlines()
    file = None
    for number, line in enumerate(lines):
        match = re.fullmatch(r'path = "(.*)"', line)
        file = match[1] if match else file
        for count in results.get(file, []):
            if re.fullmatch(rf"{count.function} = \d+", line) and not count.problems:
                lines[number] = f"{count.function} = {count.goals}"
    (paths.ROOT / LIST).write_text("\n".join(lines) + "\n", encoding="utf-8")
