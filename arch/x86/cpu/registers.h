// SPDX-License-Identifier: MIT
// Registers: their bits and numbers (kernel/lib/processor.h) and the instructions that take them
// (instructions.h). Stateless; called by arch, drivers and kernel.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/instructions.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/processor.h"

// What LGDT and LIDT read.
struct PACKED table_pointer {
    uint16_t limit;
    uint64_t base;
};

// Drops every translation of this CPU that is not global.
static inline void tlb_invalidate_user(void)
{
    cr3_write(cr3_read());
}

static inline void task_switched_set(void)
{
    cr0_write(cr0_read() | CR0_TS);
}
