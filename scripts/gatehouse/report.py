# SPDX-License-Identifier: MIT
"""Exit statuses, the one exception that ends a program with a status, and progress lines.

Everything written here goes to standard error: standard output belongs to the guest.
"""
import sys
import time

USAGE = 64
BAD_IMAGE = 66
HOST_LACKS = 68
HOST_PANIC = 70
TRIPLE_FAULT = 72
ENTRY_REFUSED = 74
UNHANDLED = 76
NO_VMX = 78
TIMEOUT = 124
INTERRUPTED = 130

_started = time.monotonic()
line_end = "\n"  # "\r\n" while the user's terminal is in raw mode


class Failure(Exception):
    """Ends the program with `status` after printing `message` (what is wrong, what to do)."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message


def say(text):
    """One progress line, with the seconds since the program started."""
    elapsed = time.monotonic() - _started
    sys.stderr.write(f"gatehouse: [{elapsed:5.1f} s] {text}{line_end}")
    sys.stderr.flush()


def message(text):
    """Text without a time: errors, and the host's own log lines. Each line gets the prefix."""
    for line in text.splitlines() or [""]:
        sys.stderr.write(f"gatehouse: {line}{line_end}")
    sys.stderr.flush()


def run_program(main):
    """Runs main() and turns a Failure into its message and exit status."""
    try:
        status = main()
    except Failure as failure:
        message(failure.message)
        status = failure.status
    except KeyboardInterrupt:
        message("interrupted")
        status = INTERRUPTED
    sys.exit(status or 0)
