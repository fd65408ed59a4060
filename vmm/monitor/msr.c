// SPDX-License-Identifier: MIT
// RDMSR and WRMSR: the policy table and what its rows mean. The registers are those of the manual's
// "Model-Specific Registers" that a guest kernel touches on a processor without the features that
// CPUID hides.
#include "vmm/monitor/msr.h"

#include <stddef.h>
#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"
#include "vmm/monitor/apic_msr.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/handlers.h"

#define KEPT(member)       offsetof(struct machine_msrs, member)
#define KEPT_MTRR(index)   (offsetof(struct machine_msrs, mtrr) + 8 * (uint64_t)(index))
#define PAGE_FIELD(member) offsetof(struct vcpu_page, member)

#define APIC_BASE_RESET    0xfee00100ull // at its usual place, of the boot processor, off
#define MISC_ENABLE_RESET  0x1801ull     // fast strings; no branch trace store, no PEBS
#define MTRR_CAP_VALUE     (0x500ull | MACHINE_MTRR_VARIABLE) // fixed ranges, write-combining
#define MTRR_DEF_TYPE_BOOT 0x806ull // on, write-back, as firmware leaves it
#define MTRR_FIXED         (2 * MACHINE_MTRR_VARIABLE)
#define MTRR_DEF_TYPE      (MTRR_FIXED + 11)

#define EFER_WRITABLE 0x901ull // SCE, LME, NXE

// X(first, last, policy, passed to the guest, value), by ascending number. Features that are off
// stand as constants: IA32_FEATURE_CONTROL is locked, and there are no machine-check banks.
#define LOW_ROWS(X)                                                                                \
    X(MSR_TSC, MSR_TSC, MSR_OF_TSC, false, 0)                                                      \
    X(MSR_PLATFORM_ID, MSR_PLATFORM_ID, MSR_CONSTANT, false, 0)                                    \
    X(MSR_APIC_BASE, MSR_APIC_BASE, MSR_KEPT, false, KEPT(apic_base))                              \
    X(MSR_EBL_CR_POWERON, MSR_EBL_CR_POWERON, MSR_WRITES_LOST, false, 0)                           \
    X(MSR_FEATURE_CONTROL, MSR_FEATURE_CONTROL, MSR_CONSTANT, false, 1)                            \
    X(MSR_TSC_ADJUST, MSR_TSC_ADJUST, MSR_OF_TSC_ADJUST, false, 0)                                 \
    X(MSR_BIOS_SIGN_ID, MSR_BIOS_SIGN_ID, MSR_WRITES_LOST, false, 0)                               \
    X(MSR_FSB_FREQ, MSR_FSB_FREQ, MSR_CONSTANT, false, 0)                                          \
    X(MSR_PLATFORM_INFO, MSR_PLATFORM_INFO, MSR_CONSTANT, false, 0)                                \
    X(MSR_MTRR_CAPABILITY, MSR_MTRR_CAPABILITY, MSR_CONSTANT, false, MTRR_CAP_VALUE)               \
    X(MSR_SYSENTER_CS, MSR_SYSENTER_CS, MSR_IN_PAGE, true, PAGE_FIELD(sysenter_cs))                \
    X(MSR_SYSENTER_ESP, MSR_SYSENTER_ESP, MSR_IN_PAGE_LINEAR, true, PAGE_FIELD(sysenter_esp))      \
    X(MSR_SYSENTER_EIP, MSR_SYSENTER_EIP, MSR_IN_PAGE_LINEAR, true, PAGE_FIELD(sysenter_eip))      \
    X(MSR_MCG_CAP, MSR_MCG_CAP, MSR_CONSTANT, false, 0)                                            \
    X(MSR_MCG_STATUS, MSR_MCG_STATUS, MSR_KEPT, false, KEPT(mcg_status))                           \
    X(MSR_MISC_ENABLE, MSR_MISC_ENABLE, MSR_KEPT, false, KEPT(misc_enable))                        \
    X(MSR_DEBUGCTL, MSR_DEBUGCTL, MSR_WRITES_LOST, false, 0)                                       \
    X(MSR_MTRR_VARIABLE, MSR_MTRR_VARIABLE + MTRR_FIXED - 1, MSR_KEPT, false, KEPT_MTRR(0))        \
    X(MSR_MTRR_FIX_64K, MSR_MTRR_FIX_64K, MSR_KEPT, false, KEPT_MTRR(MTRR_FIXED))                  \
    X(MSR_MTRR_FIX_16K, MSR_MTRR_FIX_16K + 1, MSR_KEPT, false, KEPT_MTRR(MTRR_FIXED + 1))          \
    X(MSR_MTRR_FIX_4K, MSR_MTRR_FIX_4K + 7, MSR_KEPT, false, KEPT_MTRR(MTRR_FIXED + 3))            \
    X(MSR_PAT, MSR_PAT, MSR_OF_PAT, true, 0)                                                       \
    X(MSR_MTRR_DEFAULT, MSR_MTRR_DEFAULT, MSR_KEPT, false, KEPT_MTRR(MTRR_DEF_TYPE))

