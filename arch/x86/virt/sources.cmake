# SPDX-License-Identifier: MIT
set(SOURCES cpuid_table.c host_interrupt.asm host_interrupt.c virt.c)
