; SPDX-License-Identifier: MIT
; Start of a 32-bit multiboot1 kernel: header, stack, then
;   void guest_main(uint32_t magic, uintptr_t information);
bits 32

MAGIC equ 0x1badb002
FLAGS equ 0x3                   ; modules on page boundaries, memory information

extern guest_main
global start

section .multiboot
align 4
    dd MAGIC, FLAGS, -(MAGIC + FLAGS)

section .text
start:
    mov esp, stack_top
    xor ebp, ebp
    push ebx
    push eax
    call guest_main
.stop:
    cli
    hlt
    jmp .stop

section .bss nobits alloc write align=16
    resb 16384
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
