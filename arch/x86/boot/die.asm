; SPDX-License-Identifier: MIT
; boot_die: the 32-bit last words. ESI: NUL-terminated text at its physical address; printed on
; COM1 and COM2, eight bits a character, at whatever rate the firmware left; then the machine
; halts. Jumped to, needs no stack.
global boot_die

section .boot.text progbits alloc exec nowrite align=16
bits 32
boot_die:
    lodsb
    test al, al
    jz .halt
    mov bl, al
    mov dx, 0x3f8
    mov edi, .second
    jmp .send
.second:
    mov dx, 0x2f8
    mov edi, boot_die
.send: ; BL to the port DX, waiting at most ECX polls; then jumps to EDI
    mov ecx, 12800
    add dx, 3
    mov al, 3
    out dx, al
    add dx, 2
.poll:
    in al, dx
    test al, 0x20
    loopz .poll
    sub dx, 5
    mov al, bl
    out dx, al
    jmp edi
.halt:
    cli
    hlt
    jmp .halt
