# SPDX-License-Identifier: MIT
"""Which VM exits, and which kinds of each, the given logs exercised; and what every exit reason is.

The list of reasons is that of vmm/monitor/exit_reasons.c, which a host test holds against the code."""
import collections
import re

from gatehouse import exit_names, paths

_ROW = re.compile(r'\{(\d+), FATE_(\w+), "([^"]*)", "([^"]*)", "([^"]*)",\s*"([^"]*)"\}')
Reason = collections.namedtuple("Reason", "number fate name intercept bochs why")


def reasons():
    """All basic exit reasons."""
    text = (paths.ROOT / "vmm/monitor/exit_reasons.c").read_text(encoding="utf-8")
    return [Reason(int(row[0]), row[1].lower(), *row[2:]) for row in _ROW.findall(text)]


def _io(entry):
    word = entry.word
    return [" ".join([("in" if word & 8 else "out") + ("s" if word & 16 else ""),
                      str((word & 7) + 1)]
                     + (["rep"] if word & 32 else []) + (["imm8"] if word & 64 else []))]


def _control(entry):
    number, access = entry.word & 15, entry.word >> 4 & 3
    return [[f"mov to cr{number}", f"mov from cr{number}", "clts",
             "lmsw memory" if entry.word & 64 else "lmsw register"][access]]


def _debug(entry):
    return [f"mov {'from' if entry.word & 16 else 'to'} dr{entry.word & 7}"]


def _memory(entry):
    access = [name for bit, name in enumerate(("read", "write", "fetch")) if entry.word >> bit & 1]
    walk = ["page walk"] if entry.word & 0x180 == 0x80 else []
    return [" ".join(access + walk)] if access else []


def _msr(entry):
    refused = entry.event & 0x800000FF == 0x8000000D
    return ["#GP" if refused else "done"]


def _exception(entry):
    return [exit_names.event(entry.values[0]) or "none"]


def _task(entry):
    return [["call", "iret", "jmp", "gate"][entry.word >> 30 & 3]]


def _handled(entry):
    return ["monitor" if entry.kind else "kernel"]


_VECTORS = ["#DE", "#DB", "#BP", "#UD", "#NM", "#DF", "#TS", "#NP", "#SS", "#GP", "#PF", "#MF"]
# For each reason how to class its exits, and the classes that there are.
_CLASSES = {
    0: (_exception, _VECTORS),
    9: (_task, ["call", "iret", "jmp", "gate"]),
    10: (_handled, ["kernel", "monitor"]),
    18: (_handled, ["kernel", "monitor"]),
    28: (_control, [f"mov {way} cr{number}" for way, numbers in (("to", (0, 3, 4, 8)),
                                                                ("from", (3, 8)))
                    for number in numbers] + ["clts", "lmsw register", "lmsw memory"]),
    29: (_debug, [f"mov {way} dr{number}" for way in ("to", "from")
                  for number in (0, 1, 2, 3, 6, 7)]),
    30: (_io, [f"{name} {size}{form}" for name in ("in", "out") for size in (1, 2, 4)
               for form in ("", " imm8")]
         + [f"{name} {size}{form}" for name in ("ins", "outs") for size in (1, 2, 4)
            for form in ("", " rep")]),
    31: (_msr, ["done", "#GP"]),
    32: (_msr, ["done", "#GP"]),
    48: (_memory, ["read", "write", "read write"]),
}


def count(logs):
    """{reason: Counter of classes} of all entries; reasons without classes have the class ""."""
    found = collections.defaultdict(collections.Counter)
    for log in logs:
        for entry in log.entries:
            classify, _ = _CLASSES.get(entry.reason, (lambda _: [""], []))
            found[entry.reason].update(classify(entry) or ["other"])
    return found


def _classes(number, seen):
    _, known = _CLASSES.get(number, (None, []))
    lines = []
    if known:
        names = known + sorted(set(seen) - set(known))
        lines.append("       " + ", ".join(f"{name} {seen[name]}" for name in names if seen[name]))
        missing = [name for name in known if not seen[name]]
        if missing:
            lines.append("       missing: " + ", ".join(missing))
    return lines


def write(logs, out):
    """The matrix of what the logs exercised, and what is missing with the reason why."""
    found, rows = count(logs), reasons()
    exercised = [row for row in rows if found.get(row.number)]
    for row in rows:
        seen = found.get(row.number, collections.Counter())
        if seen:
            out.write(f"yes {row.number:3} {row.name}: {sum(seen.values())}\n")
            out.write("".join(line + "\n" for line in _classes(row.number, seen)))
        elif row.fate == "impossible":
            out.write(f" -  {row.number:3} {row.name}: impossible: {row.why}\n")
        else:
            how = row.bochs or (f"needs intercept {row.intercept}" if row.intercept else "did not happen")
            out.write(f"no  {row.number:3} {row.name}: {how}\n")
    possible = sum(row.fate != "impossible" for row in rows)
    out.write(f"{len(exercised)} of {possible} possible exit reasons exercised, "
              f"{len(rows) - possible} are impossible\n")


def write_reasons(out):
    """Every basic exit reason, who deals with it, and how."""
    words = {"both": "kernel, monitor", "report": "ends the VM with a report"}
    for row in reasons():
        word = f" (intercept {row.intercept})" if row.intercept else ""
        out.write(f"{row.number:3} {row.name}: {words.get(row.fate, row.fate)}{word}: {row.why}\n")
