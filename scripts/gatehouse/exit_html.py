# SPDX-License-Identifier: MIT
"""A log of exits as one HTML file that needs nothing else: plots, tables, and a timeline with zoom.

What is counted is counted here, over the whole log; exit_report.html draws it. The timeline holds
single exits and so is limited to the first TIMELINE_MAXIMUM of them, which the page then says."""
import array
import base64
import collections
import html
import json
import math
import pathlib
import sys

from gatehouse import exit_formats, exit_log, exit_names, report

TIMELINE_MAXIMUM = 200_000
BINS = 160         # of the plot over time
COST_STEPS = 8     # bars for each doubling of ticks
SUBJECT_ROWS = 12  # ports, MSRs, ... of each kind
_TEMPLATE = pathlib.Path(__file__).with_name("exit_report.html")
_SUBJECTS = {30: "port", 31: "MSR", 32: "MSR", 10: "CPUID leaf", 48: "page", 49: "page"}
_SLICES = ("kernel", "monitor", "halted", "other")


def _subject(entry):
    """What an exit touched as (kind, number), or None."""
    kind = _SUBJECTS.get(entry.reason)
    if kind == "port":
        return kind, entry.word >> 16 & 0xFFFF
    if kind == "page":
        return kind, entry.values[0] >> 12 << 12
    return (kind, entry.values[0] & 0xFFFFFFFF) if kind else None


def _median(values):
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0


def _cost(entry):
    return entry.kernel + entry.monitor


def _cost_bin(ticks):
    return int(math.log2(max(ticks, 1)) * COST_STEPS)


def _reasons(entries):
    """A row for each reason: count, where handled, ticks, median, distribution of the cost."""
    groups = collections.defaultdict(list)
    for entry in entries:
        groups[entry.reason].append(entry)
    rows = []
    for reason, group in groups.items():
        costs = [_cost(entry) for entry in group]
        rows.append({"reason": reason, "name": exit_names.reason(reason), "count": len(group),
                     "kernel": sum(not entry.kind for entry in group), "ticks": sum(costs),
                     "median": _median(costs), "most": max(costs),
                     "costs": sorted(collections.Counter(map(_cost_bin, costs)).items())})
    return sorted(rows, key=lambda row: (-row["ticks"], row["reason"]))


def _subjects(entries):
    """The most expensive ports, MSRs, leaves and pages."""
    groups = collections.defaultdict(list)
    for entry in entries:
        if subject := _subject(entry):
            groups[subject].append(_cost(entry))
    kinds = collections.defaultdict(list)
    for (kind, number), costs in groups.items():
        name = exit_names.MSRS.get(number, "") if kind == "MSR" else ""
        kinds[kind].append({"name": f"0x{number:x}", "note": name, "count": len(costs),
                            "ticks": sum(costs), "median": _median(costs)})
    return [{"kind": kind, "all": len(rows),
             "rows": sorted(rows, key=lambda row: (-row["ticks"], row["name"]))[:SUBJECT_ROWS]}
            for kind, rows in sorted(kinds.items())]


def _over_time(entries, first, last):
    """Exits of each reason in equal stretches of time."""
    width = max(1, -(-(last - first + 1) // BINS))
    counts = collections.defaultdict(lambda: [0] * BINS)
    for entry in entries:
        counts[entry.reason][(entry.tick - first) // width] += 1
    return {"width": width, "counts": dict(counts)}


def _packed(kind, values):
    numbers = array.array(kind, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _timeline(entries, first, tracks):
    """Columns of the first exits, for the page to draw."""
    shown = entries[:TIMELINE_MAXIMUM]
    places = {track: index for index, track in enumerate(tracks)}
    texts, numbers = [], {}

    def text_of(entry):
        text = " ".join(filter(None, [exit_names.details(entry), f"rip=0x{entry.rip:x}"]))
        if injected := exit_names.event(entry.event):
            text += f" injects={injected}"
        if text not in numbers:
            numbers[text] = len(texts)
            texts.append(text)
        return numbers[text]

    columns = {"start": _packed("d", (entry.tick - first for entry in shown)),
               "guest": _packed("d", (entry.guest for entry in shown)),
               "track": _packed("B", (places[entry.vm, entry.vcpu] for entry in shown)),
               "reason": _packed("B", (min(entry.reason, 255) for entry in shown)),
               "kind": _packed("B", (bool(entry.kind) for entry in shown)),
               "text": _packed("I", map(text_of, shown))}
    for name in _SLICES:
        columns[name] = _packed("d", (getattr(entry, name) for entry in shown))
    return {"columns": columns, "texts": texts, "shown": len(shown),
            "flows": exit_formats.flow_numbers(entries, len(shown))}


def data_of(log, source):
    """Everything the page draws."""
    entries = sorted(log.entries, key=lambda entry: entry.tick)
    first = min((entry.tick - entry.guest for entry in entries), default=0)
    last = max((entry.tick + entry.outside for entry in entries), default=0)
    tracks = sorted({(entry.vm, entry.vcpu) for entry in entries})
    names = {reason: exit_names.reason(reason) for reason in {entry.reason for entry in entries}}
    totals = {name: sum(getattr(entry, name) for entry in entries) for name in ("guest", *_SLICES)}
    return {"source": source, "first": first, "span": last - first, "hz": log.tsc_hz,
            "count": len(entries), "kernel": sum(not entry.kind for entry in entries),
            "missing": "" if log.complete else exit_log.missing(log), "names": names,
            "tracks": [f"{log.names.get(vm, f'VM {vm}')} · vCPU {vcpu}" for vm, vcpu in tracks],
            "totals": totals, "reasons": _reasons(entries), "subjects": _subjects(entries),
            "time": _over_time(entries, first, last), "timeline": _timeline(entries, first, tracks)}


def write(log, source, path):
    """Writes the page for a log that was read from `source`."""
    text = json.dumps(data_of(log, source), separators=(",", ":")).replace("</", "<\\/")
    page = _TEMPLATE.read_text(encoding="utf-8")
    page = page.replace("@TITLE@", html.escape(source)).replace("@DATA@", text)
    try:
        pathlib.Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise report.Failure(report.USAGE, f"{path}: {error.strerror}") from error
