# SPDX-License-Identifier: MIT
"""The log of VM exits: from frames in the emulator's debug output to a file, and back.

The frames are made by vmm/console/frame.c, the entries are `struct exit_entry` of
kernel/abi/exit_log.h. The file is a line that names the format, a line of JSON, and the entries,
each behind the number of its VM."""
import dataclasses
import json
import struct

from gatehouse import report

TITLE = b"gatehouse exit log 1\n"
MAGIC = 0x9EC4A7E5
MASK = (1 << 64) - 1
LOW_BYTES, HIGH_BYTES = bytes(range(128)), bytes(range(128, 256))
_HEADER = struct.Struct("<IHBBII")  # magic, length, VM, reserved, sequence, checksum
_BATCH = struct.Struct("<QQII")     # ticks a second, entries lost, sequence, entries
_ENTRY = struct.Struct("<5Q5IHBB")
_STORED = struct.Struct("<QQ64s")   # VM, ticks in the guest before, entry
_HEADER_WIRE = 24                   # bytes that surely hold the header
_PREFIX = bytes(0x80 | byte for byte in MAGIC.to_bytes(4, "little"))


@dataclasses.dataclass(slots=True)
class Entry:
    """One exit; ticks are the host's. What `word` and `values` mean depends on the reason, see
    kernel/abi/exit_log.h. `guest`: ticks in the guest before it, 0 for a VM's first exit."""
    vm: int
    guest: int
    tick: int
    rip: int
    word: int
    values: tuple
    kernel: int
    monitor: int
    halted: int
    other: int
    event: int
    reason: int
    entry_failed: bool
    kind: int
    vcpu: int

    @property
    def outside(self):
        """Ticks from the exit to the next entry."""
        return self.kernel + self.monitor + self.halted + self.other


def _entry(number, guest, data):
    words = _ENTRY.unpack(data)
    return Entry(number, guest, *words[:3], words[3:5], *words[5:10], words[10] & 0x7FFF,
                 bool(words[10] & 0x8000), *words[11:])


@dataclasses.dataclass
class Log:
    """What a log holds, and what it is known to lack."""
    entries: list = dataclasses.field(default_factory=list)
    tsc_hz: int = 0
    names: dict = dataclasses.field(default_factory=dict)  # VM number: name
    lost_entries: int = 0    # the machine had no room for
    lost_frames: int = 0     # frames that did not arrive
    damaged_frames: int = 0  # frames and pieces that arrived with errors

    @property
    def complete(self):
        """Nothing is known to be missing."""
        return not (self.lost_entries or self.lost_frames or self.damaged_frames)


def _repeated(pattern, count):
    return int.from_bytes(pattern.to_bytes(8, "little") * count, "little")


def unpacked(wire):
    """Groups of eight bytes with seven bits each to groups of seven; all groups at once."""
    count = len(wire) // 8
    word = int.from_bytes(wire, "little")
    plain_bits = word & _repeated(0x007F7F7F7F7F7F7F, count)
    for byte in range(7):  # bit 7 of each byte is in the group's last
        plain_bits |= (word & _repeated(1 << 56 + byte, count)) >> 49 - 7 * byte
    plain = bytearray(plain_bits.to_bytes(8 * count, "little"))
    del plain[7::8]
    return bytes(plain)


def checksum(number, sequence, payload):
    """As vmm/console/frame.c computes it."""
    total = number << 32 | sequence
    for word, in struct.iter_unpack("<Q", payload):
        total = ((total << 7 & MASK | total >> 57) + word) & MASK
    return (total ^ total >> 32) & 0xFFFFFFFF


