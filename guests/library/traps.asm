; SPDX-License-Identifier: MIT
; Exception and interrupt entry of 64-bit test kernels: one stub for each of 64 vectors, then
;   void trap_handle(struct trap_frame *frame);
bits 64

extern trap_handle
global trap_stubs

; Vectors that push an error code.
%define HAS_ERROR_CODE(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17 || (n) == 21 || \
                           (n) == 29 || (n) == 30)

section .text
%assign vector 0
%rep 64
stub_ %+ vector:
%if !HAS_ERROR_CODE(vector)
    push qword 0
%endif
    push qword vector
    jmp stub_common
%assign vector vector + 1
%endrep

stub_common:
    push rax
    push rcx
    push rdx
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    mov rdi, rsp
    cld
    call trap_handle
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq

section .rodata
align 8
trap_stubs:                     ; const uintptr_t trap_stubs[64]
%assign vector 0
%rep 64
    dq stub_ %+ vector
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
