// SPDX-License-Identifier: MIT
// The CPU that waits for an MCS lock: see mcs_lock_cpu.h.
#include "kernel/lock/mcs_lock_cpu.h"
#include "arch/x86/cpu/cpu.h"

uint32_t mcs_lock_cpu(void)
{
    return this_cpu()->id;
}
