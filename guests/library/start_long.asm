; SPDX-License-Identifier: MIT
; Start of a multiboot1 kernel whose C code is 64-bit: header, identity map of 4 GiB, long mode, then
;   void guest_main(uint32_t magic, uintptr_t information);
bits 32

MAGIC     equ 0x1badb002
FLAGS     equ 0x3
EFER      equ 0xc0000080
ENTRY     equ 0x003             ; present, writable
LARGE     equ 0x083             ; the same, 2 MiB page

extern guest_main
global start

section .multiboot
align 4
    dd MAGIC, FLAGS, -(MAGIC + FLAGS)

section .text
start:
    mov esp, stack_top
    mov edi, eax                ; the arguments, where 64-bit code expects them
    mov esi, ebx
    mov dword [level4], level3 + ENTRY
    xor ecx, ecx
.pointer:
    mov eax, ecx
    shl eax, 12
    add eax, level2 + ENTRY
    mov [level3 + ecx * 8], eax
    inc ecx
    cmp ecx, 4
    jb .pointer
    xor ecx, ecx
.large_page:
    mov eax, ecx
    shl eax, 21
    or eax, LARGE
    mov [level2 + ecx * 8], eax
    inc ecx
    cmp ecx, 4 * 512
    jb .large_page
    mov eax, level4
    mov cr3, eax
    mov eax, cr4
    or eax, 1 << 5              ; PAE
    mov cr4, eax
    mov ecx, EFER
    rdmsr
    or eax, 1 << 8              ; LME
    wrmsr
    mov eax, cr0
    or eax, 1 << 31             ; PG
    mov cr0, eax
    lgdt [descriptor_table_register]
    jmp 0x08:long_mode

bits 64
long_mode:
    mov eax, 0x10
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov esp, stack_top
    xor ebp, ebp
    call guest_main
.stop:
    cli
    hlt
    jmp .stop

section .rodata
align 8
descriptors:
    dq 0
    dq 0x00af9b000000ffff       ; 0x08 64-bit code
    dq 0x00cf93000000ffff       ; 0x10 data
descriptor_table_register:
    dw $ - descriptors - 1
    dd descriptors

section .bss nobits alloc write align=4096
level4: resb 4096
level3: resb 4096
level2: resb 4 * 4096
    resb 16384
stack_top:

section .note.GNU-stack noalloc noexec nowrite progbits
