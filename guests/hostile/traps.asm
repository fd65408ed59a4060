; SPDX-License-Identifier: MIT
; All 256 vectors, the way back from any of them to machine_try, and the way into ring 3.
;   uint32_t trap_attempt(void (*event)(void));    0, or the vector that ended it + 1
;   void trap_enter_user(const struct user_state *state);
bits 64
default rel

%include "guests/library/trap_stubs.inc"

extern trap_interrupt           ; bool trap_interrupt(uint64_t vector, uint64_t cs): end the event?
extern trap_repair              ; void trap_repair(void)
global trap_attempt
global trap_enter_user

section .text
trap_attempt:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [recovery_stack], rsp
    call rdi
    xor eax, eax
.out:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

    TRAP_STUBS 256

stub_common:                         ; on the stack: vector, error code, RIP, CS, ...
    SAVE_VOLATILE
    mov rdi, [rsp + 72]
    mov rsi, [rsp + 96]
    cld
    call trap_interrupt
    test al, al
    jnz .ends
    RESTORE_VOLATILE
    add rsp, 16
    iretq
.ends:
    mov ebx, [rsp + 72]
    inc ebx
    mov rsp, [recovery_stack]
    call trap_repair
    mov eax, ebx
    jmp trap_attempt.out

trap_enter_user:                ; rdi: 15 registers, then SS, RSP, RFLAGS, CS, RIP
    push qword [rdi + 15 * 8]
    push qword [rdi + 16 * 8]
    push qword [rdi + 17 * 8]
    push qword [rdi + 18 * 8]
    push qword [rdi + 19 * 8]
    mov rax, [rdi]
    mov rcx, [rdi + 8]
    mov rdx, [rdi + 16]
    mov rbx, [rdi + 24]
    mov rbp, [rdi + 32]
    mov rsi, [rdi + 40]
    mov r8, [rdi + 48]
    mov r9, [rdi + 56]
    mov r10, [rdi + 64]
    mov r11, [rdi + 72]
    mov r12, [rdi + 80]
    mov r13, [rdi + 88]
    mov r14, [rdi + 96]
    mov r15, [rdi + 104]
    mov rdi, [rdi + 112]
    iretq

section .rodata
align 8
    TRAP_STUB_TABLE 256

section .bss nobits alloc write align=8
recovery_stack: resq 1

section .note.GNU-stack noalloc noexec nowrite progbits
