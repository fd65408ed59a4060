// SPDX-License-Identifier: MIT
// CPUID of the processor that a program runs on.
#pragma once

#include <stdint.h>

struct cpuid_words {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_words cpuid_host(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_words words;

    __asm__ volatile("cpuid"
                     : "=a"(words.eax), "=b"(words.ebx), "=c"(words.ecx), "=d"(words.edx)
                     : "a"(leaf), "c"(subleaf));
    return words;
}
