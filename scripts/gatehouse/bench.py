# SPDX-License-Identifier: MIT
"""Benchmarks in ticks: instructions that Bochs executed, exact and repeatable on any computer."""
import re
import struct
import subprocess

from gatehouse import (build, console, engine_bochs, initramfs, iso, linux, machine, paths, report,
                       spec)

# Where /bin/mark starts: an address that nothing else executes at, in either run.
MARK = 0x5A5A5A5A000
# GRUB enters a bzImage by its 32-bit entry point at the preferred load address.
NATIVE_ENTRY = 0x1000000
MEGABYTES = 512
SECONDS = 600
# Both run with it. nokaslr: the unpacked kernel lies and starts where it was linked for.
BOOT_APPEND = "console=ttyS0 quiet cryptomgr.notests nokaslr"
BOOT_TARGET = 1.02
CLOCK = 1767225600  # 2026-01-01, where runs are to repeat
BOOT_KVM = 1.08

# Operation: (KVM's ticks in the same emulator, our target). Names as guests/bench_exits prints them.
EXITS = {
    "cpuid": (979, 100), "vmcall": (1015, 100), "rdmsr": (1090, 350), "wrmsr": (1125, 350),
    "in_pic": (1260, 400), "in_pit": (1292, 400), "out_diagnostic": (None, None),
    "out_device": (3111, 400), "mmio_read": (5854, 800), "mmio_write": (5483, 800),
    "first_touch": (6200, 1500), "x2apic_eoi": (1176, 150), "x2apic_self_ipi": (4082, 600),
    "tsc_deadline": (1306, 300), "halt_wake": (4694, 1000),
}
# What the two kinds of round trip consist of.
ROUND_TRIP = """\
  a round trip is a byte to another process on the same CPU, and its answer: on each side one
  channel_exchange, which sends, sleeps until a message is there and receives it, and one switch of
  threads and page tables; ..._page: 4096 bytes; ..._events: channel_send, event_wait and
  channel_receive instead"""
# Operation: target, as test/emulator/kernel_bench.c and user_bench print them.
KERNEL = {
    "lock_unlock": 12, "null_system_call": 90, "thread_switch": 120, "page_allocate_free": 60,
    "page_allocate_free_zeroed": None, "channel_round_trip": 900, "channel_round_trip_page": None,
    "channel_round_trip_events": None,
}
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


def run(folder, image, debugger=("c",), seconds=SECONDS):
    """Runs the machine from a disc to its end: (status, session, machine, which has stopped)."""
    emulator = engine_bochs.Machine(folder, image, MEGABYTES, ips=engine_bochs.BENCHMARK_IPS,
                                    debugger=debugger)
    session = console.Session(emulator, seconds, False, capture=True)
    try:
        return session.run(), session, emulator
    finally:
        emulator.stop()


def _run_whole(folder, image, what):
    """The session of a run that has to end with status 0."""
    status, session, _ = run(folder, image)
    if status != 0:
        raise report.Failure(report.HOST_PANIC, f"{what} ended with status {status}:\n"
                             + "\n".join(session.log.lines[-10:]))
    return session


def _ticks_between(folder, image, entry, passes=1):
    """Ticks from the `passes`th execution of linear address `entry` to the mark."""
    debugger = [f"lb {entry:#x}"] + ["c"] * passes + ["bpd 1", f"lb {MARK + 120:#x}", "c"]
    emulator = run(folder, image, debugger)[2]
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
        return _ticks_between(folder, image, NATIVE_ENTRY, 2 if unpacked else 1)


def _guest_entry():
    """The linear address of the function that enters the guest."""
    table = subprocess.run(["nm", str(paths.BUILD / build.LOCATION["gatehouse.elf"])], check=True,
                           capture_output=True, text=True).stdout
    match = re.search(r"^([0-9a-f]+) T vmx_guest_enter$", table, re.MULTILINE)
    if not match:
        raise report.Failure(report.HOST_LACKS, "gatehouse.elf has no function vmx_guest_enter")
    return int(match[1], 16)


def guest_boot(append, **options):
    """Ticks from the first entry of the guest to init's banner, inside Gatehouse. `options`: of
    spec.Guest."""
    guest = spec.Guest(append=append, initrd=("initramfs", _initramfs()), reset="end", **options)
    machine.complete_guests([guest])
    with machine.run_folder(None) as folder:
        image = folder / "guest.iso"
        machine.write_image(image, [guest], folder, False, True)
        return _ticks_between(folder, image, _guest_entry())


def boot():
    """Both boots: {"native_ticks", "guest_ticks", "ratio"}."""
    report.say("booting Linux on the bare emulated machine")
    native = native_boot(BOOT_APPEND)
    report.say("booting Linux in Gatehouse")
    guest = guest_boot(BOOT_APPEND)
    return {"native_ticks": native, "guest_ticks": guest, "ratio": round(guest / native, 4)}


def _measure(guest):
    """What the measuring guest prints, as {name: ticks}."""
    with machine.run_folder(None) as folder:
        image = folder / "bench.iso"
        machine.write_image(image, [guest], folder, False, True)
        session = _run_whole(folder, image, "the measuring guest")
    rows = re.findall(rb"^(\w+) (\d+)\r?$", bytes(session.captured), re.MULTILINE)
    return {name.decode(): int(ticks) for name, ticks in rows}


