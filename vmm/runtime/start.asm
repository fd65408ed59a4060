; SPDX-License-Identifier: MIT
; Entry point of every ring-3 program. The kernel enters with rdi = struct process_info *; the
; stack is the program's own (program.ld). Calls
;     int64_t program_main(const struct process_info *info);
; and ends the process with what it returns.
default rel
bits 64

PROGRAM_STACK_BYTES equ 64 * 1024

extern program_main
extern process_exit
global program_start

section .text.start progbits alloc exec nowrite
program_start:
    lea rsp, [program_stack + PROGRAM_STACK_BYTES]
    xor ebp, ebp
    call program_main
    mov rdi, rax
    call process_exit
    ud2

section .stack nobits alloc noexec write align=4096
program_stack:
    resb PROGRAM_STACK_BYTES
