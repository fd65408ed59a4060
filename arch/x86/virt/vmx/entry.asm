; SPDX-License-Identifier: MIT
; Guest entry as a function that returns.
;
; uint64_t vmx_guest_enter(struct vmx_frame *frame);
;   0: the guest ran and exited; 1: VMfailValid; 2: VMfailInvalid (enum vmx_entry_result).
; Loads the guest's general registers from frame->page and saves them there, RSP excepted, which
; the VMCS holds. The exit continues at vmx_guest_exit (HOST_RIP) with RSP pointing at the saved
; page pointer. Interrupts are off throughout.
%include "asm_offsets.inc"
bits 64

%define GPR(number) (ASM_VMX_PAGE_GPR + number * 8)     ; enum gpr_index

; All general registers but RAX, which points at the page, and RSP, which the VMCS holds.
%macro move_gpr 3
%ifidn %1, load
    mov %2, [rax + GPR(%3)]
%else
    mov [rax + GPR(%3)], %2
%endif
%endmacro
%macro move_gprs 1
    move_gpr %1, rcx, 1
    move_gpr %1, rdx, 2
    move_gpr %1, rbx, 3
    move_gpr %1, rbp, 5
    move_gpr %1, rsi, 6
    move_gpr %1, rdi, 7
%assign number 8
%rep 8
    move_gpr %1, r%[number], number
%assign number number + 1
%endrep
%endmacro

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
    mov rax, [rdi + ASM_VMX_FRAME_PAGE]
    push rax
    cmp rsp, [rdi + ASM_VMX_FRAME_HOST_RSP]
    jne .stack_moved
.load:
    cmp qword [rdi + ASM_VMX_FRAME_LAUNCHED], 0     ; MOV keeps the flags for the branch below
    move_gprs load
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
    jmp vmx_guest_exit.return
.stack_moved:
    mov [rdi + ASM_VMX_FRAME_HOST_RSP], rsp
    mov ecx, ASM_VMX_HOST_RSP
    vmwrite rcx, rsp
    jmp .load

vmx_guest_exit:
    push rax
    mov rax, [rsp + 8]
    pop qword [rax + GPR(0)]
    move_gprs save
    xor eax, eax
.return:
    add rsp, 8                              ; the page pointer
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
