# SPDX-License-Identifier: MIT
"""Runs the machine in Bochs: its configuration file, its process, and reading how it ended.

Bochs' only packaged text display wants a terminal of its own, so it gets a pseudo-terminal that
is read and kept for --keep. The debugger build starts only with a command file.
"""
import fcntl
import os
import re
import subprocess
import termios

from gatehouse import console, engine, exit_log, packages, report

NAME = "bochs"
PACKAGES = packages.BOCHS
COMMANDS = ["bochs"]
FIRMWARE = "/usr/share/bochs/BIOS-bochs-latest"
MODEL = "corei7_haswell_4770"
# Those whose VMX has what Gatehouse needs.
MODELS = ["corei7_sandy_bridge_2600k", "corei7_ivy_bridge_3770k", MODEL, "broadwell_ult",
          "corei7_skylake_x", "corei3_cnl", "corei7_icelake_u", "tigerlake"]
# A lower figure makes an emulated second, and so every delay and serial byte, cost fewer
# instructions.
IPS = 20_000_000
BENCHMARK_IPS = 100_000_000
MEGABYTE = 1 << 20

_BOCHSRC = """\
plugin_ctrl: unmapped=1, biosdev=1, speaker=0, extfpuirq=1, parallel=0, serial=1, e1000=0
display_library: term
romimage: file={firmware}
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model={model}, count={cpus}, ips={ips}, reset_on_triple_fault=0
megs: {megabytes}
ata0-master: type=cdrom, path="{iso}", status=inserted
boot: cdrom
clock: sync=none, time0={clock}
com1: enabled=1, mode=term, dev={com1}
com2: enabled=1, mode=term, dev={com2}
port_e9_hack: enabled=1
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
log: {log}
"""


class Machine(engine.Machine):
    """A started Bochs. See console.Session for what it offers."""

    def __init__(self, folder, iso, megabytes, cpus=1, ips=IPS, model=MODEL, debugger=("c",),
                 firmware=FIRMWARE, clock=None):
        super().__init__(folder)
        self._display = console.Pty()
        self.drains = [self._display.master]
        self._display_file = open(self.folder / "display.out", "wb")
        self._debug_file = open(self.folder / "debug.out", "wb")
        self.opened += [self._display, self._display_file, self._debug_file]
        (self.folder / "bochsrc").write_text(_BOCHSRC.format(
            model=model, cpus=cpus, ips=ips, megabytes=megabytes, iso=iso, com1=self.com1.path,
            com2=self.com2.path, firmware=firmware, clock="local" if clock is None else clock,
            log=self.folder / "bochs.log"), encoding="utf-8")
        # Whatever stops the emulation ends Bochs: the debugger would wait for a command.
        (self.folder / "debugger").write_text("\n".join([*debugger, "quit", ""]), encoding="utf-8")
        self.process = self._start()

    def _start(self):
        fcntl.ioctl(self._display.slave, termios.TIOCSWINSZ, b"\x19\0\x50\0\0\0\0\0")
        environment = dict(os.environ, TERM="vt100", LC_ALL="C", BXSHARE="/usr/share/bochs")
        return subprocess.Popen(
            ["bochs", "-q", "-f", str(self.folder / "bochsrc"), "-rc",
             str(self.folder / "debugger")],
            stdin=self._display.slave, stdout=self._display.slave, stderr=self._display.slave,
            env=environment, start_new_session=True, preexec_fn=console.die_with_parent)

    def keep_display(self, data):
        """Keeps what Bochs wrote to its display: screen and debugger output; and apart from it the
        frames from port 0xe9, which have bit 7 set in each byte."""
        if not data.isascii():
            self._debug_file.write(data.translate(None, exit_log.LOW_BYTES))
            data = data.translate(None, exit_log.HIGH_BYTES)
        self._display_file.write(data)

    def post_mortem(self):
        """The last lines Bochs logged, for the message about a run without a status."""
        try:
            text = (self.folder / "bochs.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        lines = [line for line in text.splitlines() if re.match(r"\d+[ep]|.*(PANIC|triple)", line)]
        return "\n".join((lines or text.splitlines())[-12:])


def start(folder, iso, memory, cpus, clock=None, model=None):
    """Starts the machine with `memory` bytes of RAM; its clock says `clock` (seconds since 1970),
    or what this computer's says. Raises Failure where Bochs does not start."""
    try:
        return Machine(folder, iso, max(256, -(-memory // MEGABYTE)), cpus, clock=clock,
                       model=model or MODEL)
    except OSError as error:
        raise report.Failure(report.HOST_LACKS, f"bochs cannot be started: {error}") from error
