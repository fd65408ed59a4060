; SPDX-License-Identifier: MIT
; uint64_t user_copy(void *destination, const void *source, uint64_t size): 0, or 1 after a page
; fault on a user address. Between user_copy_begin and user_copy_end trap.c turns such a fault into
; a jump to user_copy_fault. EFLAGS.AC opens SMAP's gate there; where there is no SMAP it is idle.
%include "asm_offsets.inc"
global user_copy, user_copy_begin, user_copy_end, user_copy_fault

section .text
user_copy:
    push ASM_RFLAGS_CLEAR | ASM_RFLAGS_AC
    popfq
    mov rcx, rdx
    shr rcx, 3
    and edx, 7
user_copy_begin:
    rep movsq
    mov ecx, edx
    rep movsb
user_copy_end:
    push ASM_RFLAGS_CLEAR
    popfq
    xor eax, eax
    ret

user_copy_fault:
    push ASM_RFLAGS_CLEAR
    popfq
    mov eax, 1
    ret
