// SPDX-License-Identifier: MIT
// The host's time-stamp counter, which all deadlines of the system calls are in.
#pragma once

#include <stdint.h>

static inline uint64_t tsc_now(void)
{
    return __builtin_ia32_rdtsc();
}

// Ticks of `microseconds` at `hz` ticks per second; both below 2^40, so that nothing overflows.
static inline uint64_t tsc_ticks(uint64_t hz, uint64_t microseconds)
{
    return hz / 1000000 * microseconds;
}
