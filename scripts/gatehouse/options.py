# SPDX-License-Identifier: MIT
"""The command line of scripts/run. Everything that can be refused is refused here, before
anything is installed or built."""
import argparse
import math
import os
import pathlib

from gatehouse import engine_bochs, post_mortem, report, spec, toml_file

_EPILOG = """\
Without KERNEL and --config, Debian's own cloud kernel boots to a shell.
SIZE is a number with K, M or G, like 256M. Default memory: 256M.
Default command line of Debian's kernel: """ + spec.DEFAULT_APPEND + """
(--append replaces it).

exit status: 0 power-off; (v << 1) | 1 after a guest's write of v to port 0xf4; 64 usage;
66 unreadable or malformed image; 68 this machine lacks a package or the network; 70 the host
kernel died; 72 triple fault; 74 VM entry refused; 76 exit that nobody handles; 78 no VMX here;
80 halted for ever; 82 no progress (--watchdog S,stop); 124 timeout.

keys on a terminal: Ctrl-A h shows the escape keys; Ctrl-] three times ends the run at once.
"""


class _Parser(argparse.ArgumentParser):
    """argparse with our exit status for usage errors."""

    def error(self, message):
        raise report.Failure(report.USAGE, f"{message}\nusage: scripts/run [KERNEL] [options]; "
                             "scripts/run --help lists the options")


