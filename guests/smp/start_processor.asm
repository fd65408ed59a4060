; SPDX-License-Identifier: MIT
; Where started processors begin, copied to STARTUP_ADDRESS by main.c, and the entries of interrupts:
;   extern uint8_t startup_begin[], startup_end[];
;   void load_descriptor_tables(void);
;   extern void *const interrupt_entries[];    four, for the vectors from VECTOR_FIRST on
; They call, with its number from 0 on,
;   void interrupt(uint32_t number);
; and a started processor, with its number from 1 on,
;   void processor_main(uint32_t number);
STARTUP_ADDRESS equ 0x8000
STACK_BYTES     equ 4096

extern interrupt
extern processor_main
extern processor_stacks
extern idt_pointer
global startup_begin
global startup_end
global load_descriptor_tables
global interrupt_entries

section .text
bits 16
startup_begin:
    cli
    xor ax, ax
    mov ds, ax
    o32 lgdt [STARTUP_ADDRESS + (gdt_low - startup_begin)]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword 8:started
gdt_low:
    dw gdt_end - gdt - 1
    dd gdt
startup_end:

bits 32
started:
    call load_segments
    mov ebx, 1
    lock xadd [started_count], ebx
    inc ebx                         ; this processor's number
    mov esp, ebx
    imul esp, STACK_BYTES
    add esp, processor_stacks + STACK_BYTES
    lidt [idt_pointer]
    push ebx
    call processor_main
.stop:
    cli
    hlt
    jmp .stop

load_segments:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov fs, eax
    mov gs, eax
    mov ss, eax
    ret

load_descriptor_tables:
    lgdt [gdt_pointer]
    jmp 8:.next
.next:
    call load_segments
    lidt [idt_pointer]
    ret

%macro ENTRY 1
entry_%1:
    pushad
    cld
    push dword %1
    call interrupt
    add esp, 4
    popad
    iretd
%endmacro
ENTRY 0
ENTRY 1
ENTRY 2
ENTRY 3

section .rodata
align 8
gdt:
    dq 0
    dq 0x00cf9b000000ffff
    dq 0x00cf93000000ffff
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dd gdt
align 4
interrupt_entries:
    dd entry_0, entry_1, entry_2, entry_3

section .data
align 4
started_count:
    dd 0

section .note.GNU-stack noalloc noexec nowrite progbits
