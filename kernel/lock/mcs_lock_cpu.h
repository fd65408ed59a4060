// SPDX-License-Identifier: MIT
// Which record of mcs_lock.c is this CPU's. Apart, for host tests whose threads stand for CPUs.
#pragma once

#include <stdint.h>

// The index of the CPU that runs this, below CPU_MAXIMUM.
uint32_t mcs_lock_cpu(void);
