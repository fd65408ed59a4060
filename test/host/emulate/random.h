// SPDX-License-Identifier: MIT
// Repeatable random numbers for the emulator's tests. EMULATE_SEED in the environment replaces the
// default seed; each test prints the one it used.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct random {
    uint64_t state;
};

static inline struct random random_start(const char *name)
{
    const char *text = getenv("EMULATE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0x1d2c3b4a59687706ull;

    printf("%s: seed %#llx\n", name, (unsigned long long)seed);
    return (struct random){seed ? seed : 1};
}

static inline uint64_t random_next(struct random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state * 0x2545f4914f6cdd1dull;
}

// 0 to limit - 1.
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
    return (uint32_t)((random_next(random) >> 32) % limit);
}
