// SPDX-License-Identifier: MIT
// Random numbers for guests whose RDRAND and RDSEED exit: the processor's, or, so that a run can be
// repeated, a sequence that follows from a seed. No lock: one source per vCPU.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct random_source {
    bool seeded; // else the processor's
    uint64_t state;
};

static inline void random_seed(struct random_source *source, uint64_t seed, uint32_t vcpu)
{
    source->seeded = true;
    source->state = seed ^ (uint64_t)vcpu << 56;
}

// Steps by an odd constant, and mixes so that each bit of the state reaches all of the result.
static inline uint64_t random_mix(uint64_t *state)
{
    uint64_t word = *state += 0x9e3779b97f4a7c15ull;

    word = (word ^ word >> 32) * 0xd6e8feb86659fd93ull;
    word = (word ^ word >> 29) * 0xd6e8feb86659fd93ull;
    return word ^ word >> 32;
}

// One number of 64 bits. False: the processor has none now. Only where it has RDRAND, and it does
// where that can exit.
static inline bool random_next(struct random_source *source, uint64_t *value)
{
    bool good;

    if (source->seeded) {
        *value = random_mix(&source->state);
        return true;
    }
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(good));
    return good;
}
