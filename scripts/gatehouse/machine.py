# SPDX-License-Identifier: MIT
"""From guests to a run: the boot image, the engine, and what the run's end means."""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import tempfile

from gatehouse import (build, console, engine_bochs, engine_qemu, event_log, exit_log, initramfs,
                       iso, linux, packages, post_mortem, report, spec)

MEBIBYTE = spec.MEBIBYTE
HOST_MEMORY = 40 * MEBIBYTE  # kernel, console process, firmware
GUEST_MEMORY = 10 * MEBIBYTE  # a guest's monitor and page tables
LEAST_MEMORY = 96 * MEBIBYTE  # for few guests
# UEFI's GRUB complains where it has no video driver at hand-over.
_GRUB_VIDEO = ["if [ $grub_platform = efi ]; then insmod all_video; fi"]
# Ends Bochs where GRUB could not start the kernel, instead of waiting at its prompt.
_GRUB_SHUTDOWN = ["insmod iorw"] + [f"outb 0x8900 {byte:#x}" for byte in b"Shutdown"]


def choose_engine(name):
    """The engine's module. `auto` is QEMU only where KVM offers nested VMX."""
    if name == "qemu":
        return engine_qemu
    if name == "auto":
        offered, _ = engine_qemu.nested_vmx()
        return engine_qemu if offered else engine_bochs
    return engine_bochs


def packages_for(arguments, engine):
    """The Debian packages that this run needs."""
    names = packages.BUILD + packages.IMAGE
    if any(guest.kernel is None for guest in arguments.guests):
        names = names + packages.LINUX
    return names if arguments.iso else names + engine.PACKAGES


def complete_guests(guests):
    """Gives guests without a kernel Debian's, and our initramfs unless they have their own."""
    for guest in guests:
        if guest.kernel is None:
            guest.kernel = str(linux.kernel())
            guest.type = "linux" if guest.type == "auto" else guest.type
            guest.append = spec.DEFAULT_APPEND if guest.append is None else guest.append
            if guest.initrd is None:
                guest.initrd = ("initramfs", initramfs.default())


def _stripped(source, folder):
    """A copy without debug information: reading the CD costs time."""
    target = pathlib.Path(folder) / source.name
    subprocess.run(["objcopy", "--strip-debug", str(source), str(target)], check=True,
                   stdin=subprocess.DEVNULL)
    return target


def _menu(files, emulator, events):
    words = (["emulator"] if emulator else []) + (["events"] if events else [])
    lines = ["set timeout=0", *_GRUB_VIDEO, " ".join(["multiboot2", "/boot/gatehouse.elf", *words])]
    lines += [f"module2 --nounzip /boot/{name} {name.removesuffix('.elf')}" for name in files
              if name != "gatehouse.elf"]
    lines.append("boot")
    return lines + (_GRUB_SHUTDOWN if emulator else [])


def write_image(target, guests, scratch, terminal, emulator, events=False):
    """Writes the ISO for the guests; `events`: the kernel logs its events. Returns the bytes that
    GRUB will load."""
    product = build.product()
    report.say("writing the boot image")
    files = {name: _stripped(path, scratch) for name, path in product.items()}
    boot_files = spec.BootFiles()
    text = spec.configuration(guests, boot_files, "terminal" if terminal else "raw",
                              escape=terminal)
    (pathlib.Path(scratch) / "config").write_text(text, encoding="utf-8")
    files["config"] = text.encode()
    files.update(boot_files.contents)
    iso.write(target, files, _menu(files, emulator, events), scratch)
    return sum(len(content) if isinstance(content, bytes) else
               pathlib.Path(content).stat().st_size for content in files.values())


def memory_needed(guests, loaded):
    """Bytes of RAM that the machine gets."""
    host = max(LEAST_MEMORY, HOST_MEMORY + GUEST_MEMORY * len(guests))
    return sum(guest.memory for guest in guests) + loaded + host


