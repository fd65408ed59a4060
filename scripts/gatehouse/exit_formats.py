# SPDX-License-Identifier: MIT
"""A log of exits as text, CSV, or a Chrome trace."""
import csv
import json

from gatehouse import exit_flows, exit_names

_COLUMNS = ["tick", "vm", "vcpu", "reason", "name", "details", "rip", "word", "value0",
            "value1", "guest", "kernel", "monitor", "halted", "other",
            "handled", "injected"]


def _handled(entry):
    return "monitor" if entry.kind else "kernel"


def _name(entry):
    name = exit_names.reason(entry.reason)
    return f"{name} (entry failed)" if entry.entry_failed else name


def text(log, out):
    """One line an exit."""
    for entry in log.entries:
        times = " ".join(f"{name}={getattr(entry, name)}" for name in
                         ("guest", "kernel", "monitor", "halted", "other")
                         if getattr(entry, name) or name in ("guest", "kernel"))
        words = [f"{entry.tick:>14} vm={entry.vm} vcpu={entry.vcpu}", _name(entry) + ":",
                 exit_names.details(entry), f"rip=0x{entry.rip:x}", times, "by=" + _handled(entry)]
        if injected := exit_names.event(entry.event):
            words.append(f"injects={injected!r}")
        out.write(" ".join(word for word in words if word) + "\n")


def comma_separated(log, out):
    """CSV with a line of headings; addresses and values in hexadecimal."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for entry in log.entries:
        writer.writerow([entry.tick, entry.vm, entry.vcpu, entry.reason, _name(entry),
                         exit_names.details(entry), hex(entry.rip), hex(entry.word),
                         *map(hex, entry.values), entry.guest, entry.kernel, entry.monitor,
                         entry.halted, entry.other, _handled(entry),
                         exit_names.event(entry.event)])


def _slice(entry, scale, start):
    def hexadecimal(value):
        return f"0x{value:x}"
    return {"ph": "X", "pid": entry.vm, "tid": entry.vcpu, "cat": _handled(entry),
            "name": _name(entry), "ts": round((entry.tick - start) * scale, 4),
            "dur": round(entry.outside * scale, 4),
            "args": {"details": exit_names.details(entry), "tick": entry.tick,
                     "rip": hexadecimal(entry.rip),
                     "word": hexadecimal(entry.word),
                     "guest ticks before": entry.guest, "kernel ticks": entry.kernel,
                     "monitor ticks": entry.monitor, "halted ticks": entry.halted,
                     "other ticks": entry.other, "injected": exit_names.event(entry.event)}}


def _tracks(log):
    """Names of processes (VMs) and threads (vCPUs)."""
    for number in sorted({entry.vm for entry in log.entries}):
        name = log.names.get(number, "")
        yield {"ph": "M", "pid": number, "name": "process_name",
               "args": {"name": f"VM {number} {name}".strip()}}
    for number, vcpu in sorted({(entry.vm, entry.vcpu) for entry in log.entries}):
        yield {"ph": "M", "pid": number, "tid": vcpu, "name": "thread_name",
               "args": {"name": f"vCPU {vcpu}"}}


def _flow_events(entries, scale, start):
    """Arrows: the IPI's exit, the slice in which its receiver wakes up, the injection."""
    for number, flow in enumerate(exit_flows.flows(entries)):
        sent, taken = entries[flow.sent], entries[flow.taken]
        resumed = taken.tick + taken.outside
        moments = [(sent, sent.tick), (taken, max(taken.tick, sent.tick)), (taken, resumed)]
        yield {"ph": "X", "pid": taken.vm, "tid": taken.vcpu, "cat": "injection",
               "name": f"inject {exit_names.event(taken.event)}",
               "ts": round((resumed - 1 - start) * scale, 4), "dur": round(scale, 4)}
        for phase, (entry, tick) in zip("stf", moments):
            event = {"ph": phase, "id": number, "pid": entry.vm, "tid": entry.vcpu, "cat": "ipi",
                     "name": f"IPI 0x{flow.vector:x}",
                     "ts": round((tick - (phase == "f") - start) * scale, 4)}
            yield event | ({"bp": "e"} if phase == "f" else {})


def flow_numbers(entries, limit):
    """The flows among the first entries as [[number sent, number taken, vector]]."""
    return [[flow.sent, flow.taken, flow.vector] for flow in exit_flows.flows(entries)
            if flow.taken < limit]


def chrome(log, out):
    """Trace events in JSON, for ui.perfetto.dev and chrome://tracing: a process for each VM, a
    thread for each vCPU, a slice from each exit to the next entry, arrows from IPIs to where they
    are injected."""
    scale = 1e6 / log.tsc_hz if log.tsc_hz else 1.0
    start = min((entry.tick for entry in log.entries), default=0)
    out.write('{"displayTimeUnit": "ns", "traceEvents": [')
    separator = "\n"
    for event in _tracks(log):
        out.write(separator + json.dumps(event))
        separator = ",\n"
    for entry in log.entries:
        out.write(separator + json.dumps(_slice(entry, scale, start)))
        separator = ",\n"
    for event in _flow_events(log.entries, scale, start):
        out.write(separator + json.dumps(event))
    out.write("\n]}\n")


FORMATS = {"text": text, "csv": comma_separated, "chrome": chrome}
