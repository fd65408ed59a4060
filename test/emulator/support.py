# SPDX-License-Identifier: MIT
"""What the cases share: running scripts/run as a person would, and looking at what it left."""
import contextlib
import dataclasses
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import time
import uuid

from gatehouse import console, event_log, machine, paths, report, spec

RUN = str(paths.ROOT / "scripts" / "run")
TAG = "GATEHOUSE_TEST_TAG"


@dataclasses.dataclass
class Run:
    """A finished run."""
    status: int
    output: bytes
    errors: str
    seconds: float

    def expect(self, status, *texts):
        """Fails unless the status is this and standard error holds each text."""
        shown = f"\n--- output\n{self.output[-2000:].decode(errors='replace')}"
        shown += f"\n--- errors\n{self.errors[-3000:]}"
        assert self.status == status, f"status {self.status}, expected {status}{shown}"
        for text in texts:
            assert text in self.errors, f"standard error does not say {text!r}{shown}"
        return self

    def printed(self, *texts):
        """Fails unless the guest printed each text."""
        for text in texts:
            assert text.encode() in self.output, (
                f"the guest did not print {text!r}\n--- output\n"
                f"{self.output[-3000:].decode(errors='replace')}\n--- errors\n{self.errors[-2000:]}")
        return self


def _as_run(session, status, start):
    return Run(status, bytes(session.captured), "\n".join(session.log.lines),
               time.monotonic() - start)


def check_replay(status, words, mistake=None, whole=False):
    """Fails unless the replay of a log of events came to its end without a complaint; with `mistake`,
    unless it complains in these words; with `whole`, unless the log has its end."""
    assert status == (1 if mistake else 0) and (mistake or "") in words and not (
        whole and "has no end" in words), (
        f"replay of the kernel's events: status {status}\n{words[:6000]}")


def check_events(path, mistake=None, whole=False):
    """The same for a log in a file, if there is one."""
    if path.exists():
        check_replay(*event_log.replay(path), mistake, whole)


def patience(seconds):
    """A time limit for what hangs: longer where the computer has more to run than processors."""
    return seconds * max(1, os.getloadavg()[0] / os.cpu_count())


def boot(start_machine, kernel=None, limit=120):
    """Boots a test kernel in a machine of the case's own making: start_machine(folder, image) of
    an engine. The result's .errors are the host's log lines."""
    start = time.monotonic()
    guests = [spec.Guest(name="guest", kernel=str(kernel or guest("hello_multiboot.elf")))]
    with machine.run_folder(None) as place:
        image = place / "test.iso"
        machine.write_image(image, guests, place, False, True, True)
        started = start_machine(place, image)
        try:
            session = console.Session(started, patience(limit), False, capture=True)
            with event_log.taken(started, place / "events"):
                status = session.run()
            if status is None:
                session.log.lines.append(started.post_mortem())
        finally:
            started.stop()
        check_events(place / "events")
    assert status != report.TIMEOUT, "\n".join(["time limit", *session.log.lines[-20:],
                                               repr(bytes(session.captured[-1000:]))])
    return _as_run(session, status, start)


def _left_running(tag):
    """Processes that still carry the tag in their environment."""
    wanted = f"{TAG}={tag}".encode()
    left = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                left.append((entry.parent / "comm").read_text(encoding="utf-8").strip())
    return left


def _check_nothing_left(tag):
    for _ in range(20):
        left = _left_running(tag)
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"left running: {left}")


def run(*arguments, **options):
    """Runs scripts/run; fails where it leaves a process behind, exceeds `limit` seconds (see patience), or where
    the specification does not allow what the kernel did."""
    if {"--iso", "--event-log"} & set(arguments):
        return _run(*arguments, **options)
    with folder() as place:
        result = _run(*arguments, "--event-log", place / "events", **options)
        check_events(place / "events", whole=result.status == 0)
    return result


