# SPDX-License-Identifier: MIT
"""Runs the machine in QEMU: with KVM where the host really offers nested VMX, else in TCG, which
has no VMX: good for seeing that the host kernel says so."""
import datetime
import fcntl
import os
import pathlib
import struct
import subprocess

from gatehouse import console, engine, packages, report

NAME = "qemu"
PACKAGES = packages.QEMU
COMMANDS = ["qemu-system-x86_64"]
MEGABYTE = 1 << 20
TCG_MODEL = "max,vendor=GenuineIntel"
_KVM_GET_API_VERSION = 0xAE00
_KVM_GET_SUPPORTED_CPUID = 0xC008AE05
_CPUID_ENTRIES = 256
_CPUID_ENTRY = struct.Struct("<10I")  # function, index, flags, eax, ebx, ecx, edx, padding
_VMX_BIT = 5                          # of leaf 1 ECX


def _kvm_offers_vmx(descriptor):
    """Whether CPUID leaf 1, as this KVM can give it to a guest, has the VMX bit."""
    if fcntl.ioctl(descriptor, _KVM_GET_API_VERSION) != 12:
        return False
    table = bytearray(8 + _CPUID_ENTRIES * _CPUID_ENTRY.size)
    struct.pack_into("<I", table, 0, _CPUID_ENTRIES)
    fcntl.ioctl(descriptor, _KVM_GET_SUPPORTED_CPUID, table)
    count = struct.unpack_from("<I", table)[0]
    rows = (_CPUID_ENTRY.unpack_from(table, 8 + index * _CPUID_ENTRY.size)
            for index in range(count))
    return any(row[0] == 1 and row[5] >> _VMX_BIT & 1 for row in rows)


def nested_vmx():
    """(True, "") where QEMU/KVM can give the machine VMX, else (False, why not)."""
    parameter = pathlib.Path("/sys/module/kvm_intel/parameters/nested")
    if parameter.exists() and parameter.read_text(encoding="ascii").strip() not in ("Y", "1"):
        return False, "kvm_intel is loaded without nested=1"
    try:
        with open("/dev/kvm", "rb+", buffering=0) as device:
            if _kvm_offers_vmx(device.fileno()):
                return True, ""
            return False, "KVM here does not offer VMX to its guests"
    except OSError as error:
        return False, f"/dev/kvm cannot be used: {error.strerror}"


class Machine(engine.Machine):
    """A started QEMU. See console.Session for what it offers.

    `in_turns`: emulated CPUs share one thread and take turns, at PAUSE and HLT too; else each has
    its own, which is true parallelism, and slow where they wait for each other and outnumber the
    computer's."""

    def __init__(self, folder, iso, megabytes, cpus, use_kvm, firmware=None, clock=None,
                 in_turns=False):
        super().__init__(folder)
        accelerator = ["-accel", "kvm", "-cpu", "host"] if use_kvm else [
            "-accel", "tcg,thread=single" if in_turns else "tcg", "-cpu", TCG_MODEL]
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-vga",
            "std", *accelerator, "-m", str(megabytes), "-smp", str(cpus), "-no-reboot",
            "-cdrom", str(iso), "-boot", "d",
            "-chardev", f"serial,id=c1,path={self.com1.path}", "-serial", "chardev:c1",
            "-chardev", f"serial,id=c2,path={self.com2.path}", "-serial", "chardev:c2",
            "-debugcon", f"file:{self.folder / 'debug.out'}",
            "-global", "isa-debugcon.iobase=0xe9",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        command += ["-bios", firmware] if firmware else []
        if clock is not None:
            moment = datetime.datetime.fromtimestamp(clock, datetime.timezone.utc)
            command += ["-rtc", f"base={moment:%Y-%m-%dT%H:%M:%S}"]
        with open(self.folder / "qemu.log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True,
                                            preexec_fn=console.die_with_parent)

    def keep_display(self, data):
        """QEMU has no display here."""

    def post_mortem(self):
        """What QEMU said, for the message about a run without a status."""
        text = (self.folder / "qemu.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-12:])


def start(folder, iso, memory, cpus, clock=None):
    """Starts the machine with `memory` bytes of RAM. Raises Failure where QEMU does not start."""
    use_kvm, reason = nested_vmx()
    if not use_kvm:
        report.say(f"no nested VMX ({reason}): QEMU emulates the processor, which then has no VMX")
    try:
        return Machine(folder, iso, max(256, -(-memory // MEGABYTE)), cpus, use_kvm, clock=clock)
    except OSError as error:
        raise report.Failure(report.HOST_LACKS, f"QEMU cannot be started: {error}") from error
