// SPDX-License-Identifier: MIT
// Control registers, debug registers and XCR0: the checks of the manual's "Control Registers",
// "Debug Registers" and XSETBV, then the change. The page holds values as the guest sees them.
#include "vmm/monitor/handlers.h"

#include "kernel/lib/processor.h"
#include "vmm/monitor/event.h"

#define CR0_DEFINED 0xe005003full // all bits that exist

static bool in_64_bit_mode(const struct vcpu_page *page)
{
    return (page->efer & EFER_LMA) && (page->segment[SEGMENT_CS].access_rights & SEGMENT_LONG);
}

// "PAE Paging": what loads CR0, CR3 or CR4 loads the four entries too, unless one that is present
// has reserved bits.
static bool pdptes_are_allowed(const struct machine *machine, uint64_t cr0, uint64_t cr3,
                               uint64_t cr4)
{
    uint64_t reserved = PDPTE_RESERVED | ~((1ull << machine->features.physical_bits) - 1);
    uint64_t entries[4];

    if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (machine->page->efer & EFER_LME)) {
        return true;
    }
    if (guest_memory_read(machine->memory, gpa(cr3 & 0xffffffe0), entries, sizeof(entries)) !=
        STATUS_OK) {
        return false; // no memory: all ones
    }
    for (unsigned i = 0; i < ARRAY_COUNT(entries); i++) {
        if ((entries[i] & PDPTE_PRESENT) && (entries[i] & reserved)) {
            return false;
        }
    }
    return true;
}

static bool cr0_is_allowed(const struct vcpu_page *page, uint64_t value)
{
    bool paging_starts = (value & CR0_PG) && !(page->cr0 & CR0_PG);
    bool paging_ends = !(value & CR0_PG) && (page->cr0 & CR0_PG);

    if (value >> 32) {
        return false;
    }
    if (((value & CR0_PG) && !(value & CR0_PE)) || ((value & CR0_NW) && !(value & CR0_CD))) {
        return false;
    }
    if (paging_starts && (page->efer & EFER_LME)) {
        return (page->cr4 & CR4_PAE) && !(page->segment[SEGMENT_CS].access_rights & SEGMENT_LONG);
    }
    if (paging_ends) {
        return !in_64_bit_mode(page) && !(page->cr4 & CR4_PCIDE);
    }
    return true;
}

static enum outcome write_cr0(struct machine *machine, uint64_t value)
{
    struct vcpu_page *page = machine->page;

    if (!cr0_is_allowed(page, value) || !pdptes_are_allowed(machine, value, page->cr3, page->cr4)) {
        return event_protection(machine);
    }
    page->cr0 = (value & CR0_DEFINED) | CR0_ET;
    page->efer &= ~EFER_LMA;
    if ((value & CR0_PG) && (page->efer & EFER_LME)) {
        page->efer |= EFER_LMA;
    }
    page->dirty |= VCPU_GROUP_CONTROL;
    return OUTCOME_ADVANCE;
}

static enum outcome write_cr3(struct machine *machine, uint64_t value)
{
    struct vcpu_page *page = machine->page;
    uint64_t reserved = ~((1ull << machine->features.physical_bits) - 1);

    if (page->cr4 & CR4_PCIDE) {
        value &= ~(1ull << 63);
    }
    if ((in_64_bit_mode(page) && (value & reserved)) ||
        !pdptes_are_allowed(machine, page->cr0, value, page->cr4)) {
        return event_protection(machine);
    }
    page->cr3 = value;
    page->dirty |= VCPU_GROUP_CONTROL;
    return OUTCOME_ADVANCE;
}

static bool cr4_is_allowed(const struct machine *machine, uint64_t value)
{
    const struct vcpu_page *page = machine->page;
    bool long_mode = (page->efer & EFER_LMA) != 0;
    bool pcid_starts = (value & CR4_PCIDE) && !(page->cr4 & CR4_PCIDE);

    if (value & ~machine->features.cr4_allowed) {
        return false;
    }
    if (long_mode && !(value & CR4_PAE)) {
        return false;
    }
    return !pcid_starts || (long_mode && (page->cr3 & 0xfff) == 0);
}

static enum outcome write_cr4(struct machine *machine, uint64_t value)
{
    if (!cr4_is_allowed(machine, value) ||
        !pdptes_are_allowed(machine, machine->page->cr0, machine->page->cr3, value)) {
        return event_protection(machine);
    }
    machine->page->cr4 = value;
    machine->page->dirty |= VCPU_GROUP_CONTROL;
    return OUTCOME_ADVANCE;
}

static enum outcome write_cr8(struct machine *machine, uint64_t value)
{
    if (value & ~0xfull) {
        return event_protection(machine);
    }
    if (machine->apic) {
        local_apic_set_task_priority(machine->apic, (uint32_t)value);
    }
    machine->cr8 = value;
    return OUTCOME_ADVANCE;
}

