# SPDX-License-Identifier: MIT
"""Debian's cloud kernel: resolved, downloaded and unpacked into the cache; nothing is installed."""
import pathlib
import re
import shutil
import subprocess

from gatehouse import paths, report

META_PACKAGE = "linux-image-cloud-amd64"
# In the order in which they are loaded.
KVM_MODULES = ["irqbypass.ko", "kvm.ko", "kvm-intel.ko"]
_FOLDER = paths.CACHE / "linux"


def _run(command, folder=None):
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)


def _private_lists():
    """apt options that keep package lists in the cache, so that updating needs no root."""
    for name in ("lists/partial", "archives/partial"):
        (paths.CACHE / "apt" / name).mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::Lists={paths.CACHE}/apt/lists",
            "-o", f"Dir::Cache={paths.CACHE}/apt", "-o", "Debug::NoLocking=1",
            "-o", "APT::Sandbox::User="]


def _real_package(options):
    """The package that the meta package stands for (its name carries the ABI), or None."""
    output = _run(["apt-cache", *options, "depends", META_PACKAGE]).stdout
    match = re.search(r"Depends: <?(linux-image-[^\s>]*cloud-amd64)>?", output)
    return match[1] if match else None


def _download(package, options):
    """Downloads and unpacks; the unpacked kernel, or what apt said."""
    target = _FOLDER / package
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    result = _run(["apt-get", *options, "-q", "download", package], target)
    archives = list(target.glob("*.deb"))
    if result.returncode or not archives:
        shutil.rmtree(target, ignore_errors=True)
        return None, result.stdout
    result = _run(["dpkg", "-x", archives[0].name, "tree"], target)
    kernels = list(target.glob("tree/boot/vmlinuz-*"))
    if result.returncode or not kernels:
        shutil.rmtree(target, ignore_errors=True)
        return None, result.stdout
    for module in KVM_MODULES:
        for path in target.glob(f"tree/lib/modules/**/{module}"):
            path.rename(target / module)
    kernels[0].rename(target / "vmlinuz")
    shutil.rmtree(target / "tree")
    archives[0].unlink()
    return target / "vmlinuz", ""


def _cached():
    kernels = sorted(_FOLDER.glob("*/vmlinuz"), key=lambda path: path.stat().st_mtime)
    return kernels[-1] if kernels else None


def _fetch():
    trouble = ""
    for update in (False, True):
        options = _private_lists() if update else []
        if update:
            trouble = _run(["apt-get", *options, "-q", "update"]).stdout
        package = _real_package(options)
        if not package:
            continue
        report.say(f"fetching {package}, Debian's own kernel")
        kernel, trouble = _download(package, options)
        if kernel:
            return kernel
    tail = "\n".join("  | " + line for line in trouble.strip().splitlines()[-6:])
    raise report.Failure(
        report.HOST_LACKS, f"Debian's kernel package {META_PACKAGE} cannot be fetched (no "
        f"network, or no Debian 12 package source?):\n{tail}\nEither run this again with network, "
        "or give a kernel of your own: scripts/run KERNEL [--initrd FILE], or put a kernel at\n  "
        f"{_FOLDER}/own/vmlinuz")


def kernel():
    """The path of Debian's kernel image, fetched the first time. Delete build/cache to renew."""
    with paths.locked("linux"):
        _FOLDER.mkdir(parents=True, exist_ok=True)
        return pathlib.Path(_cached() or _fetch())


def kvm_modules():
    """The paths of the kernel's KVM modules, fetched with it. A kernel that was fetched without them
    is fetched again."""
    folder = kernel().parent
    if not all((folder / module).is_file() for module in KVM_MODULES):
        with paths.locked("linux"):
            folder = pathlib.Path(_fetch()).parent
    missing = [module for module in KVM_MODULES if not (folder / module).is_file()]
    if missing:
        raise report.Failure(report.HOST_LACKS, f"Debian's kernel package has no {missing[0]}")
    return [folder / module for module in KVM_MODULES]
