# SPDX-License-Identifier: MIT
"""The small test kernels of guests/: each kind of image, and each way a run can end."""
import subprocess
import time

from gatehouse import console, engine_bochs, event_log, machine, spec
from support import RUN, check_events, folder, guest, run

BOCHS = ("--engine", "bochs")


def test_hello_multiboot():
    with folder() as place:
        (place / "first").write_bytes(b"1" * 11)
        (place / "second").write_bytes(b"2" * 5000)
        result = run(guest("hello_multiboot.elf"), "--append", "one two", "--memory", "128M",
                     "--module", place / "first", "--module", f"{place}/second=x=1 y", *BOCHS)
    result.expect(0).printed("Hello from a multiboot guest\n", 'one two"', "module: 11 bytes",
                             "module: 5000 bytes", 'x=1 y"')


def test_environment_module():
    text = b"NR_CPUS=1\nMEMSIZE=128\nTEST_DEVICE=1\nBOOTLOADER=0\nCOLOUR=deep blue\n"
    result = run(guest("hello_multiboot.elf"), "--memory", "128M", "--env", "COLOUR=deep blue",
                 *BOCHS)
    result.expect(0).printed(f"module: {len(text)} bytes", "environment_of_hello_multiboot.elf")
    guests = [spec.Guest(name="x", memory=128 << 20, env=["COLOUR=deep blue"])]
    spec.check_guests(guests)
    assert guests[0].modules[0][0][1] == text, guests[0].modules
    assert guests[0].apic == "on", guests[0].apic


def test_hello_elf64():
    run(guest("hello_elf64.elf"), "--append", "three", *BOCHS).expect(0).printed(
        "Hello from a 64-bit ELF guest\n", "three")


def test_hello_flat():
    run(guest("hello_flat.bin"), *BOCHS).expect(0).printed("Hello from a flat real-mode guest\n",
                                                           "boot drive: 0x80\n")


def test_output_is_exactly_the_guests():
    result = run(guest("hello_flat.bin"), *BOCHS).expect(0)
    assert result.output == b"Hello from a flat real-mode guest\nboot drive: 0x80\n", result.output


def test_status_of_the_test_port():
    for value, status in ((0, 1), (1, 3), (38, 77), (200, 145)):
        run(guest("test_exit.elf"), "--append", f"value={value}", *BOCHS).expect(status)


def test_triple_fault():
    run(guest("triple_fault.elf"), *BOCHS).expect(72, "triple fault")


def test_statistics():
    result = run(guest("hello_flat.bin"), "--stats", *BOCHS)
    result.expect(0, "statistics of guest 1 (hello_flat.bin)", "exits to monitor", "ticks in guest")


def test_timeout_leaves_nothing():
    result = run(guest("counter.elf"), "--timeout", "8", *BOCHS)
    result.expect(124, "time limit")
    assert result.seconds < 20, f"{result.seconds} s"


def test_closed_output_ends_the_run():
    with folder() as place:
        command = f"{RUN} {guest('counter.elf')} --engine bochs --timeout 200 --event-log {place}/log"
        result = subprocess.run(command + " | head -2", shell=True, capture_output=True, text=True,
                                timeout=100, check=False)
        check_events(place / "log")
    assert result.stdout.startswith("counter 1 "), result.stdout
    assert "Broken pipe" in result.stderr, result.stderr


def test_keep():
    with folder() as place:
        kept = place / "kept"
        run(guest("hello_flat.bin"), "--keep", kept, *BOCHS).expect(0)
        names = {path.name for path in kept.iterdir()}
        assert {"gatehouse.iso", "config", "host.log", "bochs.log", "bochsrc"} <= names, names


def _ask_for_events(image):
    """Adds the word that turns the log of events on to an image that was made without it. The menu
    keeps its length: it needs no timeout."""
    menu, kernel = b"set timeout=0\nif [", b"/boot/gatehouse.elf\n"
    data = image.read_bytes()
    assert (data.count(menu), data.count(kernel)) == (1, 1), "another menu"
    data = data.replace(menu, b"\n" * 7 + b"if [").replace(kernel, kernel[:-1] + b" events\n")
    image.write_bytes(data)


def test_iso_boots():
    with folder() as place:
        image = place / "stick.iso"
        run(guest("hello_flat.bin"), "--iso", image).expect(0, "is written")
        _ask_for_events(image)
        emulator = engine_bochs.Machine(place, image, 512)
        session = console.Session(emulator, 20, False, capture=True)
        try:
            with event_log.taken(emulator, place / "events") as reader:
                session.run()
        finally:
            emulator.stop()
        check_events(place / "events", whole=True)
        assert reader.ended
    assert b"Hello from a flat real-mode guest" in session.captured, bytes(session.captured)


def test_a_dead_emulator_is_reported():
    with folder() as place:
        image = place / "a.iso"
        machine.write_image(image, [spec.Guest(kernel=str(guest("counter.elf")))], place, False,
                            True)
        emulator = engine_bochs.Machine(place, image, 512)
        session = console.Session(emulator, 60, False, capture=True)
        time.sleep(1)
        emulator.process.kill()
        try:
            assert session.run() is None
        finally:
            emulator.stop()
