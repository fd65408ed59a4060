; SPDX-License-Identifier: MIT
; system_call_entry: target of SYSENTER; RSP points at tss.rsp[0]. ABI: kernel/abi/syscall.h. RFLAGS
; is reset because SYSENTER keeps TF, AC, NT and DF. The mode becomes the kernel's here, in one step
; that a checked build sees through if it was the kernel's already; the table's functions make it the
; user's again, last of all. Leaves by SYSEXIT, or, when the caller's return
; addresses are not canonical user addresses, as a general-protection trap of the caller.
%include "asm_offsets.inc"
extern system_call_table, system_call_count, trap_common
global system_call_entry
global system_call_leave

section .text
align 16
system_call_entry:
    xor dword [rsp + ASM_CPU_MODE - ASM_CPU_RSP0], ASM_MODE_CROSSING
    mov rsp, [rsp]
    push rcx
    push rdx
    push ASM_RFLAGS_CLEAR
    popfq
    cmp rax, [rel system_call_count]
    jae .unknown
    mov r11, [rel system_call_table]
    mov rdx, r8
    mov rcx, r9
    mov r8, r10
    call [r11 + rax * 8]
.leave:
    pop rdx
    pop rcx
    mov rsi, rdx
    or rsi, rcx
    shr rsi, ASM_USER_ADDRESS_BITS
    jnz .bad_return
    xor edi, edi
    xor r8d, r8d
    xor r9d, r9d
    xor r10d, r10d
    xor r11d, r11d
.interrupts_on: ; hook_nmi goes back to it
    sti ; takes effect after the next instruction
    o64 sysexit

.unknown:
    mov rax, [rsp + 16] ; kernel_stack_top.cpu
    xor dword [rax + ASM_CPU_MODE], ASM_MODE_CROSSING
    mov rax, -ASM_STATUS_INVALID
    jmp .leave

.bad_return:
    push ASM_SELECTOR_USER_DATA
    push rcx
    push ASM_RFLAGS_USER
    push ASM_SELECTOR_USER_CODE
    push rdx
    push 0
    push ASM_VECTOR_GENERAL_PROTECTION
    jmp trap_common

system_call_leave equ system_call_entry.interrupts_on
