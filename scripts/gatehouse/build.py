# SPDX-License-Identifier: MIT
"""Configures and builds with CMake and Ninja. Output is shown only where a build fails."""
import os
import subprocess

from gatehouse import paths, report

PRODUCT = ["gatehouse.elf", "monitor.elf", "console.elf"]
LOCATION = {"gatehouse.elf": "kernel/gatehouse.elf", "monitor.elf": "vmm/monitor.elf",
            "console.elf": "vmm/console.elf"}


def _command(arguments, what):
    result = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-60:])
        raise report.Failure(report.HOST_LACKS, f"{what} failed:\n{tail}")
    return result.stdout


def configure():
    """Makes the build folder's Ninja files, or brings them up to date."""
    if (paths.BUILD / "build.ninja").exists():
        _command(["ninja", "-C", str(paths.BUILD), "build.ninja"], "configuring with CMake")
        return
    report.say("configuring the build")
    _command(["cmake", "-G", "Ninja", "-S", str(paths.ROOT), "-B", str(paths.BUILD)],
             "configuring with CMake")


def targets(names):
    """Builds the named Ninja targets. Raises Failure with the compiler's last lines."""
    with paths.locked("build"):
        configure()
        _command(["ninja", "-C", str(paths.BUILD), f"-j{os.cpu_count() or 2}", *names],
                 "building " + " ".join(names))


def product():
    """Builds the kernel and the ring-3 programs; their paths by name."""
    report.say("building the hypervisor")
    targets(PRODUCT)
    return {name: paths.BUILD / LOCATION[name] for name in PRODUCT}
