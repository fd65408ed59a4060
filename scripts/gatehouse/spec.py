# SPDX-License-Identifier: MIT
"""What a run consists of: its guests, their files, and the text the console process reads."""
import dataclasses
import datetime
import os
import pathlib
import re
import time

from gatehouse import paths, report

MEBIBYTE = 1 << 20
DEFAULT_MEMORY = 256 * MEBIBYTE
MEMORY_MINIMUM, MEMORY_MAXIMUM = 1 * MEBIBYTE, 1 << 40
GUESTS_MAXIMUM, MODULES_MAXIMUM = 16, 18
SECTION_MAXIMUM = 2048  # bytes of a guest's part of the configuration
VCPUS_MAXIMUM = 8
CPUS_MAXIMUM = 64
WEIGHT_MAXIMUM = 1000
WATCHDOG_MAXIMUM = 1_000_000
APIC_CHOICES = ["auto", "on", "off"]
TYPES = ["auto", "linux", "elf", "multiboot", "flat"]
# The kernel's cipher self-tests alone cost more ticks than the rest of its boot.
DEFAULT_APPEND = "console=ttyS0 quiet cryptomgr.notests"

_SIZE = re.compile(r"(\d+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Problem(Exception):
    """A value that cannot be used; its text says why. The caller adds where it stood."""


@dataclasses.dataclass
class Guest:
    """One virtual machine. `kernel` is None for Debian's own kernel and our initramfs."""
    name: str = "linux"
    kernel: str | None = None
    type: str = "auto"
    initrd: str | None = None
    modules: list = dataclasses.field(default_factory=list)  # (file, arguments)
    append: str | None = None
    memory: int = DEFAULT_MEMORY
    vcpus: int = 1
    weight: int = 100
    apic: str = "auto"
    intercept: list = dataclasses.field(default_factory=list)
    reset: str = "restart"
    test_kernel: bool = False  # what suites of test kernels expect, see make_test_platform
    env: list = dataclasses.field(default_factory=list)  # "NAME=VALUE"
    stats: bool = False
    exit_log: bool = False
    watchdog: tuple | None = None  # (seconds, "report" or "stop")
    symbols: str | None = None
    seed: int | None = None   # of RDRAND and RDSEED; None: the processor's own numbers
    clock: int | None = None  # seconds since 1970, when the run begins; None: now


def parse_size(text):
    """256M, 1G, 4096K or a number of bytes; at least 1 MiB, whole pages."""
    match = _SIZE.fullmatch(str(text).strip())
    if not match:
        raise Problem(f"memory size {text!r} is not a number followed by K, M or G, like 256M")
    size = int(match[1]) << " KMGT".index(match[2].upper() or " ") * 10
    if not MEMORY_MINIMUM <= size <= MEMORY_MAXIMUM:
        raise Problem(f"memory size {text} is outside of 1M to 1T")
    if size % 4096:
        raise Problem(f"memory size {text} is not a multiple of 4096 bytes")
    return size


def parse_module(text):
    """FILE[=ARGS] as (file, arguments)."""
    name, _, arguments = text.partition("=")
    if not name:
        raise Problem(f"module {text!r} names no file: expected FILE or FILE=ARGS")
    return name, one_line(arguments, "module arguments")


def one_line(text, what):
    """Text that fits a line of the configuration."""
    if any(ord(char) < 32 and char != "\t" for char in text):
        raise Problem(f"{what} must not hold control characters such as line feeds")
    return text.strip()


def parse_vcpus(value):
    """The number of virtual CPUs."""
    if not str(value).isdigit() or int(value) < 1:
        raise Problem(f"vcpus {value!r} is not a number from 1 on")
    if int(value) > VCPUS_MAXIMUM:
        raise Problem(f"vcpus {value}: at most {VCPUS_MAXIMUM} are possible")
    return int(value)


def parse_weight(value):
    """The weight of a guest's share of the CPU; 100 is usual."""
    if not str(value).isdigit() or not 1 <= int(value) <= WEIGHT_MAXIMUM:
        raise Problem(f"weight {value!r} is not a number from 1 to {WEIGHT_MAXIMUM}")
    return int(value)


def parse_watchdog(value):
    """SECONDS or SECONDS,stop: how long a guest may spin with interrupts off. 0: for ever."""
    seconds, comma, policy = str(value).partition(",")
    if not seconds.isdigit() or int(seconds) > WATCHDOG_MAXIMUM or (comma and policy != "stop"):
        raise Problem(f"watchdog {value!r} is not a number of seconds from 0 to {WATCHDOG_MAXIMUM}, "
                      "perhaps followed by ,stop")
    return int(seconds), "stop" if comma else "report"


def parse_seed(text):
    """A number from 0 on that fits 64 bits."""
    if not text.isdigit() or int(text) >= 1 << 64:
        raise Problem(f"seed {text!r} is not a number from 0 on of at most 64 bits")
    return int(text)


def parse_date(text):
    """A date with or without a time, UTC, as seconds since 1970."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise Problem(f"date {text!r} is not of the form 2026-01-31 or 2026-01-31T12:00:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
    if not 1980 <= moment.year < 2100:
        raise Problem(f"date {text}: from 1980 to 2099")
    return int(moment.timestamp())


def parse_choice(value, choices, what):
    """One of a few words."""
    if value not in choices:
        raise Problem(f"{what} {value!r} is not one of {', '.join(choices)}")
    return value


def intercepts():
    """The words that vmm/config/intercept.c knows."""
    text = (paths.ROOT / "vmm/config/intercept.c").read_text(encoding="utf-8")
    return re.findall(r'\{"([a-z0-9-]+)", (?:VM|CONFIG)_INTERCEPT_', text)


def parse_intercepts(words):
    """Names of exits to turn on."""
    for word in words:
        parse_choice(word, intercepts(), "intercept")
    return list(words)


_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[ -~]*")


def parse_variable(text):
    """NAME=VALUE of a test kernel's environment."""
    if not _VARIABLE.fullmatch(text):
        raise Problem(f"variable {text!r} is not NAME=VALUE in printable characters")
    return text


def parse_name(value):
    """A guest's name."""
    if not _NAME.fullmatch(value):
        raise Problem(f"name {value!r} is not 1 to 32 letters, digits, '.', '_' or '-'")
    return value


def name_from(path):
    """A guest's name made from its kernel's file name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", pathlib.Path(path).name)[:32] or "guest"


def check_file(path, what):
    """Refuses a file that cannot be read, before anything is built."""
    target = pathlib.Path(path)
    if target.is_dir():
        reason = "it is a directory"
    elif not target.exists():
        reason = "there is no such file"
    elif not os.access(target, os.R_OK):
        reason = "this user may not read it"
    elif target.is_file() and target.stat().st_size == 0:
        reason = "it is empty"
    else:
        return
    raise report.Failure(report.BAD_IMAGE, f"{what} {path}: {reason}; give the path of a readable "
                         "file")


def check_apic(guest):
    """Several virtual CPUs find each other by their local APICs only."""
    if guest.vcpus > 1 and guest.apic == "off":
        raise report.Failure(report.USAGE, f"guest {guest.name}: {guest.vcpus} virtual CPUs need "
                             "local APICs, but apic is off")


def environment(guest):
    """The environment module of a test kernel: what the machine is, then what was given."""
    lines = [f"NR_CPUS={guest.vcpus}", f"MEMSIZE={guest.memory // MEBIBYTE}", "TEST_DEVICE=1",
             "BOOTLOADER=0", *guest.env]
    return "".join(line + "\n" for line in lines).encode()


def make_test_platform(guest):
    """Local APICs, and the environment as the only module: that is how test kernels find it."""
    if not guest.test_kernel and not guest.env:
        return
    if guest.modules:
        raise report.Failure(report.USAGE, f"guest {guest.name}: a test kernel's only module is "
                             "its environment, so it takes no others")
    guest.apic = "on" if guest.apic == "auto" else guest.apic
    content = environment(guest)
    guest.modules = [((f"environment of {guest.name}", content), "")]


def check_guests(guests):
    """Checks the files of all guests and that their names differ."""
    if len(guests) > GUESTS_MAXIMUM:
        raise report.Failure(report.USAGE, f"{len(guests)} guests: at most {GUESTS_MAXIMUM}")
    names = set()
    for guest in guests:
        if guest.name in names:
            raise report.Failure(report.USAGE, f"two guests are called {guest.name}")
        names.add(guest.name)
        make_test_platform(guest)
        check_apic(guest)
        if len(guest.modules) > MODULES_MAXIMUM:
            raise report.Failure(report.USAGE, f"guest {guest.name} has {len(guest.modules)} "
                                 f"modules: at most {MODULES_MAXIMUM}")
        if guest.kernel:
            check_file(guest.kernel, "kernel")
        if guest.initrd:
            check_file(guest.initrd, "initrd")
        for name, _ in guest.modules:
            if not isinstance(name, tuple):
                check_file(name, "module")


def _shown(path):
    """A path as it may stand in the configuration: one word of printable characters."""
    return re.sub(r"[^!-~]", "_", str(path))


class BootFiles:
    """The boot modules: each file once, whichever guests use it."""

    def __init__(self):
        self.contents = {}
        self._names = {}

    def name(self, prefix, source):
        """The module name of a path, or of contents under a key ("key", bytes)."""
        key, content = source if isinstance(source, tuple) else (os.path.realpath(source), source)
        if key not in self._names:
            self._names[key] = f"{prefix}{len(self._names) + 1}"
            self.contents[self._names[key]] = content
        return self._names[key]


def _guest_lines(guest, files):
    lines = [f"vm {guest.name}", f"kernel {files.name('k', guest.kernel)}",
             f"kernel-type {guest.type}", f"kernel-file {_shown(guest.kernel)}"]
    if guest.initrd:
        shown = guest.initrd[0] if isinstance(guest.initrd, tuple) else guest.initrd
        lines += [f"initrd {files.name('i', guest.initrd)}", f"initrd-file {_shown(shown)}"]
    for source, arguments in guest.modules:
        path = source[0] if isinstance(source, tuple) else source
        lines.append(f"module {files.name('m', source)} {_shown(path)} {arguments}".rstrip())
    if guest.append:
        lines.append(f"append {guest.append}")
    if guest.apic != "auto":
        lines.append(f"apic {guest.apic}")
    if guest.weight != 100:
        lines.append(f"weight {guest.weight}")
    if guest.intercept:
        lines.append(f"intercept {','.join(guest.intercept)}")
    lines += [f"memory {guest.memory}", f"vcpus {guest.vcpus}", f"reset {guest.reset}",
              f"clock {int(time.time() if guest.clock is None else guest.clock)}"]
    if guest.seed is not None:
        lines.append(f"seed {guest.seed}")
    lines += ["stats on"] * guest.stats + ["exit-log on"] * guest.exit_log
    if guest.watchdog:
        lines.append(f"watchdog {guest.watchdog[0]} {guest.watchdog[1]}")
    size = sum(len(line.encode()) + 1 for line in lines)
    if size > SECTION_MAXIMUM:
        raise report.Failure(report.USAGE, f"guest {guest.name}: its command line, modules and "
                             f"paths take {size} bytes, at most {SECTION_MAXIMUM} are possible: "
                             "shorten them")
    return lines


def configuration(guests, files, console, escape):
    """The text of the `config` module."""
    lines = ["gatehouse 1", f"console {console}", f"escape {'on' if escape else 'off'}"]
    for guest in guests:
        lines += _guest_lines(guest, files)
    return "\n".join(lines) + "\n"
