// SPDX-License-Identifier: MIT
// Fills every register that a guest has with patterns, leaves the guest in each of several ways,
// and checks that nothing else than what the instruction changes has changed: general, vector,
// control, debug and model-specific registers. "seed=N" and "rounds=N" on the command line. Powers
// off when all is well, else ends with test status 1.
#include "guests/library/guest.h"
#include "kernel/lib/processor.h"

struct registers {
    uint64_t general[16];
    uint64_t vector[16][4];
    uint32_t mxcsr;
    uint16_t control_word;
    uint16_t reserved;
};
static_assert(sizeof(struct registers) == 648, "exchange.asm");
static_assert(__builtin_offsetof(struct registers, mxcsr) == 640, "exchange.asm");

enum kind { KIND_CPUID, KIND_OUT, KIND_IN, KIND_WRITE, KIND_RDMSR, KIND_LOOP, KIND_COUNT };

extern struct registers pattern, seen;
extern uint8_t use_avx;
void exchange(uint64_t kind);

#define RAX (1u << 0)
#define RCX (1u << 1)
#define RDX (1u << 2)
#define RBX (1u << 3)
#define RSP (1u << 4)

// What each instruction changes.
static const struct {
    const char *name;
    uint32_t changes;
} kinds[KIND_COUNT] = {
    [KIND_CPUID] = {"cpuid", RAX | RBX | RCX | RDX},
    [KIND_OUT] = {"out", 0},
    [KIND_IN] = {"in", RAX},
    [KIND_WRITE] = {"write to a device", 0},
    [KIND_RDMSR] = {"rdmsr", RAX | RDX},
    [KIND_LOOP] = {"a loop over several time slices", RCX},
};

static const uint32_t msrs[] = {
    0xc0000081, // STAR
    0xc0000082, // LSTAR
    0xc0000083, // CSTAR
    0xc0000084, // SFMASK
    0xc0000102, // KERNEL_GS_BASE
    0x175,      // SYSENTER_ESP
    0x176,      // SYSENTER_EIP
    0xc0000101, // GS_BASE
};
#define MSR_COUNT   (sizeof(msrs) / sizeof(msrs[0]))
#define DEVICE_HOLE 0xf0000000u

static uint64_t random_state;
static uint64_t msr_values[MSR_COUNT];

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void wrmsr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t rdmsr(uint32_t number)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

#define DEBUG_REGISTER(n)                                                                          \
    static void dr##n##_write(uint64_t value)                                                      \
    {                                                                                              \
        __asm__ volatile("mov %0, %%dr" #n : : "r"(value));                                        \
    }                                                                                              \
    static uint64_t dr##n##_read(void)                                                             \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%dr" #n ", %0" : "=r"(value));                                      \
        return value;                                                                              \
    }
DEBUG_REGISTER(0)
DEBUG_REGISTER(1)
DEBUG_REGISTER(2)
DEBUG_REGISTER(3)

static NORETURN void fail(const char *what, const char *after, uint64_t wanted, uint64_t found)
{
    print_text(what);
    print_text(" changed by ");
    print_text(after);
    print_text(": ");
    print_hexadecimal(wanted);
    print_text(" became ");
    print_hexadecimal(found);
    print_text("\n");
    test_exit(1);
}

static void expect(const char *what, const char *after, uint64_t wanted, uint64_t found)
{
    if (wanted != found) {
        fail(what, after, wanted, found);
    }
}

// SSE, and AVX where CPUID offers it.
static void enable_vectors(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;
    uint64_t cr4;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= 1u << 9 | 1u << 10;
    use_avx = (ecx >> 26 & 1) != 0 && (ecx >> 28 & 1) != 0;
    if (use_avx != 0) {
        cr4 |= 1u << 18;
    }
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
    if (use_avx != 0) {
        __asm__ volatile("xsetbv" : : "a"(7), "c"(0), "d"(0));
    }
}