static enum outcome write_control_register(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;
    uint64_t value = machine->page->gpr[exit->cr.gpr & 15];

    if (!in_64_bit_mode(machine->page)) {
        value = (uint32_t)value;
    }
    switch (exit->cr.number) {
    case 0:
        return write_cr0(machine, value);
    case 3:
        return write_cr3(machine, value);
    case 4:
        return write_cr4(machine, value);
    case 8:
        return write_cr8(machine, value);
    default:
        return event_undefined(machine);
    }
}

static enum outcome read_control_register(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint64_t priority = machine->apic ? local_apic_task_priority(machine->apic) : machine->cr8;
    const uint64_t values[16] = {
        [0] = page->cr0, [2] = page->cr2, [3] = page->cr3, [4] = page->cr4, [8] = priority,
    };
    unsigned gpr = page->exit.cr.gpr & 15u;

    page->gpr[gpr] = values[page->exit.cr.number & 15];
    page->dirty |= gpr == GPR_RSP ? (uint32_t)VCPU_GROUP_RIP : 0;
    return OUTCOME_ADVANCE;
}

enum outcome handle_control_register(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint64_t low = page->exit.cr.lmsw_source & 0xf;

    if (!machine_has(machine, VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS)) {
        return OUTCOME_FETCH;
    }
    switch (page->exit.cr.access) {
    case CR_ACCESS_WRITE:
        return write_control_register(machine);
    case CR_ACCESS_READ:
        return read_control_register(machine);
    case CR_ACCESS_CLTS:
        return write_cr0(machine, page->cr0 & ~CR0_TS);
    case CR_ACCESS_LMSW:
        return write_cr0(machine, (page->cr0 & ~0xeull) | low); // PE can be set, not cleared
    default:
        return handle_unknown(machine);
    }
}

// The register behind `number`, null where there is none. DR4 and DR5 name DR6 and DR7.
static uint64_t *debug_register(struct vcpu_page *page, unsigned number)
{
    if (number < 4) {
        return &page->dr[number];
    }
    if (number < 8 && (number >= 6 || !(page->cr4 & CR4_DE))) {
        return number & 1 ? &page->dr7 : &page->dr6;
    }
    return NULL;
}

static uint64_t debug_register_value(unsigned number, uint64_t value)
{
    if (number < 4) {
        return value;
    }
    // The bits that always read as one, "Debug Status Register" and "Debug Control Register".
    return number & 1 ? ((value & 0xffff2bffull) | 0x400) : ((value & 0xe00full) | 0xffff0ff0ull);
}

enum outcome handle_debug_register(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    unsigned number = page->exit.dr.number;
    unsigned gpr = page->exit.dr.gpr & 15u;
    uint64_t *location;

    if (!machine_has(machine, VCPU_GROUP_CONTROL | VCPU_GROUP_DEBUG)) {
        return OUTCOME_FETCH;
    }
    location = debug_register(page, number);
    if (!location) {
        return event_undefined(machine);
    }
    if (page->dr7 & DR7_GD) { // the exit comes before this fault
        page->dr7 &= ~DR7_GD;
        page->dr6 |= DR6_BD;
        page->dirty |= VCPU_GROUP_DEBUG;
        event_raise(machine, VECTOR_DEBUG);
        return OUTCOME_RESUME;
    }
    if (page->exit.dr.read) {
        page->gpr[gpr] = *location;
        page->dirty |= gpr == GPR_RSP ? (uint32_t)VCPU_GROUP_RIP : 0;
        return OUTCOME_ADVANCE;
    }
    if (number >= 4 && page->gpr[gpr] >> 32) {
        return event_protection(machine);
    }
    *location = debug_register_value(number, page->gpr[gpr]);
    page->dirty |= VCPU_GROUP_DEBUG;
    return OUTCOME_ADVANCE;
}

static bool xcr0_is_allowed(const struct machine *machine, uint64_t value)
{
    if (!(value & XCR0_X87) || (value & ~machine->features.xcr0_allowed)) {
        return false;
    }
    return !(value & XCR0_AVX) || (value & XCR0_SSE);
}

enum outcome handle_xsetbv(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint64_t value = page->gpr[GPR_RDX] << 32 | (uint32_t)page->gpr[GPR_RAX];

    if ((uint32_t)page->gpr[GPR_RCX] != 0 || !xcr0_is_allowed(machine, value)) {
        return event_protection(machine);
    }
    page->xcr0 = value;
    page->valid |= VCPU_GROUP_XCR0;
    page->dirty |= VCPU_GROUP_XCR0;
    return OUTCOME_ADVANCE;
}
