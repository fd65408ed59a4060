; SPDX-License-Identifier: MIT
; Start of a 64-bit ELF kernel, entered in 64-bit mode with an identity map and RSI = boot_params:
;   void guest_main(uint32_t magic, uintptr_t information);   with 0 and RSI
bits 64

extern guest_main
global start

section .text
start:
    lea rsp, [rel stack_top]
    xor ebp, ebp
    xor edi, edi
    call guest_main
.stop:
    cli
    hlt
    jmp .stop

section .bss nobits alloc write align=16
    resb 16384
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
