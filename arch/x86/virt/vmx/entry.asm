; SPDX-License-Identifier: MIT
; Guest entry as a function that returns.
;
; uint64_t vmx_guest_enter(struct vmx_frame *frame);
;   0: the guest ran and exited; 1: VMfailValid; 2: VMfailInvalid (enum vmx_entry_result).
; General registers are loaded from frame->page and saved there, but for RSP: the VMCS holds it. An
; exit continues at vmx_guest_exit (HOST_RIP), [RSP] = page, [RSP + 8] = frame. vmx_fast_exit may
; finish it: the registers that C functions change are in the page then, and the others still hold
; the guest's values; those are saved when the function returns. Interrupts are off throughout.
%include "asm_offsets.inc"
bits 64

%define GPR(number) rax + ASM_VMX_PAGE_GPR + number * 8 ; enum gpr_index; RAX points at the page

%macro move_preserved 1                     ; the registers that C functions preserve
    %1 5, rbp
    %1 12, r12
    %1 13, r13
    %1 14, r14
    %1 15, r15
%endmacro
%macro move_changed 1                       ; RBX too: CPUID writes it; RAX apart
    %1 1, rcx
    %1 2, rdx
    %1 3, rbx
    %1 6, rsi
    %1 7, rdi
    %1 8, r8
    %1 9, r9
    %1 10, r10
    %1 11, r11
%endmacro
%macro load_gpr 2
    mov %2, [GPR(%1)]
%endmacro
%macro save_gpr 2
    mov [GPR(%1)], %2
%endmacro

section .text
extern vmx_fast_exit
global vmx_guest_enter
global vmx_guest_exit

vmx_guest_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rdi
    mov rax, [rdi + ASM_VMX_FRAME_PAGE]
    push rax
    cmp rsp, [rdi + ASM_VMX_FRAME_HOST_RSP]
    jne .stack_moved
.load:
    cmp qword [rdi + ASM_VMX_FRAME_LAUNCHED], 0
    move_preserved load_gpr                 ; MOV keeps the flags
.enter:                                     ; ZF: not launched yet
    move_changed load_gpr
    mov rax, [GPR(0)]
    jz .launch
    vmresume
    jmp .failed
.launch:
    vmlaunch
.failed:                                    ; CF: VMfailInvalid, ZF: VMfailValid
    setc cl
    movzx ecx, cl
    inc ecx
    mov rax, [rsp]
.leave:                                     ; RAX: page, ECX: result
    move_preserved save_gpr
    mov eax, ecx
    add rsp, 16
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
.stack_moved:
    mov [rdi + ASM_VMX_FRAME_HOST_RSP], rsp
    mov ecx, ASM_VMX_HOST_RSP
    vmwrite rcx, rsp
    jmp .load

vmx_guest_exit:
    push rax
    mov rax, [rsp + 8]
    pop qword [GPR(0)]
    move_changed save_gpr
    mov rdi, [rsp + 8]
    call vmx_fast_exit
    test al, al
    mov rax, [rsp]
    jnz vmx_guest_enter.enter
    xor ecx, ecx
    jmp vmx_guest_enter.leave
