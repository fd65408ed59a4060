# SPDX-License-Identifier: MIT
"""Processors without usable VMX: one clear message and status 78, by BIOS and by UEFI."""
import pathlib

from gatehouse import engine_bochs, engine_qemu
from support import boot, guest, run

NO_VMX = 78
FIRMWARE = "/usr/share/ovmf/OVMF.fd"



def test_qemu_without_kvm():
    offered, _ = engine_qemu.nested_vmx()
    if offered:
        run(guest("hello_multiboot.elf"), "--engine", "qemu").expect(0)
        return
    result = run(guest("hello_multiboot.elf"), "--engine", "qemu")
    result.expect(NO_VMX, "no nested VMX", "VMX", "--engine bochs")
    assert result.output == b"", result.output


def test_amd_processor():
    result = boot(lambda place, image: engine_bochs.Machine(place, image, 256, model="zambezi"))
    result.expect(NO_VMX, "VMX")


def test_vmx_locked_off_by_firmware():
    """The firmware's `or eax, 5; wrmsr` to FEATURE_CONTROL becomes `or eax, 1`: locked, VMX off."""
    def start(place, image):
        code = pathlib.Path(engine_bochs.FIRMWARE).read_bytes()
        enable, lock = bytes.fromhex("83c8050f30"), bytes.fromhex("83c8010f30")
        assert enable in code, "this firmware does not write FEATURE_CONTROL as expected"
        (place / "bios").write_bytes(code.replace(enable, lock))
        return engine_bochs.Machine(place, image, 256, firmware=place / "bios")
    boot(start).expect(NO_VMX, "VMX", "firmware")


def test_uefi():
    assert pathlib.Path(FIRMWARE).exists(), "the package ovmf has no " + FIRMWARE
    result = boot(lambda place, image: engine_qemu.Machine(place, image, 512, 1, False, FIRMWARE))
    result.expect(NO_VMX, "VMX")
