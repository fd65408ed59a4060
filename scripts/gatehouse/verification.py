# SPDX-License-Identifier: MIT
"""Holds the counts in kernel/VERIFICATION.md against what the lists and the checker say."""
import re

from gatehouse import models, paths, proofs

DOCUMENT = "kernel/VERIFICATION.md"


def _rows():
    """The table rows that begin with a name in code type or bold, the first of each name: {name:
    [cells]}."""
    rows = {}
    for line in (paths.ROOT / DOCUMENT).read_text(encoding="utf-8").splitlines():
        match = re.match(r"\| (?:`([^`]+)`|\*\*(\w+)\*\*) \|(.*)\|$", line)
        if match:
            cells = [cell.strip(" *") for cell in match[3].split("|")]
            rows.setdefault(match[1] or match[2], cells)
    return rows


def _expected():
    expected = {proof.file: [len(proof.goals), sum(proof.goals.values()), len(proof.mutations)]
                for proof in proofs.PROOFS}
    expected["total"] = [sum(counts) for counts in zip(*expected.values())]
    return expected


def problems():
    """Where the document's counts of functions, goals and planted bugs are not those of the list, a
    file or model is missing, or a bug of the list can no longer be planted."""
    rows = _rows()
    found = [f"{DOCUMENT}: {name}: {' | '.join(map(str, numbers))}"
             for name, numbers in _expected().items()
             if rows.get(name, [])[:3] != list(map(str, numbers))]
    found += filter(None, (proofs.mutation_problem(mutation) for proof in proofs.PROOFS
                           for mutation in proof.mutations))
    total = lockstep_total()
    return found + ([total] if total else []) + [
        f"{DOCUMENT}: no row for the model {name}" for name in models.names() if name not in rows]


def model_problem(name, counts):
    """A text where the document's states, twins and quotes of a model are not `counts`, else empty."""
    if _rows().get(name, [])[:3] != list(map(str, counts)):
        return f"{DOCUMENT}: {name}: {' | '.join(map(str, counts))}"
    return ""


def lockstep_problem(name, operations, refusals):
    """A text where a lock-step test did fewer operations or reached other refusals than the document
    says, else empty. A step may be several operations, so there can be more."""
    _, least, reached = _rows().get(name, ["", "", ""])[:3]
    if least.replace(" ", "").isdigit() and operations >= int(least.replace(" ", "")) and (
            reached == str(refusals)):
        return ""
    return f"{DOCUMENT}: {name}: {operations} | {refusals}"


def lockstep_total():
    """A text where the total of operations is not the sum of the rows, else empty."""
    text = (paths.ROOT / DOCUMENT).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `\w+` \| [^|]*\| ([\d ]+) \| \d+ \|$", text, re.MULTILINE)
    total = f"{sum(int(row.replace(' ', '')) for row in rows):,}".replace(",", " ")
    return "" if f"| **total** | | **{total}** | |" in text else f"{DOCUMENT}: total: {total}"