// Above 0xc0000000. The guest has most of them to itself.
#define HIGH_ROWS(X)                                                                               \
    X(MSR_EFER, MSR_EFER, MSR_OF_EFER, true, 0)                                                    \
    X(MSR_STAR, MSR_STAR, MSR_IN_PAGE, true, PAGE_FIELD(star))                                     \
    X(MSR_LSTAR, MSR_LSTAR, MSR_IN_PAGE_LINEAR, true, PAGE_FIELD(lstar))                           \
    X(MSR_CSTAR, MSR_CSTAR, MSR_IN_PAGE_LINEAR, true, PAGE_FIELD(cstar))                           \
    X(MSR_SFMASK, MSR_SFMASK, MSR_IN_PAGE, true, PAGE_FIELD(sfmask))                               \
    X(MSR_FS_BASE, MSR_FS_BASE, MSR_OF_SEGMENT, true, SEGMENT_FS)                                  \
    X(MSR_GS_BASE, MSR_GS_BASE, MSR_OF_SEGMENT, true, SEGMENT_GS)                                  \
    X(MSR_KERNEL_GS_BASE, MSR_KERNEL_GS_BASE, MSR_IN_PAGE_LINEAR, true,                            \
      PAGE_FIELD(kernel_gs_base))                                                                  \
    X(MSR_TSC_AUX, MSR_TSC_AUX, MSR_IN_PAGE, true, PAGE_FIELD(tsc_aux))

#define ROW(first, last, policy, pass, value) {first, last, policy, pass, value},
const struct msr_row msr_table[] = {LOW_ROWS(ROW) HIGH_ROWS(ROW)};
const unsigned msr_table_count = ARRAY_COUNT(msr_table);

// The row of each low MSR, counted from 1; 0: none.
#define ROW_NUMBER(first, ...)     NUMBER_##first,
#define ROW_SLOT(first, last, ...) [first... last] = NUMBER_##first,
enum { NUMBER_NONE, LOW_ROWS(ROW_NUMBER) LOW_ROW_COUNT };
static const uint8_t low_row[] = {LOW_ROWS(ROW_SLOT)};

void msr_reset(struct machine *machine)
{
    memset(&machine->msrs, 0, sizeof(machine->msrs));
    machine->msrs.apic_base = APIC_BASE_RESET;
    machine->msrs.misc_enable = MISC_ENABLE_RESET;
    machine->msrs.mtrr[MTRR_DEF_TYPE] = MTRR_DEF_TYPE_BOOT;
}

