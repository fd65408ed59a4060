; SPDX-License-Identifier: MIT
; The way of another processor from its start-up IPI to processor_main, on the stack that waits for
; it in processor_stack, with the kernel's page tables. The first part runs from a copy below 1 MiB,
; CS:IP = page:0. Tables and GDT are those of entry.asm. One that finds no stack was given up: halts.
%include "asm_offsets.inc"
extern boot_pml4, boot_gdt, processor_main
global processor_trampoline, processor_trampoline_end, processor_stack, processor_root

section .rodata
bits 16
processor_trampoline:
    mov eax, ASM_CR4_PAE
    mov cr4, eax
    mov eax, boot_pml4
    mov cr3, eax
    mov ecx, ASM_MSR_EFER
    mov eax, ASM_EFER_LME_NXE
    xor edx, edx
    wrmsr
    o32 lgdt [cs:.gdt_pointer - processor_trampoline]
    mov eax, ASM_CR0_BOOT ; paging and protection in one step: compatibility mode
    mov cr0, eax
    jmp dword ASM_SELECTOR_KERNEL_CODE:processor_long_mode
.gdt_pointer:
    dw 3 * 8 - 1
    dd boot_gdt
processor_trampoline_end:

section .boot.text progbits alloc exec nowrite align=16
bits 64
processor_long_mode: ; at its physical address
    mov eax, ASM_SELECTOR_KERNEL_DATA
    mov ss, eax
    mov rax, processor_claim
    jmp rax

section .text
processor_claim:
    xor eax, eax
    xchg rax, [rel processor_stack]
    test rax, rax
    jz .surplus
    mov rcx, [rel processor_root]
    mov cr3, rcx
    mov rsp, rax
    call processor_main
.surplus:
    cli
    hlt
    jmp .surplus

section .data
align 8
processor_stack: dq 0
processor_root:  dq 0
