# SPDX-License-Identifier: MIT
"""The kernel's log of events: from frames in the emulator's debug output to a file, and into words.

The frames are made by kernel/core/event_log.c, the entries are `struct event_entry` of
kernel/abi/event_log.h. The file is a line that names the format, a line of JSON, and the entries of
all CPUs in their one order. test/replay reads it too."""
import dataclasses
import json
import re
import struct

from gatehouse import exit_log, paths, report

TITLE = b"gatehouse event log 1\n"
ENTRY = struct.Struct("<QQIHHQQQ")  # order, TSC, thread, CPU, kind, object, value, state
_ORDER = struct.Struct("<Q")
_KIND = re.compile(r"^ {4}EVENT_(\w+),", re.MULTILINE)
_CALL = re.compile(r"^ {4}(SYS_\w+),", re.MULTILINE)
_CALL_BASE = 0x100


@dataclasses.dataclass
class Log:
    """The entries, packed and in order, and what is known to be missing."""
    entries: list
    lost_frames: int = 0  # did not arrive whole


def _enumerators(header, pattern):
    return pattern.findall((paths.ROOT / "kernel" / "abi" / header).read_text(encoding="utf-8"))


def kinds():
    """The names of the kinds of events, in the order of their numbers."""
    return [name.lower() for name in _enumerators("event_log.h", _KIND) if name != "KIND_COUNT"]


def decode(output):
    """The log in the bytes of a debug output."""
    found, _ = exit_log.split(output, exit_log.EVENTS_MAGIC)
    log = Log([])
    for expected, (_, sequence, payload) in enumerate(found):
        log.lost_frames = sequence - expected
        log.entries += [payload[at:at + ENTRY.size] for at in range(0, len(payload), ENTRY.size)]
    log.entries.sort(key=_ORDER.unpack_from)
    return log


def write(path, log):
    """Writes a log to a file."""
    about = {"entries": len(log.entries), "lost_frames": log.lost_frames}
    with open(path, "wb") as file:
        file.write(TITLE + json.dumps(about).encode() + b"\n" + b"".join(log.entries))


def save(output_path, path):
    """Makes the log file from an engine's debug output, and says what came out."""
    try:
        output = output_path.read_bytes()
    except FileNotFoundError:
        output = b""
    log = decode(output)
    write(path, log)
    report.say(f"{path}: {len(log.entries)} events; scripts/replay checks them")
    if log.lost_frames:
        report.message(f"{path} is not complete: {log.lost_frames} frames did not arrive whole")


def read(path):
    """The packed entries of a log file. Raises Failure where it is none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise report.Failure(report.BAD_IMAGE, f"{path}: {error.strerror}") from error
    head, _, rest = data[len(TITLE):].partition(b"\n")
    if not data.startswith(TITLE) or not head.startswith(b"{") or len(rest) % ENTRY.size:
        raise report.Failure(report.BAD_IMAGE, f"{path}: not a log of events")
    return [rest[at:at + ENTRY.size] for at in range(0, len(rest), ENTRY.size)]


def text(entries):
    """A line for each entry."""
    names, calls = kinds(), _enumerators("syscall.h", _CALL)
    for packed in entries:
        order, tsc, thread, cpu, kind, subject, value, state = ENTRY.unpack(packed)
        name = names[kind] if kind < len(names) else f"kind {kind}"
        about = f"{subject:#x}" if subject >= 1 << 32 else f"{subject}"
        if name == "exit_user" and _CALL_BASE <= subject < _CALL_BASE + len(calls):
            about = calls[subject - _CALL_BASE].lower()
        yield (f"{order:>8} {tsc:>14} cpu {cpu} thread {thread:<3} {name:<12} {about:<20}"
               f"{value:#x} {state:#x}")
