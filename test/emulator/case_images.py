# SPDX-License-Identifier: MIT
"""Malformed images: each is refused with status 66 and a message that names the file."""
import struct

from gatehouse import linux
from support import folder, guest, run

BAD_IMAGE = 66


def _refused(path, *arguments, says):
    run(path, "--engine", "bochs", *arguments).expect(BAD_IMAGE, path.name, *says)


def _changed_kernel(place, change, length=None):
    """A copy of Debian's kernel after change(bytearray), cut to a length."""
    data = bytearray(linux.kernel().read_bytes()[:length])
    change(data)
    path = place / "bzImage"
    path.write_bytes(data)
    return path


def test_text_file():
    with folder() as place:
        path = place / "notes.txt"
        path.write_text("This is no kernel.\n" * 100)
        _refused(path, says=["multiboot", "ELF"])


def test_truncated_bzimage():
    with folder() as place:
        _refused(_changed_kernel(place, lambda data: None, 5_000_000), says=["truncated"])


def test_bzimage_cut_in_its_header():
    with folder() as place:
        _refused(_changed_kernel(place, lambda data: None, 0x240), says=["truncated"])


def test_bzimage_for_32_bit_only():
    def clear(data):
        flags = struct.unpack_from("<H", data, 0x236)[0]
        struct.pack_into("<H", data, 0x236, flags & ~1)
    with folder() as place:
        _refused(_changed_kernel(place, clear), says=["64-bit"])


def test_initrd_too_large():
    with folder() as place:
        initrd = place / "initrd.img"
        with open(initrd, "wb") as target:
            target.truncate(48 << 20)
        result = run(linux.kernel(), "--initrd", initrd, "--memory", "96M", "--engine", "bochs")
        result.expect(BAD_IMAGE, "initrd.img", "memory")


def test_memory_too_small_for_linux():
    run("--memory", "16M", "--engine", "bochs").expect(BAD_IMAGE, "memory")


def _multiboot_elf(place, address, size=4096):
    """A multiboot kernel of one segment of `size` bytes at a physical address."""
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, address + 84, 52, 0, 0, 52,
                         32, 1, 0, 0, 0)
    segment = struct.pack("<8I", 1, 0, address, address, 4096, size, 7, 4096)
    magic = struct.pack("<III", 0x1BADB002, 0, (1 << 32) - 0x1BADB002)
    path = place / "test.elf"
    path.write_bytes((header + segment + magic).ljust(4096, b"\xf4"))
    return path


def test_multiboot_outside_of_memory():
    with folder() as place:
        _refused(_multiboot_elf(place, 0x40000000), "--memory", "64M", says=["0x40000000"])


def test_multiboot_over_the_boot_information():
    with folder() as place:
        _refused(_multiboot_elf(place, 0x9000, 0x60000), says=["0x9000", "boot information"])


def test_truncated_elf():
    with folder() as place:
        path = place / "short.elf"
        path.write_bytes(guest("hello_elf64.elf").read_bytes()[:100])
        _refused(path, says=["truncated"])
