# SPDX-License-Identifier: MIT
set(SOURCES context.asm context.c cpu.c features.c fpu.c idt.c segments.asm
    system_call.asm trap.c trap_entry.asm trap_report.c)
