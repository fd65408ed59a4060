# SPDX-License-Identifier: MIT
"""Debian packages: which are missing, and installing them with apt as root or through sudo."""
import os
import shutil
import subprocess
import sys

from gatehouse import report

BUILD = ["gcc", "binutils", "libc6-dev", "nasm", "cmake", "ninja-build"]
IMAGE = ["grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "xorriso", "mtools"]
BOCHS = ["bochs", "bochs-term", "bochsbios", "vgabios"]
QEMU = ["qemu-system-x86"]
LINUX = ["busybox-static"]
BROWSER = ["chromium"]  # 115 MB to load, 370 MB installed: only for scripts/test --browser
TEST = ["git", "libcmocka-dev", "libzydis-dev", "clang-format", "clang-tidy", "cppcheck", "acpica-tools",
        "qemu-system-x86", "ovmf", "spin", "clang", "libclang-rt-14-dev"]


def missing(names):
    """Those of the packages that are not installed. Refuses a machine without dpkg."""
    if not shutil.which("dpkg-query"):
        raise report.Failure(report.HOST_LACKS, "dpkg-query is not here: these scripts install "
                             "what they need on Debian 12; elsewhere install by hand: "
                             + " ".join(names))
    result = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    rows = (line.split() for line in result.stdout.splitlines())
    installed = {row[0] for row in rows if row[-1] == "installed"}
    return [name for name in names if name not in installed]


def is_root():
    """Whether we may install packages without sudo."""
    result = subprocess.run(["id", "-u"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            check=False)
    return result.stdout.strip() == "0"


def _privilege():
    """The command prefix that makes a command run as root, or None."""
    if is_root():
        return []
    if not shutil.which("sudo"):
        return None
    quiet = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True,
                           check=False)
    if quiet.returncode == 0:
        return ["sudo", "-n"]
    return ["sudo"] if sys.stdin.isatty() and sys.stderr.isatty() else None


def _apt(prefix, arguments):
    """One apt-get call; what it printed if it failed, else an empty string."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", *arguments]
    stdin = None if prefix == ["sudo"] else subprocess.DEVNULL
    result = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    return result.stdout or f"status {result.returncode}" if result.returncode else ""


def install_line(names):
    """What a person types to install the packages."""
    return "apt-get update && apt-get install -y --no-install-recommends " + " ".join(names)


def ensure(names):
    """Installs those of the packages that are missing, or says exactly what to type."""
    absent = missing(names)
    if not absent:
        return
    prefix = _privilege()
    if prefix is None:
        raise report.Failure(report.HOST_LACKS, f"{len(absent)} Debian packages are missing, and "
                             "this user is neither root nor allowed to use sudo without a "
                             f"password. As root, type:\n  {install_line(absent)}")
    report.say("installing " + " ".join(absent))
    install = ["install", "-y", "--no-install-recommends", *absent]
    trouble = _apt(prefix, install)
    if trouble:
        _apt(prefix, ["update"])
        trouble = _apt(prefix, install)
    if trouble or missing(absent):
        tail = "\n".join("  | " + line for line in trouble.strip().splitlines()[-6:])
        raise report.Failure(report.HOST_LACKS, "apt-get could not install what is missing "
                             "(no network, or no package source?):\n" + tail +
                             "\nOnce there is network, as root, type:\n  "
                             + install_line(absent))


def require(*commands):
    """Checks that commands can be found (a package may be there and PATH may not)."""
    absent = [name for name in commands if not shutil.which(name)]
    if absent:
        raise report.Failure(report.HOST_LACKS, "not found in PATH although their packages are "
                             "installed: " + ", ".join(absent) + "; PATH is "
                             + os.environ.get("PATH", "empty"))
