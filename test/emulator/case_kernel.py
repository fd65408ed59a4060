# SPDX-License-Identifier: MIT
"""The host kernel by itself: its own checks, its system calls from ring 3, and boots that lack
something. No guest, so QEMU without VMX does for most."""
import contextlib
import functools
import re
import select
import subprocess
import threading
import time

from gatehouse import build, console, engine_bochs, engine_qemu, event_log, iso, machine, paths
from support import Run, check_events, check_replay, patience, seed

USAGE = 64
BAD_IMAGE = 66
HOST_PANIC = 70
TESTS = ("address_space", "quota", "conditions", "deadlines", "events", "channels")
# Ticks that a lock may be held: an address space's while one 2 MiB page is zeroed, the log's while a
# line goes out at the serial port's pace because no console process takes it.
HOLD_LIMITS = {"address-space": 300000, "log": 256 * 20000000 // 11520}
HOLD_LIMIT = 5000  # of all others
LIVE = "live"  # a log that is replayed while it is written, and not kept
LARGE = "large"  # the same, of a run with thousands of objects
SMP_TESTS = ("wakes", "shootdown", "messages", "guests", "containers")
SMOKE_TESTS = ("calls", "threads", "processes", "machines")


def _events(started, place, events):
    """The context in which events are logged, to a file or, for LIVE and LARGE, to the replay."""
    if events in (LIVE, LARGE):
        return event_log.replayed(started, events is LARGE)
    return event_log.taken(started, place / "events" if events else None)


def _boot(start, words="", modules=None, limit=120, image="gatehouse.elf", events=True,
          mistake=None, look=None, meanwhile=None):
    """Boots the kernel with the command-line words and the modules {name: program}. `image`: the
    kernel, or one of its variants. `events`: they are logged, LIVE, LARGE or to a file, and the
    specification allows them, unless there is a `mistake`: so the replay calls it; look(entries) looks at them too.
    meanwhile(machine, session): a context for the time of the run."""
    modules = modules or {}
    programs = {"user_smoke.elf", *modules.values()} - {"gatehouse.elf"}
    build.targets([image, *programs])
    files = {"gatehouse.elf": paths.BUILD / "kernel" / image,
             **{program: paths.BUILD / "vmm" / program for program in programs}}
    words = f"emulator {'events ' * bool(events)}{words}"
    menu = ["set timeout=0", f"multiboot2 /boot/gatehouse.elf {words}"]
    for name, program in modules.items():
        menu.append(f"module2 --nounzip /boot/{program} {name}")
    began = time.monotonic()
    with machine.run_folder(None) as place:
        disc = place / "test.iso"
        iso.write(disc, files, [*menu, "boot"], place)
        started = start(place, disc)
        try:
            session = console.Session(started, patience(limit), False, capture=True)
            with (_events(started, place, events) as replayed,
                  meanwhile(started, session) if meanwhile else contextlib.nullcontext()):
                status = session.run()
        finally:
            started.stop()
        if events in (LIVE, LARGE):
            check_replay(*replayed, whole=status == 0)
        check_events(place / "events", mistake, status == 0)
        if look:
            look(event_log.read(place / "events"))
    return Run(status, bytes(session.captured), "\n".join(session.log.lines),
               time.monotonic() - began)


def _qemu(place, image, megabytes=256, cpus=1, in_turns=False):
    return engine_qemu.Machine(place, image, megabytes, cpus, False, in_turns=in_turns)


def _bochs(place, image, cpus=1):
    return engine_bochs.Machine(place, image, 256, cpus)


def _passed(result, names):
    result.expect(0, *[f"PASS {name}" for name in names])
    assert "FAIL" not in result.errors, result.errors


def test_selftest_qemu():
    _passed(_boot(_qemu, "selftest"), TESTS)


def test_selftest_bochs():
    _passed(_boot(_bochs, "selftest"), TESTS)


def _hold_times(result):
    """The longest hold of each class of locks, in ticks."""
    rows = re.findall(r"lock ([a-z-]+): held (\d+) times, (\d+) ticks at the longest",
                      result.errors)
    return {name: int(ticks) for name, times, ticks in rows if int(times)}


def test_checked_qemu():
    _passed(_boot(_qemu, "selftest", image="gatehouse_checked.elf"), TESTS)
    _passed(_boot(_qemu, modules={"console": "user_smoke.elf"}, image="gatehouse_checked.elf"),
            SMOKE_TESTS)


def test_checked_bochs():
    """Ticks are exact here, so a bound on the time that locks are held is too; without a log of
    events, whose writing would count. With one, the specification allows it all."""
    _passed(_boot(_bochs, "selftest", image="gatehouse_checked.elf"), TESTS)
    result = _boot(_bochs, "selftest", image="gatehouse_checked.elf", events=False)
    _passed(result, TESTS)
    times = _hold_times(result)
    assert {"channel", "page-allocator", "containers", "log"} <= times.keys(), times
    assert not {name: ticks for name, ticks in times.items()
                if ticks > HOLD_LIMITS.get(name, HOLD_LIMIT)}, times


def test_measured_calls_are_allowed_bochs():
    """What case_bench measures of system calls, with the log of events that would be measured too."""
    _boot(_bochs, modules={"console": "user_bench.elf"}).expect(0)


def test_measured_primitives_are_allowed_qemu():
    """What case_bench measures of the kernel from inside, with up to 10 000 threads, channels and
    containers, likewise."""
    _boot(_qemu, "selftest bench", limit=240, events=LARGE).expect(0)


def test_checked_mistakes_qemu():
    """A checked build stops at each of these; the words after panic: say at which."""
    mistakes = {"order": "lock order: CPU 0 wants rank 2 and holds rank 3",
                "rank": "wants rank 0", "release": "releases a lock of rank 3 that no CPU holds",
                "sleep": "still holds a lock of rank 2", "mode": "starts from another one",
                "user": "a thread of the kernel"}
    seen_by_replay = {"sleep": "sleep: no other lock is held"}  # else before there is an event
    for name, message in mistakes.items():
        _boot(_qemu, f"selftest break={name}", image="gatehouse_checked.elf",
              mistake=seen_by_replay.get(name)).expect(HOST_PANIC, "panic: ", message)


def test_checked_system_calls_bochs():
    """With guests, which QEMU has not: every step of the mode flags is taken and looked at."""
    _passed(_boot(_bochs, modules={"console": "user_smoke.elf"}, image="gatehouse_checked.elf"),
            SMOKE_TESTS)


def _on(cpus, start=_qemu, **options):
    return functools.partial(start, cpus=cpus, **options)


def _panic_stops_all(start, cpus, ticks):
    """A panic on CPU 0 while the others spin in the kernel, and the last is idle: all answer, and
    the machine ends in at most so many ticks."""
    ends = []
    result = _boot(_on(cpus, start), "selftest break=panic", look=lambda entries: ends.append(
        event_log.ENTRY.unpack(entries[-1])[1])).expect(HOST_PANIC)
    began = int(re.search("panic: on purpose, at tick (0x[0-9a-f]+)", result.errors)[1], 16)
    lines = re.findall(r"cpu (\d+): ([^,;]*)", result.errors)
    words = ["it ended the machine", *["kernel"] * (cpus - 2), "idle"]
    assert lines == list(zip(map(str, range(cpus)), words)), result.errors
    assert 0 < ends[0] - began < ticks, f"{ends[0] - began} ticks"


def test_panic_stops_all_qemu():
    """Ticks are those of this computer, which may have something else to do."""
    _panic_stops_all(_qemu, 4, 20_000_000_000)
    _panic_stops_all(_qemu, 8, 20_000_000_000)


def test_panic_stops_all_bochs():
    """Within a tenth of a second of the machine's clock, half of which the report takes."""
    _panic_stops_all(_bochs, 2, engine_bochs.IPS // 10)


def test_all_panic_qemu():
    _all_panic(_boot(_on(8), "selftest break=panics"), 8)


def test_all_panic_bochs():
    _all_panic(_boot(_on(2, _bochs), "selftest break=panics"), 2)


def _all_panic(result, cpus):
    """One CPU ends the machine; each other one is stopped, before or in a panic of its own."""
    result.expect(HOST_PANIC)
    first = re.findall(r"^panic: on purpose, on CPU (\d)$", result.errors, re.M)
    own = re.findall(r"cpu (\d): panic: (.*)", result.errors)
    lines = re.findall(r"cpu (\d): (?:it ended the machine|kernel, rip)", result.errors)
    assert len(first) == 1 and lines == [str(number) for number in range(cpus)], result.errors
    assert all(text == f"on purpose, on CPU {number}" for number, text in own), result.errors


def _smp(cpus, messages, rounds, lives, start=_qemu, limit=240, image="gatehouse.elf",
         events=LIVE, **options):
    """Runs the checks on several CPUs; their first line says the seed."""
    words = f"console smp {seed()} {messages} {rounds} {lives}"
    _passed(_boot(_on(cpus, start, **options), modules={words: "user_smoke.elf"}, limit=limit,
                  image=image, events=events), SMP_TESTS)


def long_test_a_million_system_calls():
    """Random ones, by children whose seeds count up from the seed of the test."""
    number = seed()
    _passed(_boot(_qemu, modules={f"console fuzz {number} 34": "user_smoke.elf"}, limit=900),
            ("fuzz",))


def test_smp_four_qemu():
    _smp(4, 4000, 100, 6)


def test_smp_eight_qemu():
    _smp(8, 8000, 10, 6)


def test_smp_eight_in_turns_qemu():
    """Far more of all, because nobody waits for a CPU that this computer has put off."""
    _smp(8, 200_000, 2000, 60, in_turns=True)


def test_smp_sixty_four_in_turns_qemu():
    """As many CPUs as the kernel knows."""
    _smp(64, 5760, 20, 6, in_turns=True)


def long_test_ten_million_messages():
    """Between 8 CPUs. Without a log of events: there would be 450 million."""
    began = time.monotonic()
    _smp(8, 10_000_000, 10, 6, limit=3000, events=False, in_turns=True)
    print(f"     10000000 messages in {time.monotonic() - began:.0f} s", flush=True)


def test_smp_checked_qemu():
    """Lock order and modes are watched."""
    _smp(4, 4000, 20, 6, image="gatehouse_checked.elf")


def test_smp_mcs_qemu():
    """CPUs queue for the kernel's locks as MCS has it, in parallel."""
    _smp(4, 2000, 10, 6, image="gatehouse_mcs.elf")


def test_smp_bochs():
    """With guests: their memory is taken away from another CPU, and so are they."""
    _smp(2, 4000, 100, 6, _bochs)


def test_smp_limited_qemu():
    """The command line can leave processors off."""
    result = _boot(_on(8), "cpus=3", {"console smp 1 900 5 6": "user_smoke.elf"}, limit=240)
    _passed(result.expect(0, "CPUs: 3 of 8 run", "smp: 3 CPUs"), SMP_TESTS)


def _paste_bytes(count):
    """The paste, of which each byte follows from its place, as smoke_paste.c says."""
    mask = (1 << 64) - 1
    words = ((place + 1) * 0x9E3779B97F4A7C15 & mask for place in range(count))
    return bytes(((word ^ word >> 29) * 0xBF58476D1CE4E5B9 & mask) >> 56 for word in words)


@contextlib.contextmanager
def _pasting(data, started, session):
    """Writes to the first serial port as fast as the emulator takes it, once the reader is ready."""
    over = threading.Event()

    def feed():
        left = memoryview(data)
        while "paste: ready" not in session.log.lines and not over.wait(0.02):
            pass
        while left and not over.is_set():
            if select.select([], [started.com1.master], [], 0.1)[1]:
                left = left[console.write_some(started.com1.master, left[:4096]):]
    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _paste(size, senders, lazy, limit=240):
    """Pastes while processes on other CPUs print; (received, lost), which the program has compared
    with the paste byte by byte. What was printed is each sender's lines, all and in order."""
    data = _paste_bytes(size)
    result = _boot(_on(4), modules={f"console paste {size} {senders} {lazy}": "user_smoke.elf"},
                   limit=limit, meanwhile=functools.partial(_pasting, data))
    _passed(result, ["paste"])
    received, lost, count = map(int, re.search(
        r"paste: (\d+) received, (\d+) lost, (\d+) lines", result.errors).groups())
    lines = [tuple(map(int, line.split())) for line in result.output.splitlines()]
    assert received + lost == size and len(lines) == count, result.errors
    for sender in range(senders):
        numbers = [number for who, number in lines if who == sender]
        assert numbers and numbers == list(range(len(numbers))), numbers[:20]
    print(f"     paste of {size}: {received} received, {lost} lost and counted, {count} lines "
          "meanwhile", flush=True)
    return received, lost


def test_paste_while_others_write_qemu():
    _paste(1 << 16, 3, 0)


def long_test_paste_of_a_mebibyte():
    """The same, sixteen times as long."""
    _paste(1 << 20, 3, 0, limit=1500)


def test_paste_that_overflows_qemu():
    """The reader sleeps too long: the oldest characters go, and are counted."""
    received, lost = _paste(1 << 16, 3, 50)
    assert received and lost, (received, lost)


def test_mcs_lock_qemu():
    _passed(_boot(_qemu, "selftest", image="gatehouse_mcs.elf"), TESTS)


def test_system_calls_qemu():
    _passed(_boot(_qemu, modules={"console": "user_smoke.elf"}), SMOKE_TESTS)


def test_system_calls_bochs():
    _passed(_boot(_bochs, modules={"console": "user_smoke.elf"}), SMOKE_TESTS)


def test_no_console_module():
    result = _boot(_qemu, modules={"something": "user_smoke.elf"})
    result.expect(BAD_IMAGE, "no boot module is named \"console\"")


def test_console_is_not_a_program():
    result = _boot(_qemu, modules={"console": "gatehouse.elf"})
    result.expect(BAD_IMAGE, "module console is not a program", "cannot start console")


def test_a_start_that_fails_is_said_on_both_ports():
    """A processor that cannot mark pages not executable: there is no kernel yet that could log it."""
    build.targets(["gatehouse.elf"])
    with machine.run_folder(None) as place:
        disc, ports = place / "test.iso", [place / "com1", place / "com2"]
        iso.write(disc, {"gatehouse.elf": paths.BUILD / "kernel" / "gatehouse.elf"},
                  ["set timeout=0", "multiboot2 /boot/gatehouse.elf", "boot"], place)
        command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "256",
                   "-cpu", "max,-nx", "-cdrom", str(disc)]
        for port in ports:
            command += ["-serial", f"file:{port}"]
        end = time.monotonic() + patience(60)
        with subprocess.Popen(command, preexec_fn=console.die_with_parent) as process:
            while time.monotonic() < end and not all(
                    port.exists() and b"\n" in port.read_bytes() for port in ports):
                time.sleep(0.1)
            process.kill()
        for port in ports:
            text = port.read_text()
            assert text.startswith("Gatehouse cannot start: the processor cannot mark pages"), text


def test_too_little_memory():
    result = _boot(lambda place, image: _qemu(place, image, 16),
                   modules={"console": "user_smoke.elf"})
    result.expect(USAGE, "too little memory")


def test_entry_checker_agrees_with_the_processor():
    """VMCS states broken at random: the checker and the processor say the same of each."""
    result = _boot(_bochs, "selftest", image="gatehouse_entry_fuzz.elf")
    result.expect(0, "PASS entry_fuzz: 3000 states agree")


def long_test_entry_checker_agrees_with_the_processor():
    """The same for more than 20 000 states; each known deviation of the processor is met."""
    result = _boot(_bochs, "selftest long", image="gatehouse_entry_fuzz.elf", limit=900)
    result.expect(0, "PASS entry_fuzz: 21000 states agree")
