# SPDX-License-Identifier: MIT
set(SOURCES start.asm system_call.asm format.c program.c ring.c vcpu_reset.c)
