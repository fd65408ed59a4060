; SPDX-License-Identifier: MIT
; Down to real mode and back; mode.c copies all between mode_start and mode_end to TARGET.
;   void mode_entry(void);      after it the IDT has to be installed again
TARGET equ 0x8000
%define AT(label) ((label) - mode_start + TARGET)
%define RESULT(index) (AT(mode_data) + 4 * (index))

EFER    equ 0xc0000080
CODE64  equ 0x08
DATA    equ 0x10
CODE32  equ 0x18
CODE16  equ 0x20
DATA16  equ 0x28
TASK    equ 0x30
RESUME  equ 0x20000             ; VM of EFLAGS
LEVEL3  equ 0x3000              ; IOPL 3: INT in virtual-8086 mode goes through the IDT

global mode_start, mode_end, mode_entry, mode_data

section .rodata
align 16
mode_start:

bits 64
mode_entry:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov [abs AT(saved_rsp)], rsp
    sgdt [abs AT(saved_gdt)]
    lgdt [abs AT(table_register)]
    push CODE32
    push AT(compatible)
    retfq

bits 32
compatible:                     ; IA-32e mode, then without paging: protected mode
    mov eax, DATA
    mov ss, eax
    mov ds, eax
    mov es, eax
    mov gs, eax                 ; 4 GiB, also in real mode later
    mov esp, AT(stack_top)
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    mov ecx, EFER
    rdmsr
    and eax, ~0x100
    wrmsr
    smsw eax
    mov [RESULT(6)], eax
    ; virtual-8086 mode, and out of it by INT 0x61
    lidt [AT(protected_idt)]
    mov dword [AT(task) + 4], AT(stack_top)
    mov dword [AT(task) + 8], DATA
    mov byte [AT(task_type)], 0x89
    mov eax, TASK
    ltr ax
    mov eax, AT(back_from_8086)
    mov [AT(gate)], ax
    push dword 0                ; GS, FS, DS, ES
    push dword 0
    push dword (AT(segment_word) >> 4)
    push dword 0
    push dword 0                ; SS:ESP
    push dword AT(stack_8086)
    push dword RESUME | LEVEL3 | 2
    push dword 0                ; CS:EIP
    push dword AT(program_8086)
    iretd

bits 16
program_8086:
    mov ax, [AT(segment_word) & 15]
    mov [cs:RESULT(8)], ax
    mov word [cs:RESULT(7)], 0x5678
    int 0x61
    hlt

bits 32
back_from_8086:                 ; the interrupt has left null in DS and ES
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov gs, eax
    mov esp, AT(stack_top)
    jmp CODE16:AT(to_real)

bits 16
to_real:
    mov ax, DATA16
    mov ds, ax
    mov es, ax
    mov ss, ax
    lidt [AT(real_idt)]
    mov eax, cr0
    and eax, ~1
    mov cr0, eax
    jmp 0:AT(real)

real:
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, AT(stack_top)
    mov eax, [0x60 * 4]         ; the vectors of whoever was here before are kept
    mov [AT(saved_vectors)], eax
    mov eax, [0]
    mov [AT(saved_vectors) + 4], eax
    mov word [0x60 * 4], AT(real_handler)
    mov word [0x60 * 4 + 2], 0
    mov word [0], AT(divide_handler)
    mov word [2], 0
    int 0x60
    xor cx, cx
    div cx                      ; #DE; the handler skips it
after_divide:
    mov ax, AT(segment_word) >> 4
    mov es, ax
    mov ax, [es:AT(segment_word) & 15]
    mov [RESULT(1)], ax
    xor eax, eax
    mov es, ax
    cpuid
    mov [RESULT(2)], eax
    in al, 0x21
    mov [RESULT(3)], al
    mov dx, 0x21
    mov di, RESULT(10)
    mov cx, 2
    cld
    rep insb
    mov ecx, EFER
    rdmsr
    mov [RESULT(4)], eax
    mov eax, [gs:dword 0x200000] ; the kernel's first word, the multiboot header's
    mov [RESULT(5)], eax
    mov eax, [AT(saved_vectors)]
    mov [0x60 * 4], eax
    mov eax, [AT(saved_vectors) + 4]
    mov [0], eax
    smsw ax
    or ax, 1
    lmsw ax
    smsw ax
    mov [RESULT(9)], ax
    jmp dword CODE32:AT(protected)

real_handler:
    mov word [RESULT(0)], 0x1234
    iret

divide_handler:
    mov word [RESULT(11)], 0xdead
    add sp, 2
    push word AT(after_divide)
    iret

bits 32
protected:
    mov eax, DATA
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov ecx, EFER
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    jmp CODE64:AT(long_mode)

bits 64
long_mode:
    mov eax, DATA
    mov fs, eax
    mov gs, eax
    mov rsp, [abs AT(saved_rsp)]
    lgdt [abs AT(saved_gdt)]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

align 8
descriptors:
    dq 0
    dq 0x00af9b000000ffff       ; 64-bit code
    dq 0x00cf93000000ffff       ; data
    dq 0x00cf9b000000ffff       ; 32-bit code
    dq 0x00009b000000ffff       ; 16-bit code
    dq 0x000093000000ffff       ; 16-bit data
    dw 103, AT(task)            ; task state
    db 0
task_type: db 0x89
    dw 0
table_register:
    dw $ - descriptors - 1
    dd AT(descriptors)
    dd 0
real_idt:
    dw 0x3ff
    dd 0
protected_idt:
    dw 0x61 * 8 + 7
    dd AT(gate) - 0x61 * 8
gate:
    dw 0, CODE32, 0xee00, 0     ; DPL 3
saved_gdt: times 10 db 0
align 8
saved_rsp: dq 0
saved_vectors: dq 0
align 16
segment_word: dw 0xfeed
align 8
mode_data: times 16 dd 0
task: times 104 db 0
    times 256 db 0
stack_8086:
    times 512 db 0
stack_top:
mode_end:

section .note.GNU-stack noalloc noexec nowrite progbits
