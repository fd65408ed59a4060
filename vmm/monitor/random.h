// SPDX-License-Identifier: MIT
// The processor's random numbers, for guests whose RDRAND and RDSEED exit. No state, no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// One number of 64 bits. False: the processor has none now. Only where it has RDRAND, and it does
// where that can exit.
static inline bool random_next(uint64_t *value)
{
    bool good;

    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
    return good;
}