const struct msr_row *msr_find(uint32_t number)
{
    if (LIKELY(number < ARRAY_COUNT(low_row))) {
        return low_row[number] != NUMBER_NONE ? &msr_table[low_row[number] - 1] : NULL;
    }
    for (const struct msr_row *row = &msr_table[LOW_ROW_COUNT - 1];
         row < msr_table + ARRAY_COUNT(msr_table); row++) {
        if (number >= row->first && number <= row->last) {
            return row;
        }
    }
    return NULL;
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

// The value of MSR `number`, of a row that is kept.
static inline uint64_t *kept(struct machine *machine, const struct msr_row *row, uint32_t number)
{
    return (uint64_t *)(void *)((char *)&machine->msrs + row->value + 8ull * (number - row->first));
}

// Where a row keeps the value of MSR `number`; null: nowhere.
static uint64_t *location(struct machine *machine, const struct msr_row *row, uint32_t number)
{
    switch (row->policy) {
    case MSR_KEPT:
        return kept(machine, row, number);
    case MSR_IN_PAGE:
    case MSR_IN_PAGE_LINEAR:
        return (uint64_t *)(void *)((char *)machine->page + row->value);
    case MSR_OF_PAT:
        return &machine->page->pat;
    case MSR_OF_EFER:
        return &machine->page->efer;
    case MSR_OF_SEGMENT:
        return &machine->page->segment[row->value].base;
    case MSR_OF_TSC_ADJUST:
        return &machine->msrs.tsc_adjust;
    case MSR_CONSTANT:
    case MSR_WRITES_LOST:
    case MSR_OF_TSC:
        break;
    }
    return NULL;
}

// The page's group that holds the value; 0: not in the page.
static uint32_t group_of(const struct msr_row *row)
{
    switch (row->policy) {
    case MSR_OF_EFER:
        return VCPU_GROUP_CONTROL;
    case MSR_OF_SEGMENT:
        return VCPU_GROUP_SEGMENTS;
    case MSR_IN_PAGE:
    case MSR_IN_PAGE_LINEAR:
    case MSR_OF_PAT:
    case MSR_OF_TSC:
    case MSR_OF_TSC_ADJUST:
        return VCPU_GROUP_MSRS;
    case MSR_CONSTANT:
    case MSR_WRITES_LOST:
    case MSR_KEPT:
        break;
    }
    return 0;
}

// True the first time that `number` is refused, as long as there is room to remember it.
static bool is_news(struct machine *machine, uint32_t number)
{
    for (unsigned i = 0; i < machine->refused_count; i++) {
        if (machine->refused[i] == number) {
            return false;
        }
    }
    if (machine->refused_count == ARRAY_COUNT(machine->refused)) {
        return false;
    }
    machine->refused[machine->refused_count++] = number;
    return true;
}

static enum outcome refuse(struct machine *machine, const char *what, uint32_t number)
{
    machine->counts.msr_refused++;
    if (is_news(machine, number)) {
        machine_log(machine, "%s of MSR 0x%x refused with #GP at rip 0x%llx", what, number,
                    (unsigned long long)machine->page->rip);
    }
    return event_protection(machine);
}

static inline enum outcome give(struct vcpu_page *page, uint64_t value)
{
    page->gpr[GPR_RAX] = (uint32_t)value;
    page->gpr[GPR_RDX] = value >> 32;
    return OUTCOME_ADVANCE;
}

// An MSR that is neither the local APIC's nor simply kept. `row`: null where there is none.
static NOINLINE enum outcome read_other(struct machine *machine, const struct msr_row *row,
                                        uint32_t number)
{
    struct vcpu_page *page = machine->page;
    const uint64_t *from;

    if (!row) {
        return refuse(machine, "read", number);
    }
    if (!machine_has(machine, group_of(row))) {
        return OUTCOME_FETCH;
    }
    if (row->policy == MSR_OF_TSC) {
        return give(page, page->exit_tsc + page->tsc_offset);
    }
    from = location(machine, row, number);
    return give(page, from ? *from : row->value);
}

enum outcome handle_rdmsr(struct machine *machine)
{
    uint32_t number = (uint32_t)machine->page->gpr[GPR_RCX];
    const struct msr_row *row;

    if (machine->apic != NULL && apic_msr_is(number)) {
        return apic_msr_read(machine, number);
    }
    row = msr_find(number);
    return LIKELY(row && row->policy == MSR_KEPT) ? give(machine->page, *kept(machine, row, number))
                                                  : read_other(machine, row, number);
}

// Each byte of PAT is a memory type: 0, 1, 4, 5, 6 or 7.
static bool pat_is_allowed(uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t type = value >> (8 * i) & 0xff;

        if (type > 7 || type == 2 || type == 3) {
            return false;
        }
    }
    return true;
}

