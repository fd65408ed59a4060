# SPDX-License-Identifier: MIT
set(SOURCES alu.c decode.c decode_cache.c emulate.c execute.c execute_bits.c execute_string.c opcodes.c operand.c)
