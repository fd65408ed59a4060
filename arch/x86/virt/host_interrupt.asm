; SPDX-License-Identifier: MIT
; Delivers a host interrupt that a VM exit acknowledged: builds the frame that the processor would
; have pushed and enters the handler of the interrupt gate, whose IRET comes back here.
;
; void host_interrupt_enter(uint64_t handler);    handler: entry point of the vector; interrupts are off
bits 64

%define SELECTOR_KERNEL_CODE 0x08
%define SELECTOR_KERNEL_DATA 0x10

section .text
global host_interrupt_enter
host_interrupt_enter:
    mov rax, rsp
    and rsp, -16                    ; as the processor aligns it
    push SELECTOR_KERNEL_DATA
    push rax
    pushfq
    push SELECTOR_KERNEL_CODE
    call rdi                        ; pushes RIP; IRET restores RSP from the frame
    ret
