// SPDX-License-Identifier: MIT
// Modes of a plain build: nobody looks at them. The twin is mode_checked.c.
#include "kernel/core/mode.h"

void mode_check(const struct cpu *cpu, enum cpu_mode from, enum cpu_mode to)
{
    (void)cpu;
    (void)from;
    (void)to;
}
