# SPDX-License-Identifier: MIT
"""Writes an initramfs (newc cpio) around busybox. Device nodes are only archive entries, so no
privilege is needed."""
import pathlib
import subprocess

from gatehouse import paths, report

BUSYBOX = pathlib.Path("/bin/busybox")
FOLDERS = ["bin", "dev", "etc", "proc", "root", "sys", "tmp"]
# Name, mode with type, major, minor.
NODES = [("dev/console", 0o020600, 5, 1), ("dev/null", 0o020666, 1, 3),
         ("dev/tty", 0o020666, 5, 0), ("dev/ttyS0", 0o020600, 4, 64),
         ("dev/port", 0o020600, 1, 4)]
DIRECTORY, REGULAR, LINK = 0o040755, 0o100755, 0o120777


class Archive:
    """A newc archive being written. Entries appear in the order they are added."""

    def __init__(self):
        self._parts = []
        self._inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        """Appends an entry: mode with its type bits, contents (a link's target), device number."""
        self._inode += 1
        encoded = name.encode() + b"\0"
        links = 2 if mode & 0o170000 == 0o040000 else 1
        fields = [self._inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._parts += [_padded(header + encoded), _padded(data)]

    def bytes(self):
        """The whole archive with its trailer."""
        self.add("TRAILER!!!", 0)
        return b"".join(self._parts)


def _padded(data):
    return data + bytes(-len(data) % 4)


def _applets():
    result = subprocess.run([str(BUSYBOX), "--list"], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False)
    return [name for name in result.stdout.split() if name != "busybox"]


def _guest_file(name):
    path = paths.ROOT / "guests" / "linux" / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise report.Failure(report.BAD_IMAGE, f"{path}: {error.strerror}") from error


def default(extra=()):
    """The default guest's initramfs as bytes. `extra`: (name, mode, contents) entries."""
    if not BUSYBOX.exists():
        raise report.Failure(report.HOST_LACKS, f"{BUSYBOX} is not there although the package "
                             "busybox-static is installed: apt-get install --reinstall "
                             "busybox-static")
    archive = Archive()
    for name in FOLDERS:
        archive.add(name, DIRECTORY)
    for name, mode, major, minor in NODES:
        archive.add(name, mode, device=(major, minor))
    archive.add("bin/busybox", REGULAR, BUSYBOX.read_bytes())
    for name in _applets():
        archive.add("bin/" + name, LINK, b"busybox")
    archive.add("sbin", LINK, b"bin")
    archive.add("init", REGULAR, _guest_file("init"))
    archive.add("etc/inittab", REGULAR, _guest_file("inittab"))
    archive.add("etc/session", REGULAR, _guest_file("session"))
    for name, mode, data in extra:
        archive.add(name, mode, data)
    return archive.bytes()