def measuring_guest(apic):
    """The guest that measures exits, with or without a local APIC."""
    guest = spec.Guest(name="bench", kernel=str(paths.BUILD / "guests" / "bench_exits.elf"),
                       apic="on" if apic else "off")
    machine.complete_guests([guest])
    return guest


def observed():
    """The boot without and with an exit log and exit tables: {"off", "log", "stats"} in ticks."""
    result = {}
    for name, options in {"off": {}, "log": {"exit_log": True}, "stats": {"stats": True}}.items():
        report.say(f"booting Linux in Gatehouse: {name}")
        result[name] = guest_boot(BOOT_APPEND, clock=CLOCK, seed=1, **options)
    return result


def observed_table(result):
    """What observing costs, as text."""
    rows = [f"  {name:8}{ticks:>14,}{100 * (ticks / result['off'] - 1):>8.2f} %"
            for name, ticks in result.items()]
    return "\n".join(["guest Linux, kernel entry to init, in ticks: exits observed or not", *rows])


def exits():
    """Ticks of each operation that leaves the guest, as {name: ticks}. The local APIC's come from a
    guest that has one, all others from a guest at the PIC."""
    build.targets(["guests"])
    report.say("measuring exits")
    result = _measure(measuring_guest(False))
    for name, ticks in _measure(measuring_guest(True)).items():
        result.setdefault(name, ticks)
    return result


def _boot_kernel(what, words, modules, image):
    """Boots the kernel image alone, or with a program in the place of the console process; what it
    logged."""
    build.targets([image, *modules.values()])
    files = {image: paths.BUILD / "kernel" / image,
             **{name: paths.BUILD / "vmm" / name for name in modules.values()}}
    menu = ["set timeout=0", f"multiboot2 /boot/{image} emulator {words}"]
    menu += [f"module2 --nounzip /boot/{program} {name}" for name, program in modules.items()]
    with machine.run_folder(None) as folder:
        disc = folder / "bench.iso"
        iso.write(disc, files, [*menu, "boot"], folder)
        report.say(f"measuring {what}")
        session = _run_whole(folder, disc, "the measured kernel")
    return "\n".join(session.log.lines)


def kernel(image="gatehouse.elf"):
    """What the kernel's primitives cost: {"ticks": {name: ticks}, "curves": {name: {count: ticks}}}."""
    log = _boot_kernel("the kernel from inside", "selftest bench", {}, image)
    log += "\n" + _boot_kernel("system calls", "", {"console": "user_bench.elf"}, image)
    ticks = {name: int(count) for name, count in re.findall(r"bench (\w+) (\d+)", log)}
    curves = {}
    for name, count, cost in re.findall(r"curve (\w+) (\d+) (\d+)", log):
        curves.setdefault(name, {})[int(count)] = int(cost)
    return {"ticks": ticks, "curves": curves}


def kernel_table(result):
    """The costs of the kernel's primitives as text, next to the targets."""
    lines = ["ticks of the kernel's primitives, alone", f"  {'':28}{'ticks':>8}{'target':>8}"]
    for name, target in KERNEL.items():
        ticks = result["ticks"].get(name)
        verdict = "" if None in (target, ticks) else "  met" if ticks <= target else "  missed"
        lines.append(f"  {name:28}{'-' if ticks is None else ticks:>8}{target or '-':>8}{verdict}")
    counts = sorted({count for curve in result["curves"].values() for count in curve})
    lines += [ROUND_TRIP, "", "among so many objects of their kind",
              f"  {'':28}" + "".join(f"{count:>8}" for count in counts)]
    for name, curve in result["curves"].items():
        lines.append(f"  {name:28}" + "".join(f"{curve.get(count, '-'):>8}" for count in counts))
    return "\n".join(lines)


def boot_table(result):
    """The boot result as text."""
    verdict = "meets" if result["ratio"] <= BOOT_TARGET else "misses"
    return (f"guest Linux, kernel entry to init, in ticks (command line: {BOOT_APPEND})\n"
            f"  native     {result['native_ticks']:>12,}\n"
            f"  Gatehouse  {result['guest_ticks']:>12,}\n"
            f"  ratio      {result['ratio']:>12.4f}   KVM {BOOT_KVM}, target {BOOT_TARGET}: "
            f"{verdict} it")


def exits_table(result, kvm=None):
    """The exit costs as text, next to the targets and to KVM's: those measured now, or known ones."""
    lines = ["ticks per operation, the reading of the counter included; KVM's "
             + ("as known from an earlier measurement" if kvm is None else "measured now"),
             f"  {'operation':16}{'Gatehouse':>10}{'KVM':>8}{'ratio':>8}{'target':>8}"]
    for name, ticks in result.items():
        known, target = EXITS.get(name, (None, None))
        other = known if kvm is None else kvm.get(name)
        ratio = f"{ticks / other:.3f}" if other else "-"
        verdict = "" if target is None else "  met" if ticks <= target else "  missed"
        lines.append(f"  {name:16}{ticks:>10}{other or '-':>8}{ratio:>8}{target or '-':>8}{verdict}")
    return "\n".join(lines)
