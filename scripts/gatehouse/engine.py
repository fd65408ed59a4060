# SPDX-License-Identifier: MIT
"""What the machines of engine_bochs.py and engine_qemu.py share: two serial ports, the log from
COM2, and an end."""
import os
import pathlib
import signal

from gatehouse import console


class Machine:
    """A machine whose emulator the engine starts, as `process`. See console.Session for what it
    offers."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.com1, self.com2 = console.Pty(), console.Pty()
        self.drains = []
        self._log_file = open(self.folder / "host.log", "wb")
        self.opened = [self.com1, self.com2, self._log_file]  # to close at the end
        self.process = None

    def keep_log(self, data):
        """Keeps what came from COM2."""
        self._log_file.write(data)
        self._log_file.flush()

    def stop(self):
        """Ends the emulator if it still runs and closes everything. May be called twice."""
        if self.process and self.process.poll() is None:
            for number in (signal.SIGCONT, signal.SIGKILL):
                os.killpg(self.process.pid, number)
            self.process.wait()
        while self.opened:
            self.opened.pop().close()
