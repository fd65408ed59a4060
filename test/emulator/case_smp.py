# SPDX-License-Identifier: MIT
"""Guests with several virtual CPUs: local APICs, I/O APIC, start-up, and Debian's kernel."""
import hashlib

from support import calibrates_nothing, guest, run, without_escapes

BOCHS = ("--engine", "bochs")
SUM = hashlib.md5("".join(f"{number}\n" for number in range(1, 2001)).encode()).hexdigest()


def _checks(result):
    text = without_escapes(result.output)
    assert "FAIL" not in text, text
    assert text.count("PASS") >= 25, text


def test_four_processors():
    _checks(run(guest("smp.elf"), "--vcpus", "4", *BOCHS).expect(0))


def test_eight_processors():
    _checks(run(guest("smp.elf"), "--vcpus", "8", *BOCHS).expect(0))


def test_one_processor_with_apic():
    _checks(run(guest("smp.elf"), "--apic", "on", *BOCHS).expect(0))


def test_debian_with_four_processors():
    result = run(*BOCHS, "--vcpus", "4", "--watchdog", "8,stop", "--rtc", "2026-01-01T00:00:00",
                 "--seed", "1", limit=400, stdin=(
        b"echo there are $(nproc); grep timer /proc/interrupts\n"
        b"for i in 1 2 3 4; do (seq 1 2000 | md5sum) & done; wait\ndmesg | grep -iE 'tsc|calibrat'\npoweroff -f\n"))
    result.expect(0).printed("there are 4", "IO-APIC")
    text = without_escapes(result.output)
    assert text.count(SUM) == 4, text
    calibrates_nothing(text)


def test_four_processors_on_two_cpus():
    _checks(run(guest("smp.elf"), "--vcpus", "4", "--cpus", "2", *BOCHS).expect(0))


def test_debian_on_two_cpus():
    """Each CPU runs one of the two virtual ones."""
    result = run(*BOCHS, "--vcpus", "2", "--cpus", "2", limit=600, stdin=(
        b"echo there are $(nproc); for i in 1 2; do (seq 1 2000 | md5sum) & done; wait\n"
        b"poweroff -f\n"))
    result.expect(0, "CPUs: 2 of 2 run").printed("there are 2")
    text = without_escapes(result.output)
    assert text.count(SUM) == 2, text


def test_processors_need_apics():
    run("--vcpus", "2", "--apic", "off").expect(64, "need local APICs")
    run("--vcpus", "9").expect(64, "at most 8")
