// SPDX-License-Identifier: MIT
// The remaining instructions that a hypervisor may see: time-stamp counters, counters, caches,
// random numbers, waiting, extended states. Their pages of the manual.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

#define TSC_AUX 0xc0000103u

static void check_time(void)
{
    uint64_t first = tsc_read(), second = tsc_read();
    uint64_t low = ~0ull, high = ~0ull, aux = ~0ull;

    check("rdtsc goes forward", second > first, 1);
    check("rdtsc counts few ticks", second - first < 100000, 1);
    if ((cpuid(0x80000001, 0).edx >> 27 & 1) == 0) {
        skip("rdtscp", "the processor has none");
        return;
    }
    msr_write(TSC_AUX, 0x12345678);
    __asm__ volatile("rdtscp" : "+a"(low), "+d"(high), "+c"(aux));
    check("rdtscp aux", aux, 0x12345678);
    check("rdtscp clears upper halves", (low | high) >> 32, 0);
    check("rdtscp goes forward", (high << 32 | low) > second, 1);
}

static void check_plain(void)
{
    check("pause", TRY("pause; pause", : : : "memory"), TRAP_NONE);
    check("wbinvd", TRY("wbinvd", : : : "memory"), TRAP_NONE);
    check("invd", TRY("invd", : : : "memory"), TRAP_NONE);
    check("rdpmc of a counter that is none",
          TRY("rdpmc",
              :
              : "c"(0x1234)
              : "rax", "rdx", "memory"),
          VECTOR_GP);
    if (suite_is_native()) {
        skip("monitor and mwait without the feature", "this machine has them");
        return;
    }
    check("monitor", TRY("monitor", : : "a"(TSC_AUX), "c"(0), "d"(0) : "memory"), VECTOR_UD);
    check("mwait", TRY("mwait", : : "a"(0), "c"(0) : "memory"), VECTOR_UD);
}

// The flags, and which part of the register is written; asked for again until there is a number.
static void check_random(const char *name, bool offered, unsigned form)
{
    uint64_t value = 0, flags = 0;

    if (!offered) {
        skip(name, "the processor has none");
        return;
    }
    for (unsigned i = 0; i < 100 && (flags & 1) == 0; i++) {
        value = 0xaaaaaaaaaaaaaaaa;
        switch (form) {
        case 0:
            __asm__ volatile("rdrand %w0; pushfq; pop %1" : "+r"(value), "=&r"(flags) : : "cc");
            break;
        case 1:
            __asm__ volatile("rdrand %k0; pushfq; pop %1" : "+r"(value), "=&r"(flags) : : "cc");
            break;
        case 2:
            __asm__ volatile("mov %0, %%r9; rdrand %%r9; pushfq; pop %1; mov %%r9, %0"
                             : "+r"(value), "=&r"(flags)
                             :
                             : "r9", "cc");
            break;
        case 3:
            __asm__ volatile("rdseed %k0; pushfq; pop %1" : "+r"(value), "=&r"(flags) : : "cc");
            break;
        default:
            __asm__ volatile("rdseed %q0; pushfq; pop %1" : "+r"(value), "=&r"(flags) : : "cc");
            break;
        }
    }
    check(name, flags & 0x8d5, 1);
    if (form == 0) {
        check("its upper part", value >> 16, 0xaaaaaaaaaaaa);
    } else if (form == 1 || form == 3) {
        check("its upper part", value >> 32, 0);
    }
}

static void check_random_numbers(void)
{
    bool rdrand = (cpuid(1, 0).ecx >> 30 & 1) != 0;
    bool rdseed = (cpuid(7, 0).ebx >> 18 & 1) != 0;

    check_random("rdrand, 16 bits", rdrand, 0);
    check_random("rdrand, 32 bits", rdrand, 1);
    check_random("rdrand, 64 bits", rdrand, 2);
    check_random("rdseed, 32 bits", rdseed, 3);
    check_random("rdseed, 64 bits", rdseed, 4);
}

// What CPUID does not show is not there.
static void check_hidden(void)
{
    static uint8_t area[1024] __attribute__((aligned(64)));
    uint64_t cr4 = cr4_read();

    if (suite_is_native()) {
        skip("instructions that CPUID hides", "a hypervisor hides them, this machine does not");
        return;
    }
    if ((cpuid(1, 0).ecx >> 26 & 1) != 0) {
        cr4_write(cr4 | CR4_OSXSAVE);
    }
    check("xsaves", TRY("xsaves (%0)", : : "D"(area), "a"(~0u), "d"(~0u) : "memory"), VECTOR_UD);
    check("xrstors", TRY("xrstors (%0)", : : "D"(area), "a"(~0u), "d"(~0u) : "memory"), VECTOR_UD);
    cr4_write(cr4);
    check("umwait",
          TRY(".byte 0xf2, 0x0f, 0xae, 0xf1",
              :
              : "a"(0), "c"(0), "d"(0)
              : "memory"),
          VECTOR_UD);
    check("tpause",
          TRY(".byte 0x66, 0x0f, 0xae, 0xf1",
              :
              : "a"(0), "c"(0), "d"(0)
              : "memory"),
          VECTOR_UD);
    check("encls", TRY(".byte 0x0f, 0x01, 0xcf", : : "a"(0) : "memory"), VECTOR_UD);
}

void subject_instruction(void)
{
    check_time();
    check_plain();
    check_random_numbers();
    check_hidden();
}
