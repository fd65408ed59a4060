# SPDX-License-Identifier: MIT
"""The test runner: cases from CTest, from the source checks and from test/emulator, one count."""
import concurrent.futures
import dataclasses
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable

from gatehouse import (build, checks, fuzz, models, paths, proofs, report, sources,
                       verification)

HOST_TEST_SECONDS = 300
FUZZ_SECONDS, FUZZ_LONG_SECONDS = 3, 60


@dataclasses.dataclass
class Case:
    """One test: function() raises to fail; an AssertionError or Failure needs no traceback."""
    name: str
    function: Callable
    group: str


@dataclasses.dataclass
class Result:
    """How one case ended."""
    case: Case
    problem: str
    seconds: float


def _check_lockstep(name, counts):
    numbers = re.search(r"(\d+) operations, .* (\d+) of \d+ refusals", counts)
    problem = verification.lockstep_problem(name, *map(int, numbers.groups()))
    if problem and "GATEHOUSE_STEPS" not in os.environ:
        raise AssertionError(problem)


def _ctest_case(test):
    def run():
        # By name: where the program was not built yet, the listing did not find its path.
        command = ["ctest", "-R", f"^{re.escape(test['name'])}$", "-V",
                   "--no-tests=error", "--timeout", str(HOST_TEST_SECONDS)]
        result = subprocess.run(command, cwd=paths.BUILD, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace", check=False)
        if result.returncode:
            tail = "\n".join(result.stdout.splitlines()[-40:])
            raise AssertionError(f"status {result.returncode}\n{tail}")
        for counts in re.findall(r"^\d+: (lockstep .*)$", result.stdout, re.MULTILINE):
            print(f"     {counts}", flush=True)
            _check_lockstep(test["name"].removeprefix("lockstep_"), counts)
    return Case("host/" + test["name"], run, "host")


def host_cases():
    """One case for each test that CTest knows."""
    result = subprocess.run(["ctest", "--show-only=json-v1"], cwd=paths.BUILD, check=False,
                            capture_output=True, text=True)
    if result.returncode:
        return []
    return [_ctest_case(test) for test in json.loads(result.stdout)["tests"]]


def _check_case(name, function):
    def run():
        problems = function()
        if problems:
            raise AssertionError("\n".join(problems[:40]))
    return Case("check/" + name, run, "check")


def check_cases():
    """One case for each source check."""
    return [_check_case(name, function)
            for name, function in [*checks.CHECKS, ("verification", verification.problems)]]


def _model_case(name):
    def run():
        problem = verification.model_problem(name, models.check(name))
        if problem:
            raise AssertionError(problem)
    return Case("model/" + name, run, "model")


def model_cases():
    """One case for each Spin model: it holds, and its broken twin does not."""
    return [_model_case(name) for name in models.names()]


def _proof_case(proof):
    def run():
        problems = [problem for count in proofs.prove(proof) for problem in count.problems]
        if problems:
            raise AssertionError("\n".join(problems))
    return Case("proof/" + proof.file, run, "proof")


def proof_cases(everything):
    """One case for each proved file: no goal unproved, none fewer than the list says."""
    return [_proof_case(proof) for proof in proofs.PROOFS if proof.quick or everything]


def emulator_cases(long=False):
    """The functions test_* of test/emulator/*.py, and long_test_* where they are wanted."""
    cases = []
    folder = paths.ROOT / "test" / "emulator"
    sys.path.insert(0, str(folder))
    for path in sorted(folder.glob("case_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        area = path.stem.removeprefix("case_")
        for name, function in vars(module).items():
            wanted = name.startswith("test_") or (long and name.startswith("long_test_"))
            if wanted and callable(function):
                label = name.replace("test_", "", 1).replace("_", "-")
                cases.append(Case(f"emulator/{area}/{label}", function, "emulator"))
    return cases


def fuzz_cases(long=False):
    """One case for each fuzzer: seconds from its corpus on, a minute among the long cases."""
    seconds = FUZZ_LONG_SECONDS if long else FUZZ_SECONDS
    return [Case("fuzz/" + fuzzer.name, functools.partial(fuzz.run, fuzzer, seconds), "fuzz")
            for fuzzer in fuzz.FUZZERS]


def build_everything():
    """Builds all targets, going on after errors so that what can be tested is."""
    with paths.locked("build"):
        build.configure()
        command = ["ninja", "-C", str(paths.BUILD), "-k", "0", f"-j{os.cpu_count() or 2}"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        lines = [line for line in result.stdout.splitlines() if not line.startswith("[")]
        raise AssertionError("\n".join(lines[-60:]))


def run_case(case):
    """Runs one case and says how it ended."""
    start = time.monotonic()
    problem = ""
    try:
        case.function()
    except (AssertionError, report.Failure) as failure:
        problem = str(failure) or traceback.format_exc(limit=-2)
    except Exception:  # pylint: disable=broad-except
        problem = traceback.format_exc()
    result = Result(case, problem, time.monotonic() - start)
    print(f"{'FAIL' if problem else 'ok':4} {case.name} ({result.seconds:.1f} s)", flush=True)
    if problem:
        print("     " + problem.strip().replace("\n", "\n     "), flush=True)
    return result


def run_cases(cases):
    """Runs host tests and emulator cases on two workers; checks, parallel in themselves, alone."""
    alone = [case for case in cases if case.group in ("build", "check")]
    shared = [case for case in cases if case.group not in ("build", "check")]
    results = [run_case(case) for case in alone]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results += pool.map(run_case, shared)
    return results


def print_sizes():
    """Lines of code by layer, ring 0 against its limit."""
    counts = sources.count_by_layer()
    ring_0 = 0
    print("\nlines of code     .c      .h    .asm     .py")
    for name in sources.LAYERS:
        row = counts.get(name)
        if not row:
            continue
        ring_0 += row["c"] if name in sources.RING_0 else 0
        print(f"  {name:12}" + "".join(f"{row[kind]:8}" for kind in sources.KINDS))
    print(f"  ring 0 in C: {ring_0}, limit {sources.RING_0_LIMIT}\n")