def _run(*arguments, stdin=b"", environment=None, limit=240):
    tag = uuid.uuid4().hex
    variables = {**os.environ, **(environment or {}), TAG: tag}
    start = time.monotonic()
    limit = patience(limit)
    with subprocess.Popen([RUN, *map(str, arguments)], stdin=subprocess.PIPE, env=variables,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            output, errors = process.communicate(stdin, timeout=limit)
        except subprocess.TimeoutExpired:
            process.terminate()
            output, errors = process.communicate()
            raise AssertionError(f"did not end within {limit:.0f} s\n{output[-2000:]!r}\n"
                                 f"{errors.decode(errors='replace')[-2000:]}") from None
    _check_nothing_left(tag)
    return Run(process.returncode, output, errors.decode(errors="replace"),
               time.monotonic() - start)


@contextlib.contextmanager
def folder():
    """A temporary folder."""
    path = tempfile.mkdtemp(prefix="gatehouse-test-")
    try:
        yield pathlib.Path(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def shims(place, **scripts):
    """Puts shell scripts in front of PATH; the environment to run with."""
    place.mkdir(exist_ok=True)
    for name, body in scripts.items():
        target = place / name.replace("_", "-")
        target.write_text("#!/bin/sh\n" + body + "\n", encoding="utf-8")
        target.chmod(0o755)
    return {"PATH": f"{place}:{os.environ['PATH']}"}


def seed():
    """The seed of random tests: always the same, unless GATEHOUSE_SEED gives another; 0: a new one."""
    number = int(os.environ.get("GATEHOUSE_SEED", "20240517"), 0)
    return number % (1 << 32) or random.randrange(1, 1 << 32)


def guest(name):
    """The path of a built test kernel of guests/."""
    found = [path for path in (paths.BUILD / "guests").rglob(name) if path.is_file()]
    assert found, f"guests/{name} was not built"
    return found[0]


def calibrates_nothing(text):
    """`text` holds what the guest's `dmesg` says of clocks: Linux was told all frequencies, and measured none."""
    assert "tsc: Detected" in text and "Calibrating delay loop (skipped)" in text, text[-3000:]
    for words in ("TSC calibration", "PIT calibration", "calibrating APIC", "Refined TSC"):
        assert words.lower() not in text.lower(), words


def without_escapes(output):
    """Console output as text, without carriage returns and terminal sequences."""
    text = output.decode(errors="replace").replace("\r", "")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


class Person:
    """Someone at a terminal: types, and waits for what appears."""

    def __init__(self, *arguments):
        self._master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self._place = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-test-"))
        command = [RUN, *map(str, arguments), "--event-log", str(self._place / "events")]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)
        self.seen = b""

    def wait_for(self, text, seconds=120):
        """Reads until the text appears behind what was waited for before."""
        end = time.monotonic() + patience(seconds)
        while text.encode() not in self.seen:
            assert time.monotonic() < end, f"no {text!r} in {self.seen[-2000:]!r}"
            if select.select([self._master], [], [], 0.5)[0]:
                self.seen += os.read(self._master, 4096)
            elif self.process.poll() is not None:
                raise AssertionError(f"ended before {text!r}: {self.seen[-2000:]!r}")
        self.seen = self.seen.split(text.encode(), 1)[1]

    def type(self, text):
        """Types the text."""
        os.write(self._master, text.encode())

    def end(self, seconds=60):
        """The exit status; the terminal must be as it was, and the kernel's events allowed."""
        end = time.monotonic() + patience(seconds)
        while self.process.poll() is None:
            assert time.monotonic() < end, "the run did not end"
            if select.select([self._master], [], [], 0.2)[0]:
                self.seen += os.read(self._master, 4096)
        assert termios.tcgetattr(self._slave) == self.before, "the terminal was not restored"
        check_events(self._place / "events")
        return self.process.returncode

    def close(self):
        """Ends whatever still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        os.close(self._master)
        os.close(self._slave)
        shutil.rmtree(self._place, ignore_errors=True)
