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
    """Where the document's counts of functions, goals and planted bugs are not those of the list, or a
    file or model is missing."""
    rows = _rows()
    found = [f"{DOCUMENT}: {name}: {' | '.join(map(str, numbers))}"
             for name, numbers in _expected().items()
             if rows.get(name, [])[:3] != list(map(str, numbers))]
    return found + [f"{DOCUMENT}: no row for the model {name}"
                    for name in models.names() if name not in rows]


def model_problem(name, counts):
    """A text where the document's states, twins and quotes of a model are not `counts`, else empty."""
    if _rows().get(name, [])[:3] != list(map(str, counts)):
        return f"{DOCUMENT}: {name}: {' | '.join(map(str, counts))}"
    return ""
