// SPDX-License-Identifier: MIT
// How assembly learns C's constants. Every file named asm_offsets.c in a folder under arch/x86 is
// compiled to text at build time; each ASM_CONSTANT(NAME, value) in it becomes a %define in the one
// generated asm_offsets.inc. To add some, put lines into the file of your folder, or such a file
// into your folder; nothing else changes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ASM_CONSTANT(name, value) __asm__ volatile("\n@@ " #name " %0" ::"i"((int64_t)(value)))
