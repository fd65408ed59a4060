// SPDX-License-Identifier: MIT
// A set of interrupt vectors 0-255, eight words of 32 bits as the local APIC's registers show them,
// with a summary so that the highest one is found in a few steps.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vector_set {
    uint32_t word[8];
    uint32_t summary; // bit i: word[i] is not zero
};

// Of a word that is not 0. The processor's BSR, which the difference to 31 is not.
static inline uint32_t highest_bit(uint32_t word)
{
    return 31u ^ (uint32_t)__builtin_clz(word);
}

static inline void vector_set_add(struct vector_set *set, uint32_t vector)
{
    set->word[vector >> 5 & 7] |= 1u << (vector & 31);
    set->summary |= 1u << (vector >> 5 & 7);
}

static inline void vector_set_remove(struct vector_set *set, uint32_t vector)
{
    uint32_t *word = &set->word[vector >> 5 & 7];
    *word &= ~(1u << (vector & 31));
    if (*word == 0)
        set->summary &= ~(1u << (vector >> 5 & 7));
}

static inline bool vector_set_has(const struct vector_set *set, uint32_t vector)
{
    return (set->word[vector >> 5 & 7] >> (vector & 31) & 1) != 0;
}

// The highest vector; 0 when the set is empty (vector 0 is never in one).
static inline uint32_t vector_set_highest(const struct vector_set *set)
{
    if (set->summary == 0)
        return 0;
    uint32_t index = highest_bit(set->summary);
    return index * 32 + highest_bit(set->word[index]);
}