static void set_msrs(void)
{
    for (unsigned i = 0; i < MSR_COUNT; i++) {
        msr_values[i] = random_next() & 0x00007fffffffffff;
        if (msrs[i] == MSR_SFMASK) {
            msr_values[i] &= 0xffffffff;
        }
        wrmsr(msrs[i], msr_values[i]);
    }
}

static void make_pattern(enum kind kind)
{
    uint64_t *words = (uint64_t *)&pattern;

    for (unsigned i = 0; i < sizeof(pattern) / sizeof(words[0]); i++) {
        words[i] = random_next();
    }
    pattern.mxcsr = 0x1f80 | (uint32_t)(random_next() & 0x6000);
    pattern.control_word = 0x037f | (uint16_t)(random_next() & 0x0c00);
    if (kind == KIND_CPUID) {
        pattern.general[0] = random_next() & 7;
    } else if (kind == KIND_WRITE) {
        pattern.general[3] = DEVICE_HOLE;
    } else if (kind == KIND_RDMSR) {
        pattern.general[1] = 0x1b; // IA32_APIC_BASE
    } else if (kind == KIND_LOOP) {
        pattern.general[1] = 300000;
    }
}

static void check_pattern(enum kind kind)
{
    for (unsigned i = 0; i < 16; i++) {
        if (((kinds[kind].changes | RSP) >> i & 1) == 0) {
            expect("a general register", kinds[kind].name, pattern.general[i], seen.general[i]);
        }
        for (unsigned j = 0; j < (use_avx != 0 ? 4u : 2u); j++) {
            expect("a vector register", kinds[kind].name, pattern.vector[i][j], seen.vector[i][j]);
        }
    }
    expect("MXCSR", kinds[kind].name, pattern.mxcsr, seen.mxcsr);
    expect("the x87 control word", kinds[kind].name, pattern.control_word, seen.control_word);
}

static void run_round(enum kind kind)
{
    uint64_t debug[4], cr2 = random_next(), found;

    for (unsigned i = 0; i < 4; i++) {
        debug[i] = random_next() & 0x00007fffffffffff;
    }
    dr0_write(debug[0]);
    dr1_write(debug[1]);
    dr2_write(debug[2]);
    dr3_write(debug[3]);
    __asm__ volatile("mov %0, %%cr2" : : "r"(cr2));
    make_pattern(kind);
    exchange(kind);
    check_pattern(kind);
    __asm__ volatile("mov %%cr2, %0" : "=r"(found));
    expect("CR2", kinds[kind].name, cr2, found);
    expect("DR0", kinds[kind].name, debug[0], dr0_read());
    expect("DR1", kinds[kind].name, debug[1], dr1_read());
    expect("DR2", kinds[kind].name, debug[2], dr2_read());
    expect("DR3", kinds[kind].name, debug[3], dr3_read());
}

void guest_main(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *information = (const void *)address;
    uint32_t seed = 1, rounds = 2000;

    if (magic == MULTIBOOT_BOOTLOADER_MAGIC) {
        const char *line = (const char *)(uintptr_t)information->command_line;

        find_option(line, "seed", &seed);
        find_option(line, "rounds", &rounds);
    }
    random_state = 0x9e3779b97f4a7c15ull * (seed + 1);
    enable_vectors();
    set_msrs();
    for (uint32_t round = 0; round < rounds; round++) {
        enum kind kind = round % 64 == 63 ? KIND_LOOP : (enum kind)(round % KIND_LOOP);

        run_round(kind);
        for (unsigned i = 0; i < MSR_COUNT; i++) {
            expect("an MSR", kinds[kind].name, msr_values[i], rdmsr(msrs[i]));
        }
    }
    print_text(use_avx != 0 ? "AVX" : "SSE");
    print_text(" state kept in ");
    print_decimal(rounds);
    print_text(" rounds\n");
    power_off();
}
