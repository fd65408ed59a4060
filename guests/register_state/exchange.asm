; SPDX-License-Identifier: MIT
; Loads all registers from `pattern`, executes one instruction that leaves the guest, and stores all
; registers to `seen`: struct registers of main.c, in its layout.
;   void exchange(uint64_t kind);       kind: index of `kinds`
bits 64
default rel

global exchange
global pattern
global seen
global use_avx

GPR      equ 0                          ; 16 of 8 bytes, in the processor's order; RSP's is left out
VECTOR   equ 128                        ; 16 of 32 bytes
MXCSR    equ 640
FCW      equ 644
SIZE     equ 648

%define GENERAL 0, rax, 1, rcx, 2, rdx, 3, rbx, 5, rbp, 6, rsi, 7, rdi, \
                8, r8, 9, r9, 10, r10, 11, r11, 12, r12, 13, r13, 14, r14, 15, r15

%macro load_general 2-*
%rep %0 / 2
    mov %2, [pattern + GPR + %1 * 8]
%rotate 2
%endrep
%endmacro
%macro store_general 2-*
%rep %0 / 2
    mov [seen + GPR + %1 * 8], %2
%rotate 2
%endrep
%endmacro

; Vector registers by `instruction` of `register` type; direction as named.
%macro load_vectors 2
%assign i 0
%rep 16
    %1 %2 %+ i, [pattern + VECTOR + i * 32]
%assign i i + 1
%endrep
%endmacro
%macro store_vectors 2
%assign i 0
%rep 16
    %1 [seen + VECTOR + i * 32], %2 %+ i
%assign i i + 1
%endrep
%endmacro

section .text
exchange:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    lea rax, [kinds]
    mov rax, [rax + rdi * 8]
    mov [target], rax
    fldcw [pattern + FCW]
    ldmxcsr [pattern + MXCSR]
    cmp byte [use_avx], 0
    je .load_sse
    load_vectors vmovdqu, ymm
    jmp .loaded
.load_sse:
    load_vectors movdqu, xmm
.loaded:
    load_general %[GENERAL]
    jmp [target]
.back:
    store_general %[GENERAL]
    cmp byte [use_avx], 0
    je .store_sse
    store_vectors vmovdqu, ymm
    jmp .stored
.store_sse:
    store_vectors movdqu, xmm
.stored:
    stmxcsr [seen + MXCSR]
    fnstcw [seen + FCW]
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret

do_cpuid:
    cpuid
    jmp exchange.back
do_out:
    out 0x80, al
    jmp exchange.back
do_in:
    in al, 0x61
    jmp exchange.back
do_write:
    mov [rbx], r9d
    jmp exchange.back
do_rdmsr:
    rdmsr
    jmp exchange.back
do_loop:
    dec rcx
    jnz do_loop
    jmp exchange.back

section .data
align 8
kinds:
    dq do_cpuid, do_out, do_in, do_write, do_rdmsr, do_loop
target:
    dq 0
use_avx:
    db 0

section .bss
alignb 64
pattern:
    resb SIZE
seen:
    resb SIZE
