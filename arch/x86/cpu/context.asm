; SPDX-License-Identifier: MIT
; void switch_context(uint64_t *save, uint64_t load);
; void user_enter(uint64_t rip, uint64_t rsp, uint64_t rdi);
; context_start: where a stack made by context_prepare begins: RBX argument, RBP entry function.
%include "asm_offsets.inc"
global switch_context, user_enter, context_start

section .text
switch_context:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

context_start:
    mov rdi, rbx
    call rbp
    ud2

user_enter:
    push ASM_SELECTOR_USER_DATA
    push rsi
    push ASM_RFLAGS_USER
    push ASM_SELECTOR_USER_CODE
    push rdi
    mov rdi, rdx
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor ebp, ebp
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
    xor r12d, r12d
    xor r13d, r13d
    xor r14d, r14d
    xor r15d, r15d
    iretq