def _check_memory(needed):
    """Refuses a machine larger than this computer's memory before the emulator is killed for it."""
    with open("/proc/meminfo", encoding="ascii") as table:
        rows = dict(line.split(":", 1) for line in table)
    available = int(rows["MemAvailable"].split()[0]) * 1024
    if needed > available:
        raise report.Failure(report.USAGE, f"the guests and the host kernel need "
                             f"{needed // MEBIBYTE} MiB, this computer has {available // MEBIBYTE} "
                             "MiB available: give the guests less --memory")


@contextlib.contextmanager
def run_folder(keep):
    """The folder for the run's files: kept where asked for, else temporary."""
    if keep:
        pathlib.Path(keep).mkdir(parents=True, exist_ok=True)
        yield pathlib.Path(keep).absolute()
        return
    folder = tempfile.mkdtemp(prefix="gatehouse-")
    try:
        yield pathlib.Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _signals_end_the_run():
    """TERM and HUP end the run the way Ctrl-C does, so that nothing is left behind."""
    def interrupt(*_):
        raise KeyboardInterrupt
    saved = {number: signal.signal(number, interrupt)
             for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


def _conclude(session, machine, status, arguments):
    """The run's exit status, with a message where it needs one."""
    if status == report.TIMEOUT:
        report.message(f"the time limit of {arguments.timeout:g} s is over")
    elif status is None:
        how = "before the host kernel was up" if not session.log.ready else "without a status"
        report.message(f"{type(machine).__module__.split('_')[-1]} ended {how} "
                       f"(its status {machine.process.poll()}):\n{machine.post_mortem()}\n"
                       "scripts/run --keep DIR keeps all logs")
        status = report.HOST_PANIC
    return status


def _print_statistics(log):
    """Prints the tables that the monitors sent at their guests' ends."""
    for number, lines in sorted(log.statistics.items()):
        report.message(f"statistics of guest {number} ({log.started.get(number, '?')}):")
        for line in lines:
            report.message("  " + line)
    if not log.statistics:
        report.message("no statistics: no guest came to its end")


def _observed(arguments, session, folder, events):
    """What --stats, --exit-log and --event-log asked for, once the engine has ended."""
    if arguments.stats:
        _print_statistics(session.log)
    if arguments.exit_log:
        names = {int(number): name for number, name in session.log.started.items()}
        exit_log.save(folder / "debug.out", arguments.exit_log, names)
    if events:
        events.report(arguments.event_log)


def run(arguments, terminal, interactive):
    """Builds, boots and runs; the exit status."""
    engine = choose_engine(arguments.engine)
    _check_memory(memory_needed(arguments.guests, 0))
    packages.ensure(packages_for(arguments, engine))
    packages.require("cmake", "ninja", "nasm", "grub-mkrescue", *engine.COMMANDS)
    complete_guests(arguments.guests)
    with run_folder(arguments.keep) as folder:
        image = folder / "gatehouse.iso"
        loaded = write_image(image, arguments.guests, folder, terminal, True,
                             bool(arguments.event_log))
        needed = memory_needed(arguments.guests, loaded)
        _check_memory(needed)
        report.say(f"starting {engine.NAME}: firmware and GRUB take a few seconds")
        with _signals_end_the_run():
            options = {"model": arguments.cpu_model} if arguments.cpu_model else {}
            machine = engine.start(folder, image, needed, int(arguments.cpus), arguments.clock,
                                   **options)
            try:
                reader = post_mortem.Reader(arguments.guests)
                session = console.Session(machine, arguments.timeout, interactive,
                                          complete=reader.read)
                with event_log.taken(machine, arguments.event_log) as events:
                    status = session.run()
            finally:
                machine.stop()
            _observed(arguments, session, folder, events)
            return _conclude(session, machine, status, arguments)


def write_iso(arguments):
    """The --iso option: the image alone, for real machines and any emulator."""
    packages.ensure(packages_for(arguments, engine_bochs))
    packages.require("cmake", "ninja", "nasm", "grub-mkrescue")
    complete_guests(arguments.guests)
    with run_folder(None) as folder:
        write_image(pathlib.Path(arguments.iso).absolute(), arguments.guests, folder, True, False)
    report.say(f"{arguments.iso} is written: boots by BIOS and UEFI; the console is COM1, 115200 "
               "8N1")
    return 0
