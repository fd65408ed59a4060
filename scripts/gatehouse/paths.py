# SPDX-License-Identifier: MIT
"""Where things are: the source tree, the build folder, and the cache of downloaded packages."""
import contextlib
import fcntl
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GATEHOUSE_BUILD") or ROOT / "build").absolute()
CACHE = BUILD / "cache"


@contextlib.contextmanager
def locked(name):
    """Holds the named lock of the build folder, so that two runs do not build or fetch at once."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / f".{name}.lock", "w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
