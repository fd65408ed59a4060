; SPDX-License-Identifier: MIT
; The system-call instruction behind vmm/runtime/system_call.h:
;     int64_t system_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
;                         uint64_t e);
; SYSENTER keeps no return address: rdx and rcx name the caller's, so that SYSEXIT returns straight
; to it. kernel/abi/syscall.h has the convention.
default rel
bits 64

global system_call

section .text
system_call:
    mov rax, rdi
    mov rdi, rsi
    mov rsi, rdx
    mov r10, r9
    mov r9, r8
    mov r8, rcx
    mov rdx, [rsp]
    lea rcx, [rsp + 8]
    sysenter