static bool efer_is_allowed(const struct vcpu_page *page, uint64_t value)
{
    bool changes_mode = ((value ^ page->efer) & EFER_LME) != 0;

    return !(value & ~(EFER_WRITABLE | EFER_LMA)) && !(changes_mode && (page->cr0 & CR0_PG));
}

static bool value_is_allowed(const struct machine *machine, const struct msr_row *row,
                             uint64_t value)
{
    switch (row->policy) {
    case MSR_CONSTANT:
        return false;
    case MSR_IN_PAGE_LINEAR:
    case MSR_OF_SEGMENT:
        return is_canonical(value);
    case MSR_OF_PAT:
        return pat_is_allowed(value);
    case MSR_OF_EFER:
        return efer_is_allowed(machine->page, value);
    case MSR_IN_PAGE:
    case MSR_KEPT:
    case MSR_WRITES_LOST:
    case MSR_OF_TSC:
    case MSR_OF_TSC_ADJUST:
        break;
    }
    return true;
}

// IA32_TSC_ADJUST follows every change of the TSC, "Time-Stamp Counter Adjustment".
static void set_tsc_offset(struct machine *machine, uint64_t offset)
{
    machine->msrs.tsc_adjust += offset - machine->page->tsc_offset;
    machine->page->tsc_offset = offset;
    if (machine->apic) {
        local_apic_set_tsc_offset(machine->apic, offset);
    }
}

// An MSR that is neither the local APIC's nor simply kept. `row`: null where there is none.
static NOINLINE enum outcome write_other(struct machine *machine, const struct msr_row *row,
                                         uint32_t number, uint64_t value)
{
    struct vcpu_page *page = machine->page;
    uint64_t *to;

    if (!row) {
        return refuse(machine, "write", number);
    }
    if (!machine_has(machine, group_of(row))) {
        return OUTCOME_FETCH;
    }
    if (!value_is_allowed(machine, row, value)) {
        return event_protection(machine);
    }
    if (row->policy == MSR_OF_TSC) {
        set_tsc_offset(machine, value - page->exit_tsc);
    } else if (row->policy == MSR_OF_TSC_ADJUST) {
        set_tsc_offset(machine, page->tsc_offset + value - machine->msrs.tsc_adjust);
    } else if (row->policy == MSR_OF_EFER) {
        value = (value & ~EFER_LMA) | (page->efer & EFER_LMA);
    }
    to = location(machine, row, number);
    if (to) {
        *to = value;
    }
    page->dirty |= group_of(row);
    return OUTCOME_ADVANCE;
}

enum outcome handle_wrmsr(struct machine *machine)
{
    const struct vcpu_page *page = machine->page;
    uint32_t number = (uint32_t)page->gpr[GPR_RCX];
    uint64_t value = page->gpr[GPR_RDX] << 32 | (uint32_t)page->gpr[GPR_RAX];
    const struct msr_row *row;

    if (machine->apic != NULL && apic_msr_is(number)) {
        return apic_msr_write(machine, number, value);
    }
    row = msr_find(number);
    if (LIKELY(row && row->policy == MSR_KEPT)) {
        *kept(machine, row, number) = value;
        return OUTCOME_ADVANCE;
    }
    return write_other(machine, row, number, value);
}
