; SPDX-License-Identifier: MIT
; The multiboot2 header ("OS image format" of the Multiboot2 specification). The linker script puts
; it at the start of the image. Serves BIOS and UEFI loaders alike: both enter at boot_entry in
; 32-bit protected mode.
section .multiboot progbits alloc noexec nowrite align=8

MAGIC        equ 0xe85250d6
ARCHITECTURE equ 0 ; i386 protected mode

header:
    dd MAGIC
    dd ARCHITECTURE
    dd header_end - header
    dd -(MAGIC + ARCHITECTURE + (header_end - header)) & 0xffffffff

    align 8
    dw 1, 0 ; information request, required: memory map
    dd 12
    dd 6

    align 8
    dw 6, 0 ; modules start on page boundaries
    dd 8

    align 8
    dw 0, 0 ; end
    dd 8
header_end:
