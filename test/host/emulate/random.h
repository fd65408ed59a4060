// SPDX-License-Identifier: MIT
// Repeatable random numbers for the emulator's tests. EMULATE_SEED in the environment replaces the
// default seed; each test prints the one it used. A fuzzer's input bytes come first where there
// are.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct random {
    uint64_t state;
    const uint8_t *input;
    size_t input_bytes;
};

static inline struct random random_start(const char *name)
{
    const char *text = getenv("EMULATE_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0x1d2c3b4a59687706ull;

    printf("%s: seed %#llx\n", name, (unsigned long long)seed);
    return (struct random){.state = seed ? seed : 1};
}

static inline uint64_t random_next(struct random *random)
{
    if (random->input_bytes >= sizeof(uint64_t)) {
        uint64_t value;

        memcpy(&value, random->input, sizeof(value));
        random->input += sizeof(value);
        random->input_bytes -= sizeof(value);
        return value;
    }
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
