# SPDX-License-Identifier: MIT
"""Completes the host log's reports about guests that died: symbols behind addresses, and the code
disassembled. The reports are made by vmm/monitor/post_mortem.c; each line is `[guest] | text`."""
import bisect
import pathlib
import re
import shutil
import subprocess
import tempfile

from gatehouse import report, spec

_LINE = re.compile(r"\[([A-Za-z0-9._-]+)\] \| (.*)")
_ADDRESS = re.compile(r"\b(rip|address) 0x([0-9a-f]{16})\b")
_CODE = re.compile(r"code at 0x([0-9a-f]+), (16|32|64)-bit:((?: [0-9a-f]{2})+)$")
_MACHINES = {"16": "i8086", "32": "i386", "64": "i386:x86-64"}
_FAR = 1 << 20  # bytes behind a symbol that still belong to it


class Symbols:
    """Names of addresses, from an ELF file or a System.map. Empty where there are none."""

    def __init__(self, path):
        self._addresses, self._names = [], []
        rows = re.findall(r"^([0-9a-f]+) [A-Za-z] (\S+)$", self._table(path), re.MULTILINE)
        for address, name in sorted((int(address, 16), name) for address, name in rows):
            self._addresses.append(address)
            self._names.append(name)

    @staticmethod
    def _table(path):
        try:
            with open(path, "rb") as file:
                start = file.read(4)
            if start == b"\x7fELF":
                result = subprocess.run(["nm", str(path)], capture_output=True, text=True,
                                        stdin=subprocess.DEVNULL, check=False)
                return result.stdout
            if re.fullmatch(rb"[0-9a-f]{4}", start):
                return pathlib.Path(path).read_text(encoding="ascii", errors="replace")
        except OSError:
            pass
        return ""

    def __bool__(self):
        return bool(self._names)

    def name(self, address):
        """`symbol+0xoffset`, or None."""
        at = bisect.bisect_right(self._addresses, address) - 1
        if at < 0 or address - self._addresses[at] >= _FAR:
            return None
        offset = address - self._addresses[at]
        return self._names[at] + (f"+0x{offset:x}" if offset else "")


def disassemble(code, address, mode):
    """Lines of assembly for bytes at an address; none where objdump is missing."""
    if not shutil.which("objdump"):
        return []
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(code)
        file.flush()
        result = subprocess.run(
            ["objdump", "-D", "-b", "binary", "-m", _MACHINES[mode], "-M", "intel",
             f"--adjust-vma={address:#x}", file.name], capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=False)
    rows = re.findall(r"^ *([0-9a-f]+):\t([0-9a-f ]+?) *\t(.*)$", result.stdout, re.MULTILINE)
    return [f"{row[0]:>16}: {row[1]:<32} {row[2].rstrip()}" for row in rows]


class Reader:
    """Takes the lines of a host log one by one and gives each back with what can be said about it."""

    def __init__(self, guests):
        self._guests = {guest.name: guest for guest in guests}
        self._symbols = {}
        self._told = set()

    def _symbols_of(self, name):
        if name not in self._symbols:
            guest = self._guests.get(name, spec.Guest())
            source = guest.symbols or guest.kernel
            self._symbols[name] = Symbols(source) if source else None
        return self._symbols[name]

    def _no_symbols(self, name):
        """Said once for each guest."""
        if name in self._told:
            return []
        self._told.add(name)
        return [f"[{name}] | its kernel file has no symbols; --symbols FILE takes them from an ELF "
                "file or a System.map"]

    def _with_names(self, name, text):
        def named(match):
            symbol = self._symbols_of(name).name(int(match[2], 16))
            return match[0] + (f" <{symbol}>" if symbol else "")
        return _ADDRESS.sub(named, text)

    def read(self, line):
        """The line completed, and lines to follow it."""
        match = _LINE.fullmatch(line)
        if not match or match[1] not in self._guests:
            return [line]
        name, text = match.groups()
        if code := _CODE.search(text):
            rows = disassemble(bytes.fromhex(code[3]), int(code[1], 16), code[2])
            return [line] + [f"[{name}] | {row}" for row in rows]
        if not self._symbols_of(name):
            return [line] + (self._no_symbols(name) if "---- end" in text else [])
        return [f"[{name}] | {self._with_names(name, text)}"]


def check(path):
    """Refuses a file without symbols, before anything is built."""
    spec.check_file(path, "symbols")
    if not Symbols(path):
        raise report.Failure(report.BAD_IMAGE, f"symbols {path}: neither an ELF file with symbols "
                             "nor a System.map")
