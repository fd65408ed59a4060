// SPDX-License-Identifier: MIT
// The interrupt descriptor table: one for all CPUs, built once at boot, constant afterwards.
#pragma once

#include <stdint.h>
#include "arch/x86/cpu/trap.h"

// Where the handler of each vector begins, on the stack that the processor switched to.
extern const uint64_t trap_entry_points[VECTOR_COUNT]; // trap_entry.asm

// Builds the table. With early segments in place vectors use no interrupt stacks yet.
void idt_build(void);

// Gives NMI, double fault, machine check and debug their own stacks; before the first CPU's TSS
// is in use.
void idt_use_stacks(void);

// Points this CPU at the table.
void idt_load(void);
