# SPDX-License-Identifier: MIT
"""Carries bytes between the user and the machine's two serial ports while an engine runs.

COM1 is the guest's console: standard input goes in, standard output gets exactly what comes out.
COM2 is the host's log: plain lines go to standard error, lines that begin with `@` are read here.
Nothing in the loop blocks: the emulator loses serial bytes when its terminal is not read.
"""
import ctypes
import errno
import os
import pty
import selectors
import signal
import stat
import termios
import time
import tty

from gatehouse import report

INPUT_AHEAD = 32 * 1024       # bytes sent to the guest beyond what it has consumed
WIRE_AHEAD = 16               # bytes sent beyond what the host has taken: the UART's FIFO
OUTPUT_HELD = 16 * 1024 * 1024  # bytes nobody has read before the emulator is paused
END_GRACE = 10.0              # seconds an engine may take to end after its last line
STOP_GRACE = 10.0             # seconds the guests may take to end with their reports
LEAVE_KEY, LEAVE_TIMES, LEAVE_SECONDS = 0x1d, 3, 2.0  # Ctrl-] three times


def die_with_parent():
    """Run in a new child: the kernel kills it when this program dies, however it dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _is_regular(descriptor):
    """Whether it is a file on disk: always ready, and refused by epoll."""
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


class Pty:
    """A pseudo-terminal in raw mode. Our end of both sides stays open, so that it never hangs up
    while the emulator opens and closes its side."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)

    def close(self):
        """Closes both sides."""
        os.close(self.master)
        os.close(self.slave)


class Terminal:
    """The user's terminal in raw mode, restored at the end whatever happens."""

    def __init__(self, interactive):
        self._saved = termios.tcgetattr(0) if interactive else None
        if interactive:
            tty.setraw(0)
            report.line_end = "\r\n"

    def restore(self):
        """Gives the terminal back as it was."""
        if self._saved:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)
            report.line_end = "\n"
            self._saved = None


def read_some(descriptor):
    """What can be read now: bytes, empty at the end of the file, None if nothing is there."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise


def write_some(descriptor, data):
    """Writes what fits now; the number of bytes written."""
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        return 0


class HostLog:
    """Splits COM2 into lines, keeps the run's state from the machine lines, prints the others.

    A line waits while `hold` is set (the guest's own line is incomplete on the same terminal). While
    `silent` is set nothing is printed: the console process shows a person its own log, and only
    what is left when a run fails is printed. `complete` turns a line into those to be printed."""

    def __init__(self, engine_started, quiet_when_started=False, quiet=False, complete=None):
        self.status = None
        self.ready = False
        self.started = {}
        self.ended = {}
        self.statistics = {}  # of guests that ended, by their number: lines
        self.consumed = 0
        self.typed = 0
        self.lines = []
        self.hold = False
        self.silent = quiet
        self._partial = b""
        self._waiting = []
        self._complete = complete or (lambda line: [line])
        self._engine_started = engine_started
        self._quiet_when_started = quiet_when_started
        self._quiet = quiet

    def feed(self, data):
        """Takes bytes from COM2."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").strip("\r\0")
            self.lines.append(line)
            if line.startswith("@"):
                self._machine_line(line[1:].split())
                if line.startswith("@stats "):
                    _, number, *text = line.split(" ", 2)
                    self.statistics.setdefault(number, []).extend(text)
            elif line:
                self._waiting += self._complete(line)
        self.flush()

    def flush(self):
        """Prints the lines that may be printed now."""
        if self.hold or self.silent:
            return
        for line in self._waiting:
            report.message(line)
        self._waiting = []

    def _say(self, text):
        if self._quiet:
            return
        if self.hold:
            self._waiting.append(text)
        else:
            report.say(text)

    def _machine_line(self, words):
        match words:
            case ["ready", *_]:
                self.ready = True
                seconds = time.monotonic() - self._engine_started
                self._say(f"the host kernel is up ({seconds:.1f} s after power-on)")
            case ["vm", number, name, "started", *_]:
                self.started[number] = name
                self.silent = self._quiet or self._quiet_when_started
                self._say(f"guest {number} ({name}) starts")
            case ["vm", number, _, "ended", *reason, status]:
                self.ended[number] = (" ".join(reason), status)
            case ["input", "1", count, *_] if count.isdigit():
                self.consumed = int(count)
            case ["typed", count, *_] if count.isdigit():
                self.typed = int(count)
            case ["status", status, *_] if status.isdigit():
                self.status = int(status)