def _frame_at(wire, start):
    """The frame there as (VM, sequence, payload, end), or None."""
    if start + _HEADER_WIRE > len(wire):
        return None
    head = unpacked(wire[start:start + _HEADER_WIRE])
    _, length, number, _, sequence, wanted = _HEADER.unpack_from(head)
    end = start + -(-(_HEADER.size + length) // 7) * 8
    if length % 8 or end > len(wire):
        return None
    payload = unpacked(wire[start:end])[_HEADER.size:_HEADER.size + length]
    if checksum(number, sequence, payload) != wanted:
        return None
    return number, sequence, payload, end


def frames(output):
    """The frames in a debug output as [(VM, sequence, payload)], and how many pieces of it are
    damaged."""
    wire = output.translate(None, LOW_BYTES)
    found, damaged, position = [], 0, 0
    while position < len(wire):
        start = wire.find(_PREFIX, position)
        frame = _frame_at(wire, start) if start >= 0 else None
        if frame:
            damaged += start > position
            found.append(frame[:3])
            position = frame[3]
            continue
        following = wire.find(_PREFIX, max(start, position) + 1)
        damaged += 1
        position = following if following >= 0 else len(wire)
    return found, damaged


def decode(output, names=None):
    """The log in the bytes of a debug output."""
    log = Log(names=dict(names or {}))
    found, log.damaged_frames = frames(output)
    expected, lost, ends = 0, {}, {}
    for number, sequence, payload in found:
        log.lost_frames += sequence - expected & 0xFFFFFFFF
        expected = sequence + 1
        if len(payload) < _BATCH.size:
            log.damaged_frames += 1
            continue
        log.tsc_hz, gone, first, count = _BATCH.unpack_from(payload)
        lost.setdefault(number, []).append((first, gone))
        if first == 0:
            ends.pop(number, None)  # a new life of the VM
        rest = payload[_BATCH.size:]
        if count * _ENTRY.size != len(rest):
            log.damaged_frames += 1
            continue
        for at in range(0, len(rest), _ENTRY.size):
            entry = _entry(number, 0, rest[at:at + _ENTRY.size])
            track = ends.setdefault(number, {})
            entry.guest = max(0, entry.tick - track.get(entry.vcpu, entry.tick))
            track[entry.vcpu] = entry.tick + entry.outside
            log.entries.append(entry)
    log.entries.sort(key=lambda entry: entry.tick)  # batches hold one vCPU's after the other's
    log.lost_entries = sum(_lost(batches) for batches in lost.values())
    return log


def _lost(batches):
    """Entries that a VM lost: the counter starts anew with each of its lives."""
    total = 0
    for index, (_, gone) in enumerate(batches):
        last = index + 1 == len(batches) or batches[index + 1][0] <= batches[index][0]
        total += gone if last else 0
    return total


def packed(entry):
    """The bytes of `struct exit_entry`."""
    reason = entry.reason | (0x8000 if entry.entry_failed else 0)
    return _ENTRY.pack(entry.tick, entry.rip, entry.word, *entry.values, entry.kernel,
                       entry.monitor, entry.halted, entry.other, entry.event, reason, entry.kind,
                       entry.vcpu)


def write(path, log):
    """Writes a log to a file."""
    about = {"entries": len(log.entries), "tsc_hz": log.tsc_hz, "names": log.names,
             "lost_entries": log.lost_entries, "lost_frames": log.lost_frames,
             "damaged_frames": log.damaged_frames}
    with open(path, "wb") as file:
        file.write(TITLE + json.dumps(about).encode() + b"\n")
        for entry in log.entries:
            file.write(_STORED.pack(entry.vm, entry.guest, packed(entry)))


def _malformed(path, what):
    return report.Failure(report.BAD_IMAGE, f"{path}: not a log of exits: {what}")


def read(path):
    """Reads a log from a file. Raises Failure where it is none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise report.Failure(report.BAD_IMAGE, f"{path}: {error.strerror}") from error
    if not data.startswith(TITLE):
        raise _malformed(path, f"it does not begin with {TITLE.decode().strip()!r}")
    line, _, rest = data[len(TITLE):].partition(b"\n")
    try:
        about = json.loads(line)
        log = Log([], about["tsc_hz"], {int(key): name for key, name in about["names"].items()},
                  about["lost_entries"], about["lost_frames"], about["damaged_frames"])
        expected = about["entries"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(path, f"its second line is not as expected: {error}") from error
    if len(rest) != expected * _STORED.size:
        raise _malformed(path, f"{expected} entries need {expected * _STORED.size} bytes, found "
                         f"{len(rest)}")
    log.entries = [_entry(*stored) for stored in _STORED.iter_unpack(rest)]
    return log


def save(output_path, path, names):
    """Makes the log file from an engine's debug output, and says what came out."""
    try:
        output = output_path.read_bytes()
    except FileNotFoundError:
        output = b""
    log = decode(output, names)
    write(path, log)
    report.say(f"{path}: {len(log.entries)} exits; scripts/exits shows them")
    if not log.complete:
        report.message(f"{path} is not complete: {missing(log)}")


def missing(log):
    """What a log lacks, in words."""
    return (f"{log.lost_entries} exits found no room, {log.lost_frames} frames did not arrive, "
            f"{log.damaged_frames} arrived damaged")
