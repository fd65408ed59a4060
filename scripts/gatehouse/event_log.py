# SPDX-License-Identifier: MIT
"""The kernel's log of events: from frames in the emulator's debug output to a file, and into words.

kernel/abi/event_log.h says what the frames and the entries look like. The file is a line that names
the format, a line of JSON, and the entries of all CPUs in their one order. test/replay reads it."""
import dataclasses
import json
import re
import struct
import subprocess
import zlib

from gatehouse import paths, report

TITLE = b"gatehouse event log 1\n"
ENTRY = struct.Struct("<QQIHHQQQ")  # order, TSC, thread, CPU, kind, object, value, state
_ORDER = struct.Struct("<Q")
_MARK = b"\xb7\xd2\xe1\xca"
_NUMBER = re.compile(rb"[\xc0-\xff]*[\x80-\xbf]")
_FIELDS = 7  # numbers of an entry on the way out
_MASK = (1 << 64) - 1
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


class _Numbers(dict):
    """From the bytes of a number on the way out to the number."""

    def __missing__(self, token):
        number = sum((byte & 0x3F) << 6 * place for place, byte in enumerate(token))
        if len(token) <= 2:
            self[token] = number
        return number


_NUMBERS = _Numbers()


def _frame_at(wire, start):
    """The frame there as (CPU, sequence, numbers of its entries, end), or None."""
    head = [match for _, match in zip(range(5), _NUMBER.finditer(wire, start + len(_MARK)))]
    if len(head) < 5:
        return None
    cpu, sequence, length, count, checksum = (_NUMBERS[match[0]] for match in head)
    payload = wire[head[-1].end():head[-1].end() + length]
    if zlib.adler32(payload) != checksum:
        return None
    numbers = list(map(_NUMBERS.__getitem__, _NUMBER.findall(payload)))
    if len(numbers) != count * _FIELDS:
        return None
    return cpu, sequence, numbers, head[-1].end() + length


def split(wire):
    """The frames in a debug output without other bytes than those with bit 7, as [(CPU, sequence,
    numbers)], and what is left between them, which is the log of exits. A frame is whole: the
    kernel writes it at once, though perhaps in the middle of one of those."""
    found, rest, position = [], [], 0
    start = wire.find(_MARK)
    while start >= 0:
        frame = _frame_at(wire, start)
        if frame:
            found.append(frame[:3])
            rest.append(wire[position:start])
            position = frame[3]
        start = wire.find(_MARK, position if frame else start + 1)
    return found, b"".join(rest) + wire[position:]


def _entries(cpu, numbers):
    order = tsc = subject = 0
    fields = iter(numbers)
    for step, ticks, thread, kind, change, value, state in zip(*[fields] * _FIELDS):
        order, tsc = order + step, tsc + ticks
        subject = subject + (change >> 1 ^ -(change & 1)) & _MASK
        yield ENTRY.pack(order, tsc, thread, cpu, kind, subject, value, state)


def decode(output):
    """The log in the bytes of a debug output."""
    log = Log([])
    found, _ = split(output.translate(None, bytes(range(128))))
    for expected, (cpu, sequence, numbers) in enumerate(found):
        log.lost_frames = sequence - expected
        log.entries += _entries(cpu, numbers)
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


def replay(path):
    """What test/replay, which must have been built, says about a log: (its status, its words)."""
    result = subprocess.run([str(paths.BUILD / "test" / "replay" / "replay"), str(path)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return result.returncode, result.stdout


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
