; SPDX-License-Identifier: MIT
; void segments_load(const void *pointer, uint64_t tss_selector): LGDT from a 10-byte pointer, then
; every segment register and the task register from it; no LDT. Called once per CPU.
%include "asm_offsets.inc"
global segments_load

section .text
segments_load:
    lgdt [rdi]
    mov eax, ASM_SELECTOR_KERNEL_DATA
    mov ss, eax
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    lldt ax
    ltr si
    pop rax ; the return address, taken with the new code segment
    push ASM_SELECTOR_KERNEL_CODE
    push rax
    o64 retf
