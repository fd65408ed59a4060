; SPDX-License-Identifier: MIT
; void boot_entry(void): from the loader's 32-bit protected mode (EAX magic, EBX information) to
; arch_main(magic, information) in the higher half. Runs at its physical address; the temporary
; tables map the first 4 GiB at 0, in the direct map and at KERNEL_BASE (the last 2 GiB).
%include "asm_offsets.inc"
extern arch_main, boot_stack_end, boot_die
global boot_entry, boot_pml4, boot_gdt

section .boot.text progbits alloc exec nowrite align=16
bits 32
boot_entry:
    cli
    cld
    mov ebp, eax
    mov esi, ebx
    mov eax, 0x80000000 ; is there a leaf that tells of 64-bit mode?
    cpuid
    cmp eax, 0x80000001
    jb .no_long_mode
    mov eax, 0x80000001
    cpuid
    bt edx, 29
    jnc .no_long_mode

    mov edi, boot_directories ; 4 GiB in 2 MiB pages: present, writable, large
    mov eax, 0x83
.fill: ; the upper halves are zero, as the loader left them
    mov [edi], eax
    add edi, 8
    add eax, 0x200000
    jnc .fill
    mov eax, boot_directories + 3
    xor ecx, ecx
.link:
    mov [boot_pdpt + ecx * 8], eax
    add eax, 0x1000
    inc ecx
    cmp ecx, 4
    jb .link
    mov dword [boot_pdpt_high + 510 * 8], boot_directories + 3
    mov dword [boot_pdpt_high + 511 * 8], boot_directories + 0x1000 + 3
    mov dword [boot_pml4], boot_pdpt + 3
    mov dword [boot_pml4 + 256 * 8], boot_pdpt + 3
    mov dword [boot_pml4 + 511 * 8], boot_pdpt_high + 3

    mov eax, ASM_CR4_PAE
    mov cr4, eax
    mov eax, boot_pml4
    mov cr3, eax
    mov ecx, ASM_MSR_EFER
    rdmsr
    or eax, ASM_EFER_LME
    wrmsr
    mov eax, ASM_CR0_BOOT
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    jmp ASM_SELECTOR_KERNEL_CODE:long_mode
.no_long_mode:
    mov esi, no_long_mode_text
    jmp boot_die

bits 64
long_mode:
    mov eax, ASM_SELECTOR_KERNEL_DATA
    mov ss, eax
    mov rsp, boot_stack_end
    mov edi, ebp
    mov esi, esi
    mov rax, arch_main
    call rax
    ud2

section .boot.data progbits alloc noexec write align=16
boot_gdt:
    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    dw $ - boot_gdt - 1
    dd boot_gdt
no_long_mode_text:
    db "Gatehouse needs a processor with 64-bit mode.", 13, 10, 0

section .boot.bss nobits alloc noexec write align=4096
boot_pml4:        resb 4096
boot_pdpt:        resb 4096
boot_pdpt_high:   resb 4096
boot_directories: resb 4 * 4096
