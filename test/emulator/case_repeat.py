# SPDX-License-Identifier: MIT
"""Runs repeat: with the clock and the random numbers given, the same guest gives the same log of exits,
byte by byte and with the same ticks, on the emulator whose time is counted in instructions."""
from support import folder, guest, run

GIVEN = ["--engine", "bochs", "--rtc", "2026-01-31T12:34:56", "--seed", "7"]
# All test kernels that end, in one boot: what one VM does shows in the ticks of all others.
GUESTS = {"absent_port.elf": "", "hello_elf64.elf": "", "hello_multiboot.elf": "",
          "register_state.elf": "", "test_exit.elf": "", "triple_fault.elf": "",
          "hello_flat.bin": 'type = "flat"', "smp.elf": "vcpus = 3", "suite.elf": 'apic = "on"'}
_POWER_OFF = "console=ttyS0 quiet cryptomgr.notests rdinit=/bin/busybox -- poweroff -f"


def _twice(place, *arguments):
    """The logs of the same run twice, and its status, which must be the same too."""
    logs, statuses = [], set()
    for name in ("first", "second"):
        path = place / name
        statuses.add(run(*arguments, "--exit-log", path, *GIVEN).status)
        logs.append(path.read_bytes())
    assert len(statuses) == 1, f"statuses {statuses}"
    return *logs, statuses.pop()


def test_all_guests_together():
    with folder() as place:
        tables = [f'[[vm]]\nname = "{name}"\nkernel = "{guest(name)}"\nmemory = "32M"\n'
                  f'reset = "end"\n{more}\n' for name, more in GUESTS.items()]
        config = place / "guests.toml"
        config.write_text("\n".join(tables))
        first, second, _ = _twice(place, "--config", config)
        assert first == second, "the same guests left two different logs"
        assert len(first) > 64 * 1000


def test_linux():
    with folder() as place:
        first, second, status = _twice(place, "--append", _POWER_OFF)
        assert status == 0
        assert first == second, "two boots of the same Linux left different logs"
        assert len(first) > 64 * 10000


def test_usage():
    run("--rtc", "yesterday", limit=20).expect(64, "is not of the form")
    run("--seed", "-1", limit=20).expect(64, "is not a number from 0 on")