def _parser():
    parser = _Parser(prog="scripts/run", epilog=_EPILOG, allow_abbrev=False,
                     description="Boots guests on Gatehouse in an emulator.",
                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("kernel", nargs="?", metavar="KERNEL",
        help="bzImage, ELF64 vmlinux, multiboot kernel, or a flat image with --type flat")
    add("--append", metavar="ARGS", help="the kernel's command line")
    add("--initrd", metavar="FILE")
    add("--module", metavar="FILE[=ARGS]", action="append", default=[],
        help="multiboot module; may be repeated")
    add("--type", metavar="TYPE", help="auto (default), linux, elf, multiboot or flat")
    add("--memory", metavar="SIZE", help="of the guest")
    add("--vcpus", metavar="N", help=f"virtual CPUs of the guest, 1 to {spec.VCPUS_MAXIMUM}")
    add("--weight", metavar="N", help="share of the CPU beside other guests, 1 to "
        f"{spec.WEIGHT_MAXIMUM}; default 100")
    add("--apic", metavar="on|off", help="local APICs and an I/O APIC; default: where there are "
        "several virtual CPUs")
    add("--intercept", metavar="LIST", help="exits that the guest would not cause else, separated by "
        "commas: " + ", ".join(spec.intercepts()))
    add("--test-kernel", action="store_true", help="what suites of test kernels expect: local "
        "APICs and an environment module")
    add("--env", metavar="NAME=VALUE", action="append", default=[],
        help="adds a line to the environment module; means --test-kernel")
    add("--cpus", metavar="N", default="1", help=f"CPUs of the machine, 1 (default) to "
        f"{spec.CPUS_MAXIMUM}")
    add("--config", metavar="FILE.toml", help="several guests, a [[vm]] table each")
    add("--engine", metavar="ENGINE", default="auto", help="auto (default), bochs or qemu")
    add("--cpu-model", metavar="MODEL", help="the processor that Bochs emulates; default: "
        f"{engine_bochs.MODEL}")
    add("--console", metavar="MODE", default="auto",
        help="terminal (all consoles, escape keys), raw (the first guest's bytes only) or auto: "
        "terminal where input and output are a terminal")
    add("--timeout", metavar="S", help="seconds; then the run ends with status 124")
    add("--stats", action="store_true", help="tables of VM exits on standard error when a guest ends")
    add("--exit-log", metavar="FILE", help="write every VM exit to this file; scripts/exits shows it")
    add("--event-log", metavar="FILE",
        help="write what the host kernel does to this file; scripts/replay checks it")
    add("--debug-exceptions", action="store_true", help="every exception of the guest exits, so that "
        "the report about a dead guest shows the chain that led there")
    add("--watchdog", metavar="S[,stop]", help="report a guest that spins with interrupts off for S "
        "seconds of its time (default 30; 0: never), or end it with status 82")
    add("--rtc", metavar="DATE", help="what the clocks of the machine and of all guests say at the "
        "start, UTC, like 2026-01-31T12:00:00")
    add("--seed", metavar="N", help="RDRAND and RDSEED give numbers that follow from this one; in "
        "Bochs, with --rtc, a run repeats exit by exit")
    add("--symbols", metavar="FILE", help="System.map or ELF file, for reports about the guest")
    add("--keep", metavar="DIR", help="keep the image, configuration and logs of the run there")
    add("--iso", metavar="FILE", help="only write the bootable image, for a USB stick")
    return parser


def _guest(arguments):
    guest = spec.Guest(kernel=arguments.kernel, initrd=arguments.initrd)
    if arguments.kernel:
        guest.name = spec.name_from(arguments.kernel)
    if arguments.append is not None:
        guest.append = spec.one_line(arguments.append, "--append")
    if arguments.type is not None:
        guest.type = spec.parse_choice(arguments.type, spec.TYPES, "--type")
    if arguments.memory is not None:
        guest.memory = spec.parse_size(arguments.memory)
    if arguments.vcpus is not None:
        guest.vcpus = spec.parse_vcpus(arguments.vcpus)
    if arguments.weight is not None:
        guest.weight = spec.parse_weight(arguments.weight)
    if arguments.apic is not None:
        guest.apic = spec.parse_choice(arguments.apic, spec.APIC_CHOICES, "--apic")
    if arguments.intercept is not None:
        guest.intercept = spec.parse_intercepts(arguments.intercept.split(","))
    guest.test_kernel = arguments.test_kernel
    guest.env = [spec.parse_variable(text) for text in arguments.env]
    if arguments.watchdog is not None:
        guest.watchdog = spec.parse_watchdog(arguments.watchdog)
    guest.symbols = arguments.symbols
    guest.modules = [spec.parse_module(text) for text in arguments.module]
    return guest


def _guests(arguments):
    if not arguments.config:
        return [_guest(arguments)]
    single = ["kernel", "append", "initrd", "module", "type", "memory", "vcpus",
              "weight", "apic", "intercept", "test_kernel", "env", "watchdog", "symbols"]
    given = [name for name in single if getattr(arguments, name)]
    if given:
        raise spec.Problem("--config names the guests: these belong into the file: "
                           + ", ".join(given))
    return toml_file.read(arguments.config)


def _timeout(text):
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < 1e9:
        raise spec.Problem(f"--timeout {text!r} is not a number of seconds above 0")
    return seconds


def _logs(arguments):
    return [("--exit-log", arguments.exit_log), ("--event-log", arguments.event_log)]


def _check_machine(arguments):
    spec.parse_choice(arguments.engine, ["auto", "bochs", "qemu"], "--engine")
    if arguments.cpu_model:
        spec.parse_choice(arguments.cpu_model, engine_bochs.MODELS, "--cpu-model")
        arguments.engine = "bochs" if arguments.engine == "auto" else arguments.engine
        if arguments.engine != "bochs":
            raise spec.Problem("--cpu-model chooses among the processors of Bochs")
    spec.parse_choice(arguments.console, ["auto", "raw", "terminal"], "--console")
    if not arguments.cpus.isdigit() or not 1 <= int(arguments.cpus) <= spec.CPUS_MAXIMUM:
        raise spec.Problem(f"--cpus {arguments.cpus!r} is not a number from 1 to "
                           f"{spec.CPUS_MAXIMUM}")
    for option, value in _logs(arguments):
        if value and arguments.iso:
            raise spec.Problem(f"{option} needs an emulator to write to, --iso makes an image for "
                               "real machines")


def _check_folder(option, name):
    folder = pathlib.Path(name).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise spec.Problem(f"{option} {name}: {folder} is not a folder that this user may write to")


def _check_places(arguments):
    """Places to write to exist before the long work begins."""
    if arguments.iso:
        _check_folder("--iso", arguments.iso)
    for option, value in _logs(arguments):
        if value:
            _check_folder(option, value)
        if value and pathlib.Path(value).is_dir():
            raise spec.Problem(f"{option} {value}: it is a folder")
    if arguments.keep:
        keep = pathlib.Path(arguments.keep)
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise spec.Problem(f"--keep {keep}: it exists and is not an empty folder")


def parse(words):
    """The checked arguments, with .guests and .timeout filled in."""
    arguments = _parser().parse_args(words)
    try:
        _check_machine(arguments)
        arguments.timeout = _timeout(arguments.timeout)
        arguments.guests = _guests(arguments)
        arguments.clock = None if arguments.rtc is None else spec.parse_date(arguments.rtc)
        for guest in arguments.guests:
            guest.clock = arguments.clock
            guest.seed = None if arguments.seed is None else spec.parse_seed(arguments.seed)
            guest.stats, guest.exit_log = arguments.stats, bool(arguments.exit_log)
            if arguments.debug_exceptions and "exceptions" not in guest.intercept:
                guest.intercept = [*guest.intercept, "exceptions"]
        _check_places(arguments)
    except spec.Problem as problem:
        raise report.Failure(report.USAGE, str(problem)) from problem
    spec.check_guests(arguments.guests)
    for guest in arguments.guests:
        if guest.symbols:
            post_mortem.check(guest.symbols)
    return arguments
