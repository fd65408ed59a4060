# SPDX-License-Identifier: MIT
set(SOURCES host_interrupt.asm host_interrupt.c virt.c)
