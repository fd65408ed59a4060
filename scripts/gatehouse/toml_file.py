# SPDX-License-Identifier: MIT
"""Reads --config FILE.toml: one [[vm]] table a guest. Errors name the file and the line.

    [[vm]]
    name = "first"            # default: the kernel's file name
    kernel = "bzImage"        # default: Debian's kernel with our initramfs
    type = "auto"             # linux, elf, multiboot, flat
    initrd = "initrd.img"
    modules = ["file", "file=arguments"]
    append = "console=ttyS0"
    memory = "256M"
    vcpus = 1
    weight = 100              # share of the CPU beside other guests, 1 to 1000
    apic = "auto"             # on, off; auto: where there are several virtual CPUs
    intercept = ["rdtsc"]     # exits that the guest would not cause else
    reset = "restart"         # or "end"
    test-kernel = false       # true: local APICs and an environment module
    env = ["NAME=VALUE"]      # adds to the environment module; means test-kernel
    watchdog = "30"           # seconds a guest may spin with interrupts off; "30,stop" ends it
    symbols = "System.map"    # for reports, where the kernel has none
"""
import pathlib
import re
import tomllib

from gatehouse import report, spec

_TABLE = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_.\"-]+)\s*\]?\]")
_KEY = re.compile(r"\s*\"?([A-Za-z0-9_-]+)\"?\s*[.=]")


class _Lines:
    """Where tables and keys stand, for messages; tomllib does not tell."""

    def __init__(self, text):
        self._tables = []
        self._keys = {}
        table, count = "", 0
        for number, line in enumerate(text.splitlines(), 1):
            if match := _TABLE.match(line):
                table = match[1]
                count += table == "vm"
                self._keys[(table, count if table == "vm" else 0, None)] = number
            elif match := _KEY.match(line):
                self._keys.setdefault((table, count if table == "vm" else 0, match[1]), number)

    def find(self, table, index, key=None):
        """The line of a key, else of its table, else 1."""
        return self._keys.get((table, index, key)) or self._keys.get((table, index, None)) or 1


def _text(value):
    if not isinstance(value, str):
        raise spec.Problem("a string in quotes is expected")
    return value


def _strings(value):
    if not isinstance(value, list):
        raise spec.Problem("a list of strings is expected")
    return [_text(item) for item in value]


def _modules(value, folder):
    pairs = [spec.parse_module(item) for item in _strings(value)]
    return [(str(folder / name), arguments) for name, arguments in pairs]


def _variables(value, _):
    if not isinstance(value, list):
        raise spec.Problem("a list of strings is expected")
    return [spec.parse_variable(_text(item)) for item in value]


def _switch(value, _):
    if not isinstance(value, bool):
        raise spec.Problem("true or false is expected")
    return value


def _integer(value):
    if isinstance(value, bool) or not isinstance(value, int):
        raise spec.Problem("a whole number is expected")
    return value


_READERS = {
    "name": lambda value, _: spec.parse_name(_text(value)),
    "kernel": lambda value, folder: str(folder / _text(value)),
    "type": lambda value, _: spec.parse_choice(_text(value), spec.TYPES, "type"),
    "initrd": lambda value, folder: str(folder / _text(value)),
    "modules": _modules,
    "append": lambda value, _: spec.one_line(_text(value), "append"),
    "memory": lambda value, _: spec.parse_size(value),
    "vcpus": lambda value, _: spec.parse_vcpus(_integer(value)),
    "weight": lambda value, _: spec.parse_weight(_integer(value)),
    "apic": lambda value, _: spec.parse_choice(_text(value), spec.APIC_CHOICES, "apic"),
    "intercept": lambda value, _: spec.parse_intercepts(_strings(value)),
    "watchdog": lambda value, _: spec.parse_watchdog(value),
    "symbols": lambda value, folder: str(folder / _text(value)),
    "reset": lambda value, _: spec.parse_choice(_text(value), ["restart", "end"], "reset"),
    "test-kernel": _switch,
    "env": _variables,
}


def _guest(table, index, folder, fail):
    guest = spec.Guest()
    if not isinstance(table, dict):
        fail("vm", 1, None, "[[vm]] tables are expected")
    for key, value in table.items():
        if key not in _READERS:
            fail("vm", index, key, f"unknown key {key}; known are {', '.join(_READERS)}")
        try:
            setattr(guest, key.replace("-", "_"), _READERS[key](value, folder))
        except spec.Problem as problem:
            fail("vm", index, key, f"{key}: {problem}")
    if "name" not in table:
        guest.name = spec.name_from(guest.kernel) if guest.kernel else f"linux{index}"
    return guest


def read(path):
    """The guests of a configuration file. Raises Failure: 66 unreadable, 64 malformed."""
    spec.check_file(path, "configuration")
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise report.Failure(report.USAGE, f"{path}: not UTF-8 text: {error.reason}") from error
    lines = _Lines(text)

    def fail(table, index, key, message):
        raise report.Failure(report.USAGE, f"{path}:{lines.find(table, index, key)}: {message}")

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        where = f"{match[1]}:{match[2]}" if match else str(len(text.splitlines()))
        what = re.sub(r" \(at .*", "", str(error))
        raise report.Failure(report.USAGE, f"{path}:{where}: {what}") from error
    for key in document:
        if key != "vm":
            fail(key if isinstance(document[key], dict) else "", 0, key,
                 f"unknown key or table {key}; [[vm]] tables are expected")
    tables = document.get("vm")
    if not isinstance(tables, list) or not tables:
        fail("vm", 1, None, "no [[vm]] table: each guest is one")
    folder = pathlib.Path(path).parent
    return [_guest(table, index, folder, fail) for index, table in enumerate(tables, 1)]
