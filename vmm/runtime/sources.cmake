# SPDX-License-Identifier: MIT
set(SOURCES start.asm system_call.asm program.c ring.c)
