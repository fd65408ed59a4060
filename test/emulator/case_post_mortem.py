# SPDX-License-Identifier: MIT
"""Reports about guests that died or make no progress: what they say, and that intercepted exceptions
change nothing for the guest."""
from gatehouse import post_mortem
from support import folder, guest, run


def _boot_sector(place, code):
    path = place / "sector.bin"
    path.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa")
    return path


def test_chain_of_a_triple_fault():
    result = run(guest("triple_fault.elf"), "--debug-exceptions", "--engine", "bochs")
    result.expect(72, "<guest_main+0x", "exception: #UD", "#GP(0x33) during the delivery of #UD",
                  "during the delivery of #GP, together a double fault",
                  "during the delivery of #DF, which is the triple fault", "page walk of rip",
                  "32-bit: 0f 0b", " ud2")


def test_triple_fault_without_chain():
    result = run(guest("triple_fault.elf"), "--engine", "bochs")
    result.expect(72, 'exit "triple fault"', "with --debug-exceptions only", " ud2",
                  "pio: out port 0x3f8, 1 bytes")
    assert "during the delivery" not in result.errors


def test_halted_for_ever():
    with folder() as place:
        result = run(_boot_sector(place, b"\xfa\xf4\xeb\xfd"), "--type", "flat", "--engine", "bochs")
        result.expect(80, "the guest halted for ever: HLT with interrupts off at rip 0x7c01",
                      "16-bit: f4 eb fd", " hlt", "no symbols")


def test_all_processors_halted_for_ever():
    with folder() as place:
        result = run(_boot_sector(place, b"\xfa\xf4\xeb\xfd"), "--type", "flat", "--vcpus", "2",
                     "--engine", "bochs")
        result.expect(80, "the guest halted for ever")


def test_spin_is_ended():
    with folder() as place:
        sector = _boot_sector(place, b"\xfa\x90\xeb\xfd")
        result = run(sector, "--type", "flat", "--engine", "bochs", "--watchdog", "1,stop")
        result.expect(82, "no progress: rip 0x0000000000007c0", "of 16 samples", "page walk of rip",
                      "vCPU 0 makes no progress: interrupts off, at the same addresses for 1 s")


def test_spin_is_reported():
    with folder() as place:
        sector = _boot_sector(place, b"\xfa\x90\xeb\xfd")
        result = run(sector, "--type", "flat", "--engine", "bochs", "--watchdog", "1", "--timeout",
                     "12")
        result.expect(124, "vCPU 0 makes no progress")
        assert result.errors.count("vCPU 0 makes no progress") == 1


def test_linux_with_all_exceptions_intercepted():
    result = run("--debug-exceptions", "--engine", "bochs",
                 stdin=b"ls /; cat /proc/cpuinfo > /dev/null; poweroff -f\n")
    result.expect(0).printed("is up", "proc")


def test_symbols():
    with folder() as place:
        table = place / "System.map"
        table.write_text("0000000000001000 T first\n0000000000001010 t second\n")
        symbols = post_mortem.Symbols(table)
        assert symbols.name(0x1004) == "first+0x4" and symbols.name(0x1010) == "second"
        assert symbols.name(0xfff) is None and symbols.name(0x10000000) is None
        table.write_bytes(b"\0\1\2\3")
        assert not post_mortem.Symbols(table)
        run("/bin/true", "--symbols", table, limit=20).expect(66, "nor a System.map")
    assert post_mortem.Symbols(guest("triple_fault.elf"))


def test_watchdog_usage():
    run("--watchdog", "soon", limit=20).expect(64, "not a number of seconds")
