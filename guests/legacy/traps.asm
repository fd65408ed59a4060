; SPDX-License-Identifier: MIT
; Exception and interrupt entry of the 32-bit suite: a stub for each vector, then
;   void trap_handle(struct trap_frame *frame);
; and the bodies of its tasks, which record what they find and go back.
bits 32

extern trap_handle, trap_resume, trap_stack
global trap_stubs
global task_body, jump_body, fault_body, task16_body
global task_seen, fault_seen, fault_repairs, fault_link

VECTORS equ 0x48
MAIN    equ 0x18
%define HAS_ERROR_CODE(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17)

section .text
%assign vector 0
%rep VECTORS
stub_ %+ vector:
%if !HAS_ERROR_CODE(vector)
    push dword 0
%endif
    push dword vector
    jmp stub_common
%assign vector vector + 1
%endrep

; Where trap_handle returns an address, execution goes on there with the stack of TRY.
stub_common:
    pushad
    push esp
    cld
    call trap_handle
    add esp, 4
    mov [target], eax
    test eax, eax
    popad
    jnz .resume
    add esp, 8
    iretd
.resume:
    mov esp, [trap_stack]
    push dword 2
    popfd
    jmp [target]

; What a task finds: EFLAGS, TR, CR0, CR3, EBX, FS, and how often it ran.
%macro RECORD 0
    pushfd
    pop dword [task_seen]
    xor eax, eax
    str ax
    mov [task_seen + 4], eax
    mov eax, cr0
    mov [task_seen + 8], eax
    mov eax, cr3
    mov [task_seen + 12], eax
    mov [task_seen + 16], ebx
    xor eax, eax
    mov ax, fs
    mov [task_seen + 20], eax
    inc dword [task_seen + 24]
%endmacro

task_body:                      ; entered by CALL or a gate
    RECORD
    iretd
    jmp task_body

jump_body:                      ; entered by JMP
    RECORD
    jmp MAIN:0
    jmp jump_body

; Entered by a task gate for a fault: the interrupted task whose TSS fault_repairs points to goes on
; behind its TRY, and where fault_link is not 0, IRET goes to that task instead.
fault_body:
    pop dword [fault_seen]
    pushfd
    pop dword [fault_seen + 4]
    inc dword [fault_seen + 8]
    mov ecx, [fault_repairs]
    mov eax, [trap_resume]
    mov [ecx + 0x20], eax
    mov eax, [trap_stack]
    mov [ecx + 0x38], eax
    mov ecx, [fault_link]
    jecxz .back
    mov dword [ecx], MAIN
.back:
    iretd
    jmp fault_body

bits 16
task16_body:                    ; in a segment that begins here
    mov dword [dword task_seen + 24], 0x16
    mov [dword task_seen + 16], ebx
    iret
    jmp task16_body
bits 32

section .bss nobits alloc write align=4
target: resd 1
task_seen: resd 7
fault_seen: resd 3
fault_repairs: resd 1
fault_link: resd 1

section .rodata
align 4
trap_stubs:                     ; const uint32_t trap_stubs[VECTORS]
%assign vector 0
%rep VECTORS
    dd stub_ %+ vector
%assign vector vector + 1
%endrep

section .note.GNU-stack noalloc noexec nowrite progbits
