; SPDX-License-Identifier: MIT
; Exception and interrupt entry of 64-bit test kernels: one stub for each of 64 vectors, then
;   void trap_handle(struct trap_frame *frame);
bits 64

%include "guests/library/trap_stubs.inc"

extern trap_handle

section .text
    TRAP_STUBS 64

stub_common:
    SAVE_VOLATILE
    mov rdi, rsp
    cld
    call trap_handle
    RESTORE_VOLATILE
    add rsp, 16
    iretq

section .rodata
align 8
    TRAP_STUB_TABLE 64

section .note.GNU-stack noalloc noexec nowrite progbits
