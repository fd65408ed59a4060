// SPDX-License-Identifier: MIT
// Descriptor tables in 64-bit mode: LGDT, SGDT, LIDT, SIDT, LLDT, SLDT, LTR, STR with register and
// memory operands, and what they refuse. Their pages of the manual.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

// "64-bit TSS": the part that interrupts use.
struct PACKED task_segment {
    uint32_t reserved0;
    uint64_t stacks[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
static_assert(sizeof(struct task_segment) == 104, "TSS layout");

enum {
    ENTRY_CODE = 1,
    ENTRY_DATA,
    ENTRY_TSS,                    // two entries
    ENTRY_LDT = ENTRY_TSS + 2,    // two entries
    ENTRY_ABSENT = ENTRY_LDT + 2, // a TSS that is not present
    ENTRY_COUNT = ENTRY_ABSENT + 2
};

#define SELECTOR(entry) ((uint16_t)((entry)*8))
#define TYPE_LDT        0x82ull
#define TYPE_TSS        0x89ull
#define TYPE_BUSY       0x02ull

static uint64_t table[ENTRY_COUNT];
static struct task_segment task_segment;
static uint64_t local_table[2];

static void set_system(unsigned entry, void *base, uint64_t limit, uint64_t type)
{
    uint64_t address = (uintptr_t)base;

    table[entry] =
        (limit & 0xffff) | (address & 0xffffff) << 16 | type << 40 | (address >> 24 & 0xff) << 56;
    table[entry + 1] = address >> 32;
}

static void install_table(void)
{
    struct table_register register_ = {sizeof(table) - 1, (uintptr_t)table};

    table[ENTRY_CODE] = 0x00af9b000000ffff;
    table[ENTRY_DATA] = 0x00cf93000000ffff;
    set_system(ENTRY_TSS, &task_segment, sizeof(task_segment) - 1, TYPE_TSS);
    set_system(ENTRY_LDT, local_table, sizeof(local_table) - 1, TYPE_LDT);
    set_system(ENTRY_ABSENT, &task_segment, sizeof(task_segment) - 1, TYPE_TSS & ~0x80ull);
    __asm__ volatile("lgdt %0" : : "m"(register_));
}

void task_register_install(void *ist1_top)
{
    install_table();
    task_segment.ist[0] = (uintptr_t)ist1_top;
    __asm__ volatile("ltr %0" : : "r"(SELECTOR(ENTRY_TSS)));
}

static unsigned try_ltr(uint16_t selector)
{
    return TRY("ltr %0", : : "r"(selector) : "memory");
}

static unsigned try_lldt(uint16_t selector)
{
    return TRY("lldt %0", : : "r"(selector) : "memory");
}

static void check_registers(void)
{
    struct table_register seen = {0}, other = {0x1ff, 0xffff800012345678}, before;
    uint64_t wide = 0xaaaaaaaaaaaaaaaa;

    __asm__ volatile("sgdt %0" : "=m"(seen));
    check("sgdt limit", seen.limit, sizeof(table) - 1);
    check("sgdt base", seen.base, (uintptr_t)table);
    __asm__ volatile("sidt %0" : "=m"(before));
    check("sidt limit", before.limit, sizeof(trap_gates) - 1);
    check("sidt base", before.base, (uintptr_t)trap_gates);
    __asm__ volatile("lidt %1; sidt %0; lidt %2" : "=m"(seen) : "m"(other), "m"(before));
    check("lidt limit", seen.limit, 0x1ff);
    check("lidt base", seen.base, 0xffff800012345678);
    other.base = 0x8000000000000000;
    check("lgdt base not canonical", TRY("lgdt %0", : : "m"(other) : "memory"), VECTOR_GP);
    __asm__ volatile("mov %1, %%rdx; mov $2, %%ecx; sgdt -16(%%rdx,%%rcx,8)"
                     : "=m"(seen)
                     : "r"(&seen)
                     : "rcx", "rdx", "memory");
    check("sgdt with base, index, scale", seen.base, (uintptr_t)table);
    __asm__ volatile("sldt %w0" : "+r"(wide));
    check("sldt, 16 bits", wide, 0xaaaaaaaaaaaa0000);
    __asm__ volatile("str %q0" : "+r"(wide));
    check("str, 64 bits", wide, SELECTOR(ENTRY_TSS));
}

static void check_ldt(void)
{
    uint16_t selector = SELECTOR(ENTRY_LDT), seen = 0xffff;
    uint32_t word = 0;

    local_table[1] = 0x00cf93000000ffff;
    __asm__ volatile("lldt %1; sldt %0" : "=m"(seen) : "m"(selector));
    check("lldt, sldt through memory", seen, selector);
    check("a selector of the ldt", TRY("mov %0, %%gs", : : "r"(0xc) : "memory"), TRAP_NONE);
    __asm__ volatile("mov %%gs, %0" : "=r"(word));
    check("a selector of the ldt is loaded", word, 0xc);
    __asm__ volatile("mov %0, %%gs" : : "r"(0x10));
    check("lldt null", try_lldt(0), TRAP_NONE);
    check("then no selector of the ldt", TRY("mov %0, %%fs", : : "r"(0xc) : "memory"), VECTOR_GP);
    check("lldt of a tss", try_lldt(SELECTOR(ENTRY_TSS)), VECTOR_GP);
    check("lldt of a tss, error code", trap_last.error_code, SELECTOR(ENTRY_TSS));
    check("lldt from the ldt", try_lldt(4 | SELECTOR(ENTRY_LDT)), VECTOR_GP);
    check("lldt beyond the table", try_lldt(SELECTOR(ENTRY_COUNT)), VECTOR_GP);
}

static void check_task_register(void)
{
    uint16_t seen;

    check("tss is busy", table[ENTRY_TSS] >> 40 & 0xff, TYPE_TSS | TYPE_BUSY);
    check("ltr of a busy tss", try_ltr(SELECTOR(ENTRY_TSS)), VECTOR_GP);
    check("ltr of a busy tss, error code", trap_last.error_code, SELECTOR(ENTRY_TSS));
    check("ltr null", try_ltr(0), VECTOR_GP);
    check("ltr null, error code", trap_last.error_code, 0);
    check("ltr of code", try_ltr(SELECTOR(ENTRY_CODE)), VECTOR_GP);
    check("ltr of what is not present", try_ltr(SELECTOR(ENTRY_ABSENT)), VECTOR_NP);
    check("ltr of what is not present, error code", trap_last.error_code, SELECTOR(ENTRY_ABSENT));
    check("ltr beyond the table", try_ltr(SELECTOR(ENTRY_COUNT)), VECTOR_GP);
    table[ENTRY_TSS] &= ~(TYPE_BUSY << 40);
    __asm__ volatile("ltr %1; str %0" : "=m"(seen) : "r"(SELECTOR(ENTRY_TSS)));
    check("ltr, str through memory", seen, SELECTOR(ENTRY_TSS));
}

void subject_tables(void)
{
    task_register_install(0);
    check_registers();
    check_ldt();
    check_task_register();
}
