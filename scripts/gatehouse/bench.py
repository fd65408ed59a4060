# SPDX-License-Identifier: MIT
"""Benchmarks in ticks: instructions that Bochs executed, exact and repeatable on any computer."""
import re
import struct

from gatehouse import console, engine_bochs, initramfs, iso, linux, machine, report, spec

# Where /bin/mark starts: an address that nothing else executes at, in either run.
MARK = 0x5A5A5A5A000
# GRUB enters a bzImage by its 32-bit entry point at the preferred load address.
NATIVE_ENTRY = 0x1000000
MEGABYTES = 512
SECONDS = 600
_STOP = re.compile(rb"Next at t=(\d+)")


def mark_program():
    """A static ELF64 program that exits at once; a breakpoint on its entry ends a measurement."""
    code = b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"  # exit(0)
    size = 120 + len(code)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, MARK + 120, 64, 0, 0,
                         64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, MARK, MARK, size, size, 4096)
    return header + segment + code


def _initramfs():
    return initramfs.default([("bin/mark", initramfs.REGULAR, mark_program())])


def _ticks_between(folder, image, megabytes, entry, passes=1):
    """Ticks from the `passes`th execution of linear address `entry` to the mark."""
    debugger = [f"lb {entry:#x}"] + ["c"] * passes + ["bpd 1", f"lb {MARK + 120:#x}", "c"]
    emulator = engine_bochs.Machine(folder, image, megabytes, ips=engine_bochs.BENCHMARK_IPS,
                                    debugger=debugger)
    try:
        console.Session(emulator, SECONDS, False, quiet=True).run()
    finally:
        emulator.stop()
    stops = [int(tick) for tick in _STOP.findall((folder / "display.out").read_bytes())]
    if len(stops) < 2 + passes:  # power-on, passes, mark
        raise report.Failure(report.HOST_PANIC, "the measured run did not reach its end:\n"
                             + emulator.post_mortem())
    return stops[1 + passes] - stops[passes]


def native_boot(append, unpacked=True):
    """Ticks from the kernel's entry to init's banner on the bare emulated machine.

    `unpacked`: from the entry of the unpacked kernel, which its own unpacking code jumps to (the
    monitor enters it there as well); else from the image's entry."""
    kernel = linux.kernel()
    with machine.run_folder(None) as folder:
        image = folder / "native.iso"
        menu = ["set timeout=0", "linux /boot/vmlinuz " + append, "initrd /boot/initrd", "boot"]
        iso.write(image, {"vmlinuz": kernel, "initrd": _initramfs()}, menu, folder)
        return _ticks_between(folder, image, MEGABYTES, NATIVE_ENTRY, 2 if unpacked else 1)