class Session:
    """One run: the loop between the user and a started engine.

    `machine` offers: com1, com2 (Pty), drains (descriptors to read and drop), process (Popen).
    `capture` keeps the console's bytes in .captured instead of writing them to standard output.
    `complete`: see HostLog."""

    def __init__(self, machine, timeout, interactive, capture=False, complete=None):
        self.machine = machine
        self.log = HostLog(time.monotonic(), interactive, capture, complete)
        self.interactive = interactive
        self.deadline = time.monotonic() + timeout if timeout else None
        self.timed_out = False
        self._selector = selectors.PollSelector()  # epoll refuses regular files
        self._input = b""
        self._sent = 0
        self._input_open = True
        self._output = b""
        self._output_open = not capture
        self.captured = bytearray() if capture else None
        self._paused = False
        self._input_is_file = _is_regular(0)
        self._leave_keys = []

    def run(self):
        """Runs until the machine ended, the time is over, or the user leaves. The run's status,
        or None where the engine ended without telling one."""
        terminal = Terminal(self.interactive)
        try:
            return self._loop()
        finally:
            terminal.restore()
            self._print_rest_of_log()

    def _print_rest_of_log(self):
        self.log.hold = False
        if self.captured is None:
            self.log.silent = self.interactive and self.log.status == 0
        self.log.flush()

    def _loop(self):
        end = None
        while True:
            self._step()
            now = time.monotonic()
            if self.deadline and now > self.deadline and self.log.status is None:
                if not self._ask_to_stop(now):
                    self._drain()
                    return report.TIMEOUT
            if self._wants_to_leave():
                raise KeyboardInterrupt
            if self.machine.process.poll() is not None:
                self._drain()
                return report.TIMEOUT if self.timed_out else self.log.status
            if self.log.status is not None:
                end = end or now + END_GRACE
                if now > end:
                    self._drain()
                    return report.TIMEOUT if self.timed_out else self.log.status

    def _ask_to_stop(self, now):
        """The time is over: the guests are asked once to end, so that their statistics and the
        rest of the exit log come out. False: there is nobody to ask, or no more time."""
        if self.timed_out or not self.log.started:
            return False
        self.timed_out = True
        self.deadline = now + STOP_GRACE
        return write_some(self.machine.com2.master, b"stop\n") > 0

    def _step(self):
        self._watch()
        for key, _ in self._selector.select(0.01 if self._input else 0.2):
            key.data()

    def _watch(self):
        wanted = {self.machine.com1.master: (selectors.EVENT_READ, self._read_com1),
                  self.machine.com2.master: (selectors.EVENT_READ, self._read_com2)}
        for descriptor in self.machine.drains:
            wanted[descriptor] = (selectors.EVENT_READ, lambda d=descriptor: self._drop(d))
        if self._output and self._output_open:
            wanted[1] = (selectors.EVENT_WRITE, self._write_output)
        if self._may_read_input() and self._input_is_file:
            self._read_input()
        elif self._may_read_input():
            wanted[0] = (selectors.EVENT_READ, self._read_input)
        for descriptor in list(self._selector.get_map()):
            if descriptor not in wanted:
                self._selector.unregister(descriptor)
        for descriptor, (events, function) in wanted.items():
            if descriptor in self._selector.get_map():
                self._selector.modify(descriptor, events, function)
            else:
                self._selector.register(descriptor, events, function)
        self._send_input()

    def _may_read_input(self):
        return self._input_open and len(self._input) < 4096 and (
            bool(self.log.started) or self.interactive)

    def _read_input(self):
        data = read_some(0)
        if data is None:
            return
        if not data:
            self._input_open = False
            return
        if self.interactive:
            now = time.monotonic()
            self._leave_keys += [now] * data.count(LEAVE_KEY)
        self._input += data

    def _wants_to_leave(self):
        recent = time.monotonic() - LEAVE_SECONDS
        self._leave_keys = [moment for moment in self._leave_keys if moment > recent]
        return len(self._leave_keys) >= LEAVE_TIMES

    def _send_input(self):
        room = INPUT_AHEAD - (self._sent - self.log.consumed)
        if self.interactive:
            room = max(room, 256)
        room = min(room, WIRE_AHEAD - (self._sent - self.log.typed))
        if not self._input or room <= 0 or not self.log.started:
            return
        count = write_some(self.machine.com1.master, self._input[:min(room, 1024)])
        self._sent += count
        self._input = self._input[count:]

    def _read_com1(self):
        data = read_some(self.machine.com1.master)
        if not data:
            return False
        if self.captured is not None:
            self.captured += data
        if self._output_open:
            self._output += data
            self._pause(len(self._output) > OUTPUT_HELD)
            self._write_output()
        return True

    def _write_output(self):
        """Writes to standard output without blocking, whatever kind of file it is."""
        if not self._output:
            return
        chunk = self._output[:4096]
        try:
            count = os.write(1, chunk) if self._output_ready() else 0
        except BlockingIOError:
            count = 0
        except OSError as error:
            self._output_open = False
            raise report.Failure(report.INTERRUPTED, "standard output cannot be written ("
                                 f"{error.strerror}): the run ends") from error
        self._output = self._output[count:]
        self._pause(len(self._output) > OUTPUT_HELD)
        self._hold_log(chunk[:count])

    def _output_ready(self):
        probe = selectors.PollSelector()
        probe.register(1, selectors.EVENT_WRITE)
        return bool(probe.select(0))

    def _hold_log(self, written):
        if written and os.isatty(1) and os.isatty(2):
            self.log.hold = written[-1:] not in (b"\n", b"\r") or bool(self._output)
            self.log.flush()

    def _pause(self, wanted):
        if wanted != self._paused:
            self.machine.process.send_signal(signal.SIGSTOP if wanted else signal.SIGCONT)
            self._paused = wanted

    def _read_com2(self):
        data = read_some(self.machine.com2.master)
        if data:
            self.log.feed(data)
            self.machine.keep_log(data)
        return bool(data)

    def _drop(self, descriptor):
        data = read_some(descriptor)
        if data:
            self.machine.keep_display(data)
        return bool(data)

    def _drain(self):
        """Takes what is left in the pseudo-terminals after the engine ended."""
        while self._read_com1() or self._read_com2():
            pass
        for descriptor in self.machine.drains:
            while self._drop(descriptor):
                pass
        self._finish_output()

    def _finish_output(self):
        """Writes what is left; a reader that takes nothing for a while loses the rest."""
        patience = time.monotonic() + END_GRACE
        while self._output and self._output_open and time.monotonic() < patience:
            before = len(self._output)
            self._write_output()
            if len(self._output) < before:
                patience = time.monotonic() + END_GRACE
            else:
                time.sleep(0.02)
