; SPDX-License-Identifier: MIT
; Hello from a flat real-mode image at 0x7c00: prints on COM1, then powers off. 512 bytes with a boot
; signature, so that firmware can start it as well.
bits 16
org 0x7c00

LINE_STATUS equ 0x3fd
PM1A        equ 0x604

start:
    cli
    xor ax, ax
    mov ds, ax
    mov ss, ax
    mov sp, 0x7c00
    cld
    mov si, hello
    call print
    cmp dl, 0x80                ; the boot drive that firmware hands over
    mov si, drive
    je .ok
    mov si, no_drive
.ok:
    call print
    mov dx, PM1A
    mov ax, 0x2000 | 5 << 10    ; ACPI S5
    out dx, ax
    mov si, shutdown
    mov dx, 0x8900
.letter:
    lodsb
    test al, al
    jz .qemu
    out dx, al
    jmp .letter
.qemu:
    mov dx, PM1A
    mov ax, 0x2000              ; the S5 type of QEMU's own tables
    out dx, ax
.stop:
    hlt
    jmp .stop

; Prints the text at SI; keeps DL.
print:
    push dx
.next:
    mov dx, LINE_STATUS
.wait:
    in al, dx
    test al, 0x20
    jz .wait
    lodsb
    test al, al
    jz .done
    mov dx, 0x3f8
    out dx, al
    jmp .next
.done:
    pop dx
    ret

hello:    db "Hello from a flat real-mode guest", 10, 0
drive:    db "boot drive: 0x80", 10, 0
no_drive: db "boot drive: not 0x80", 10, 0
shutdown: db "Shutdown", 0

    times 510 - ($ - $$) db 0
    dw 0xaa55
