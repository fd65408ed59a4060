; SPDX-License-Identifier: MIT
; Guest entry as a function that returns.
;
; enum virt_outcome vmx_guest_enter(struct vmx_frame *frame);
; General registers are loaded from frame->page and saved there, but for RSP: the VMCS holds it. An
; exit continues at vmx_guest_exit (HOST_RIP), [RSP] = page, [RSP + 8] = frame, and is decoded by
; vmx_exited (an entry that failed: vmx_entry_failed), whose result is returned. The registers that
; C functions change are in the page then, and the others still hold the guest's values: they are
; saved last, and not at all when the result is VMX_RESUME. Interrupts are off throughout.
%include "asm_offsets.inc"

%define GPR(number) PAGE + ASM_VMX_PAGE_GPR + number * 8 ; enum gpr_index
%define PAGE rax

; Numbers and names of the registers that C functions preserve, and of those that they change (RBX
; too: CPUID writes it; RAX apart).
%define PRESERVED 5, rbp, 12, r12, 13, r13, 14, r14, 15, r15
%define CHANGED   1, rcx, 2, rdx, 3, rbx, 6, rsi, 7, rdi, 8, r8, 9, r9, 10, r10, 11, r11

%macro load_gpr 2
    mov %2, [GPR(%1)]
%endmacro
%macro save_gpr 2
    mov [GPR(%1)], %2
%endmacro
%macro each 3-*                             ; macro, then its arguments by twos
%define action %1
%rotate 1
%rep %0 / 2
    action %1, %2
%rotate 2
%endrep
%endmacro

section .text
extern vmx_exited, vmx_entry_failed
global vmx_guest_enter, vmx_guest_exit

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
    each load_gpr, %[PRESERVED]             ; MOV keeps the flags
.enter:                                     ; ZF: not launched yet
    each load_gpr, %[CHANGED]
    mov rax, [GPR(0)]
    jz .launch
    vmresume
    jmp .failed
.launch:
    vmlaunch
.failed:                                    ; CF: VMfailInvalid, ZF: VMfailValid
    setc sil
    mov rdi, [rsp + 8]
    call vmx_entry_failed
    mov rcx, [rsp]
    jmp vmx_guest_exit.leave
.stack_moved:
    mov [rdi + ASM_VMX_FRAME_HOST_RSP], rsp
    mov ecx, ASM_VMX_HOST_RSP
    vmwrite rcx, rsp
    jmp .load

vmx_guest_exit:
    push rax
    mov rax, [rsp + 8]
    pop qword [GPR(0)]
    each save_gpr, %[CHANGED]
    mov rdi, [rsp + 8]
    call vmx_exited
    mov rcx, [rsp]
    test eax, eax
    js .resume
%define PAGE rcx
.leave:                                     ; EAX: result
    each save_gpr, %[PRESERVED]
    add rsp, 16
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
.resume:
    mov rax, rcx                            ; ZF stays clear: launched
    jmp vmx_guest_enter.enter
