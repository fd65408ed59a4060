; SPDX-License-Identifier: MIT
; Entry points of all 256 vectors; each builds a struct trap_frame and calls
;   void trap_dispatch(struct trap_frame *frame);
; trap_entry_points: their addresses, for the IDT. A debug trap arrives on its own stack (it can hit
; between SYSENTER and the switch of stacks); trap_debug_frame returns the frame to go on with, on
; the thread's kernel stack when ring 3 was interrupted.
extern trap_dispatch, trap_debug_frame
%include "asm_offsets.inc"
global trap_common, trap_entry_points

%macro ENTRY_POINT 1 ; vector
    align 16
entry_%1:
%if %1 != 8 && %1 != 17 && %1 != 21 && %1 != 29 && %1 != 30 && (%1 < 10 || %1 > 14)
    push 0 ; no error code
%endif
    push %1
%if %1 == 1
    jmp trap_debug
%else
    jmp trap_common
%endif
%endmacro

%macro SAVE_REGISTERS 0
%assign n 0
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
%assign n 8
%rep 8
    push r%[n]
%assign n n + 1
%endrep
    push ASM_RFLAGS_CLEAR
    popfq
%endmacro

section .text
trap_debug:
    SAVE_REGISTERS
    mov rdi, rsp
    call trap_debug_frame
    mov rsp, rax
    jmp trap_saved
align 16
trap_common:
    SAVE_REGISTERS
trap_saved:
    mov rdi, rsp
    call trap_dispatch
%assign n 15
%rep 8
    pop r%[n]
%assign n n - 1
%endrep
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
%assign v 0
%rep 256
    ENTRY_POINT v
%assign v v + 1
%endrep

section .rodata
align 8
trap_entry_points:
%assign v 0
%rep 256
    dq entry_%[v]
%assign v v + 1
%endrep
