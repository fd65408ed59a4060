; SPDX-License-Identifier: MIT
; Guest entry as a function that returns.
;
; uint64_t vmx_guest_enter(struct vmx_frame *frame);
;   0: the guest ran and exited; 1: VMfailValid; 2: VMfailInvalid (enum vmx_entry_result).
; Loads the guest's general registers from frame->page and saves them there, RSP excepted, which
; the VMCS holds. The exit continues at vmx_guest_exit (HOST_RIP) with RSP pointing at the saved
; page pointer. Interrupts are off throughout.
bits 64
default rel

%define FRAME_PAGE     0
%define FRAME_HOST_RSP 8
%define FRAME_LAUNCHED 16
%define GPR(number)    (number * 8)
%define VMCS_HOST_RSP  0x6c14

section .text
global vmx_guest_enter
global vmx_guest_exit

vmx_guest_enter:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov rax, [rdi + FRAME_PAGE]
    push rax
    cmp rsp, [rdi + FRAME_HOST_RSP]
    jne .stack_moved
.load:
    cmp qword [rdi + FRAME_LAUNCHED], 0     ; MOV keeps the flags for the branch below
    mov rcx, [rax + GPR(1)]
    mov rdx, [rax + GPR(2)]
    mov rbx, [rax + GPR(3)]
    mov rbp, [rax + GPR(5)]
    mov rsi, [rax + GPR(6)]
    mov rdi, [rax + GPR(7)]
    mov r8,  [rax + GPR(8)]
    mov r9,  [rax + GPR(9)]
    mov r10, [rax + GPR(10)]
    mov r11, [rax + GPR(11)]
    mov r12, [rax + GPR(12)]
    mov r13, [rax + GPR(13)]
    mov r14, [rax + GPR(14)]
    mov r15, [rax + GPR(15)]
    mov rax, [rax + GPR(0)]
    jz .launch
    vmresume
    jmp .failed
.launch:
    vmlaunch
.failed:                                    ; CF: VMfailInvalid, ZF: VMfailValid
    setc al
    movzx eax, al
    inc eax
    add rsp, 8
    jmp vmx_guest_exit.return
.stack_moved:
    mov [rdi + FRAME_HOST_RSP], rsp
    mov ecx, VMCS_HOST_RSP
    vmwrite rcx, rsp
    jmp .load

vmx_guest_exit:
    push rax
    mov rax, [rsp + 8]
    pop qword [rax + GPR(0)]
    mov [rax + GPR(1)], rcx
    mov [rax + GPR(2)], rdx
    mov [rax + GPR(3)], rbx
    mov [rax + GPR(5)], rbp
    mov [rax + GPR(6)], rsi
    mov [rax + GPR(7)], rdi
    mov [rax + GPR(8)], r8
    mov [rax + GPR(9)], r9
    mov [rax + GPR(10)], r10
    mov [rax + GPR(11)], r11
    mov [rax + GPR(12)], r12
    mov [rax + GPR(13)], r13
    mov [rax + GPR(14)], r14
    mov [rax + GPR(15)], r15
    pop rax                                 ; the page pointer
    xor eax, eax
.return:
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
