# SPDX-License-Identifier: MIT
"""Proves ACSL contracts of the product's sources with Frama-C/WP: what is proved, and how."""
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile

from gatehouse import paths, report

PACKAGES = ["frama-c-base", "why3", "cvc4", "z3", "gcc"]
SECONDS = 3600  # for one file
GOAL_SECONDS = 30
PRELUDE = "test/proof/frama_c.h"  # what Frama-C lacks of the compiler


@dataclasses.dataclass
class Proof:
    """A file, its proved functions with the goals that each had when it was entered, and options
    for Frama-C besides the common ones."""
    file: str
    goals: dict
    options: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Count:
    """What came out for one function."""
    function: str
    goals: int
    proved: int
    problems: list


PROOFS = [
    Proof("drivers/ring.c", {
        "next": 4, "ring_initialize": 4, "ring_count": 10, "ring_space": 8, "ring_push": 29,
        "ring_push_over": 29, "ring_pop": 25}),
    Proof("kernel/ipc/channel_slot.c", {
        "channel_slot_claim": 7, "channel_slot_store": 3, "channel_slot_peek": 22,
        "channel_slot_finish": 6}),
    Proof("kernel/lock/ticket_lock.c", {"lock_acquire": 16, "lock_release": 7}),
    Proof("kernel/memory/container.c", {
        "container_find": 5, "container_has_room": 4, "container_free_slot": 13, "container_alloc_locked": 30,
        "container_own_usage": 27,
        "container_free_locked": 40}),
    Proof("kernel/thread/run_queue.c", {
        "queue_push": 22, "queue_remove": 37, "deadline_queue_next": 7}),
    Proof("kernel/process/elf_parser.c", {
        "range_fits": 5, "check_segment": 21, "entry_is_code": 18}),
    Proof("kernel/memory/user_copy.c", {"user_range": 5}),
]


def _provers(folder):
    """Has Why3 look for the provers; returns its configuration file."""
    configuration = os.path.join(folder, "why3.conf")
    result = subprocess.run(["why3", "-C", configuration, "config", "detect"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode or not os.path.exists(configuration):
        raise report.Failure(report.HOST_LACKS, "why3 found no prover\n" + result.stdout)
    return configuration


def _command(proof, folder, smoke):
    cache = paths.BUILD / "proofs"
    cache.mkdir(parents=True, exist_ok=True)
    return ["nice", "-n", "10", "frama-c", "-machdep", "gcc_x86_64", "-c11",
            "-cpp-extra-args=-I. -include " + PRELUDE, proof.file, "-wp", "-wp-rte",
            "-wp-fct", ",".join(proof.goals), "-wp-prover", "cvc4,z3",
            "-wp-timeout", str(GOAL_SECONDS), "-wp-par", "1", "-wp-session", folder,
            "-wp-cache", "update", "-wp-cache-dir", str(cache),
            "-wp-report-json", os.path.join(folder, "report.json"),
            *(["-wp-smoke-tests", "-wp-smoke-timeout", "2"] if smoke else []), *proof.options]


def _run(proof, smoke):
    """Runs Frama-C on one file: the report by function, and what it printed."""
    folder = tempfile.mkdtemp(prefix="gatehouse-prove-")
    try:
        result = subprocess.run(_command(proof, folder, smoke), cwd=paths.ROOT, check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=SECONDS,
                                env=dict(os.environ, WHY3CONFIG=_provers(folder)))
        answer = os.path.join(folder, "report.json")
        if result.returncode or not os.path.exists(answer):
            raise report.Failure(1, f"Frama-C could not read {proof.file}\n{result.stdout}")
        with open(answer, encoding="utf-8") as handle:
            return json.load(handle).get("wp:functions", {}), result.stdout
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


def prove(proof, smoke=False):
    """Proves one file; yields the Count of each function of the list."""
    functions, output = _run(proof, smoke)
    for function, expected in proof.goals.items():
        rows = functions.get(function, {})
        total = rows.get("wp:section", {}).get("wp:main", {})
        goals, proved = total.get("total", 0), total.get("valid", 0)
        problems = []
        if proved < goals:
            problems = _trouble(proof, function, goals - proved, output)
        elif proved < expected:
            problems = [f"{proof.file}: {function}: {proved} goals proved, the list says {expected}"]
        yield Count(function, goals, proved, problems)
