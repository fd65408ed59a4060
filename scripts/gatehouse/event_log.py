# SPDX-License-Identifier: MIT
"""The kernel's log of events: out of a running machine's memory to a file, and into words.

kernel/abi/event_log.h says how the entries and their pages look like. The file is a line that names
the format, filled up with zeros to the size of an entry, and the entries of all CPUs in their one
order. test/replay reads it."""
import contextlib
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import threading

from gatehouse import paths, report

ENTRY = struct.Struct("<QQIHHQQQ")  # order, TSC, thread, CPU, kind, object, value, state
TITLE = b"gatehouse event log 2\n".ljust(ENTRY.size, b"\0")
_HEAD = struct.Struct("<QHHI")  # of a page: mark, index, count, taken
_TAKEN = struct.Struct("<I")
_TAKEN_AT = _HEAD.size - _TAKEN.size
MARK = struct.pack("<Q", 0x6B5D2E4A97C1F38B)
_PAGE = 4096
_PAGE_ENTRIES = 64
_PAGE_USED = _HEAD.size + _PAGE_ENTRIES * ENTRY.size
_REGION = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p 00000000 00:00 0 *(?:\[anon.*)?$", re.MULTILINE)
_REGION_MINIMUM = 8 << 20
_PIECE = 1 << 20  # bytes looked through at a time
_PAUSE = 0.02     # seconds, where there is nothing to take
_START = 0.1      # seconds from the kernel's first words to its log
_KIND = re.compile(r"^ {4}EVENT_(\w+),", re.MULTILINE)
_CALL = re.compile(r"^ {4}(SYS_\w+),", re.MULTILINE)
_CALL_BASE = 0x100


def _enumerators(header, pattern):
    return pattern.findall((paths.ROOT / "kernel" / "abi" / header).read_text(encoding="utf-8"))


def kinds():
    """The names of the kinds of events, in the order of their numbers."""
    return [name.lower() for name in _enumerators("event_log.h", _KIND) if name != "KIND_COUNT"]


class _Memory:
    """The memory of another process."""

    def __init__(self, process):
        self._regions = pathlib.Path(f"/proc/{process}/maps")
        self._file = open(f"/proc/{process}/mem", "r+b", buffering=0)
        self._descriptor = self._file.fileno()
        self._piece = bytearray(_PIECE)

    def read(self, address, size):
        """Bytes there; none when the process has ended or has nothing there."""
        try:
            return os.pread(self._descriptor, size, address)
        except OSError:
            return b""

    def write(self, address, data):
        """Writes the bytes there, unless the process has ended."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, data, address)

    def pages(self, mark):
        """The pages that begin with a mark: (address, their heads)."""
        for first, last in _REGION.findall(self._regions.read_text(encoding="ascii")):
            first, last = int(first, 16), int(last, 16)
            for start in range(first, last, _PIECE) if last - first >= _REGION_MINIMUM else ():
                yield from self._pages_of_piece(start, min(_PIECE, last - start), mark)

    def _pages_of_piece(self, start, size, mark):
        try:
            size = os.preadv(self._descriptor, [memoryview(self._piece)[:size]], start)
        except OSError:
            return
        at = self._piece.find(mark, 0, size)
        while at >= 0:
            if at % _PAGE == 0:
                yield start + at, _HEAD.unpack_from(self._piece, at)
            at = self._piece.find(mark, at + 1, size)

    def close(self):
        """Gives the file back."""
        self._file.close()


class Reader(threading.Thread):
    """Takes the log out of the memory of an engine's machine while it runs, to a file."""

    def __init__(self, machine, path):
        super().__init__(daemon=True)
        self._machine = machine
        self._stopping = threading.Event()
        self._file = open(path, "wb")
        self._file.write(TITLE)
        self._end_kind = kinds().index("end")
        self._pages = []
        self._count = 0  # of entries taken
        self.ended = False  # the last of them says that the log ends
        self.problem = None
        self.start()

    def run(self):
        try:
            self._wait_for_kernel()
            memory = _Memory(self._machine.process.pid)
        except OSError as error:
            self.problem = str(error)
            return
        try:
            while not self.ended and not self._stopping.wait(0 if self._take(memory) else _PAUSE):
                pass
            while self._take(memory):
                pass
        except OSError as error:  # nobody takes it from us
            self.problem = str(error)
        memory.close()

    def _wait_for_kernel(self):
        """Until the kernel has said its first words: before that there is nothing to look for."""
        log = self._machine.folder / "host.log"
        while not log.stat().st_size and not self._stopping.wait(_PAUSE):
            pass
        self._stopping.wait(_START)

    def _find(self, memory):
        """Where the pages are; none when they are not all there. A mark that begins no page of the
        log is a number in a decoded instruction that the emulator keeps: what follows it is no
        count of as many pages."""
        logs = {}
        for address, (_, index, count, _) in memory.pages(MARK):
            logs.setdefault(count, {})[index] = address
        for count, found in logs.items():
            if sorted(found) == list(range(count)):
                return [found[index] for index in range(count)]
        return []

    def _take(self, memory):
        """Takes what is there of one page; whether that was all of the page."""
        if self.ended:
            return False
        self._pages = self._pages or self._find(memory)
        if not self._pages:
            return False
        page, first = divmod(self._count, _PAGE_ENTRIES)
        lap, page = divmod(page, len(self._pages))
        address = self._pages[page]
        end = first + self._complete(memory.read(address, _PAGE_USED), first)
        if end == first:
            return False
        # What was there at the first look is whole at the second.
        data = memory.read(address + _HEAD.size + first * ENTRY.size, (end - first) * ENTRY.size)
        self._file.write(data)
        self._count += len(data) // ENTRY.size
        self.ended = self._end_kind in _column(data, "H", 11)
        if end == _PAGE_ENTRIES or self.ended:
            memory.write(address + _TAKEN_AT, _TAKEN.pack(lap + 1))
        return end == _PAGE_ENTRIES

    def _complete(self, page, first):
        """How many entries of the page are there, from `first` on."""
        orders = _column(page[_HEAD.size:], "Q", 0)[first:]
        if orders == list(range(self._count, self._count + len(orders))):
            return len(orders)
        return next((at for at, order in enumerate(orders) if order != self._count + at), 0)

    def finish(self):
        """Takes the rest, before the engine is stopped, and closes the file."""
        self._stopping.set()
        self.join()
        with contextlib.suppress(BrokenPipeError):
            self._file.close()

    def report(self, path):
        """Says what came out of it. Raises Failure where nothing could."""
        if self.problem:
            raise report.Failure(report.HOST_LACKS, "the log of events cannot be read from the "
                                 f"emulator's memory: {self.problem}")
        report.say(f"{path}: {self._count} events; scripts/replay checks them")
        if not self.ended:
            report.message(f"{path} is not complete: it has no end")


@contextlib.contextmanager
def taken(machine, path):
    """Takes the log of a started machine to a file, for as long as the context lasts. Without a
    path: no log."""
    reader = Reader(machine, path) if path else None
    try:
        yield reader
    finally:
        if reader:
            reader.finish()


def _column(entries, code, place):
    """One field of all entries, by its type and its place among fields of that type."""
    words = memoryview(entries).cast(code)
    return words[place::ENTRY.size // words.itemsize].tolist()


def write(path, entries):
    """Writes a log to a file."""
    with open(path, "wb") as file:
        file.write(TITLE + b"".join(entries))


def read(path):
    """The packed entries of a log file. Raises Failure where it is none."""
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise report.Failure(report.BAD_IMAGE, f"{path}: {error.strerror}") from error
    if not data.startswith(TITLE) or len(data) % ENTRY.size:
        raise report.Failure(report.BAD_IMAGE, f"{path}: not a log of events")
    return [data[at:at + ENTRY.size] for at in range(ENTRY.size, len(data), ENTRY.size)]


_REPLAY = paths.BUILD / "test" / "replay" / "replay"  # which must have been built
_REPLAY_LARGE = _REPLAY.with_name("replay_large")


@contextlib.contextmanager
def replayed(machine, large=False):
    """Replays the log of a started machine while it runs, so that it need not be kept. Behind the
    context, the list that it gives has the replay's status and its words. `large`: with room for
    thousands of threads, channels and containers."""
    result = []
    with tempfile.TemporaryFile("w+") as words:
        with subprocess.Popen([_REPLAY_LARGE if large else _REPLAY, "/dev/stdin"], stdin=subprocess.PIPE, stdout=words,
                              stderr=words) as process:
            with taken(machine, f"/dev/fd/{process.stdin.fileno()}"):
                yield result
        words.seek(0)
        result += process.returncode, words.read()


def replay(path):
    """What test/replay says about a log: (its status, its words)."""
    result = subprocess.run([_REPLAY, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
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
