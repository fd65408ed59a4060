// SPDX-License-Identifier: MIT
// What the kernel's host tests share: cmocka with its prerequisites, and a repeatable generator.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

// Next number of a linear congruential generator with 64 bits of state; the low bits are dropped.
static inline uint32_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}
