# SPDX-License-Identifier: MIT
"""Debian's kernel to a shell: commands through a pipe, a person's terminal, pasted input."""
import hashlib
import time

from support import Person, calibrates_nothing, folder, run, without_escapes

BOCHS = ("--engine", "bochs")
BOOT_SECONDS = 90


def _shell(commands, *arguments, limit=300):
    return run(*BOCHS, *arguments, stdin=commands.encode(), limit=limit)


def test_shell():
    result = _shell("uname -a\necho $((6*7)) is the answer\ncat /proc/cmdline\n"
                    "dmesg | grep -iE 'tsc|calibrat'\npoweroff -f\n")
    result.expect(0).printed("Linux (none) 6.", "42 is the answer", "console=ttyS0")
    calibrates_nothing(without_escapes(result.output))
    assert b"PCI: Fatal" not in result.output
    assert result.seconds < BOOT_SECONDS, f"{result.seconds} s"


def test_poweroff_without_force():
    _shell("poweroff\n").expect(0)


def test_helped_command_line():
    append = "console=ttyS0 quiet cryptomgr.notests acpi=off pci=off noapic nolapic"
    # Without ACPI Linux cannot power off; a reset ends the run where the file says so.
    with folder() as place:
        (place / "a.toml").write_text(f'[[vm]]\nappend = "{append}"\nreset = "end"\n')
        result = _shell("cat /proc/interrupts; reboot -f\n", "--config", place / "a.toml")
    result.expect(0, "reset").printed("XT-PIC", "timer")


def test_default_arguments_of_the_kernel():
    result = _shell("dmesg | grep -c Linux; poweroff -f\n", "--append", "console=ttyS0")
    result.expect(0).printed("Linux version 6.")


def test_memory_size_is_seen():
    result = _shell("grep MemTotal /proc/meminfo; poweroff -f\n", "--memory", "512M").expect(0)
    text = without_escapes(result.output)
    total = int(text.split("MemTotal:")[1].split()[0])
    assert 400_000 < total < 524_288, total


def test_paste_loses_nothing():
    lines = [f"line {number:05d} {'x' * (number % 60)}\n" for number in range(1000)]
    wanted = hashlib.md5("".join(lines).encode()).hexdigest()
    commands = "stty -echo; cat > /tmp/paste\n" + "".join(lines) + "\x04"
    result = _shell(commands + "md5sum /tmp/paste\npoweroff -f\n")
    result.expect(0).printed(wanted)


def test_output_loses_nothing():
    result = _shell("stty -opost; seq 1 10000; sleep 1; poweroff -f\n").expect(0)
    assert "".join(f"{number}\n" for number in range(1, 10001)).encode() in result.output


def test_person_at_a_terminal():
    person = Person(*BOCHS)
    try:
        person.wait_for(" # ")
        person.type("echo he\x7f\x7fabc$((1+1))\r")
        person.wait_for("\nabc2")
        person.wait_for(" # ")
        person.type("sleep 100000\r")
        person.wait_for("sleep 100000")
        time.sleep(1)
        person.type("\x03")
        person.wait_for(" # ")
        person.type("\x01h")
        person.wait_for("list of VMs")
        person.type("\x01l")
        person.wait_for("running")
        person.type("poweroff\r")
        assert person.end() == 0, person.seen[-2000:]
    finally:
        person.close()


def test_leave_keys_end_the_run():
    person = Person(*BOCHS)
    try:
        person.wait_for("starting")
        time.sleep(2)
        person.type("\x1d\x1d\x1d")
        assert person.end() == 130, person.seen[-2000:]
    finally:
        person.close()
