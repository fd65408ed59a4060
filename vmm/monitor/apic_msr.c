// SPDX-License-Identifier: MIT
// Local APIC MSRs. See apic_msr.h.
#include "vmm/monitor/apic_msr.h"

#include "vmm/monitor/event.h"

static bool read(struct machine *machine, uint32_t number, uint64_t *value)
{
    if (number >= LOCAL_APIC_MSR) {
        return local_apic_read_msr(machine->apic, number - LOCAL_APIC_MSR, value);
    }
    *value = number == MSR_APIC_BASE ? machine->apic->base : local_apic_deadline(machine->apic);
    return number == MSR_APIC_BASE || number == MSR_TSC_DEADLINE;
}

static NOINLINE bool write_base(struct machine *machine, uint32_t number, uint64_t value)
{
    if (number != MSR_APIC_BASE ||
        !platform_set_apic_base(machine->platform, machine->apic, value)) {
        return false;
    }
    local_apic_choose_mode(machine->apic);
    event_load_apic(machine);
    return true;
}

enum outcome apic_msr_read(struct machine *machine, uint32_t number)
{
    uint64_t value = 0;

    if (!read(machine, number, &value)) {
        return event_protection(machine);
    }
    machine->page->gpr[GPR_RAX] = (uint32_t)value;
    machine->page->gpr[GPR_RDX] = value >> 32;
    return OUTCOME_ADVANCE;
}

NOINLINE enum outcome apic_msr_write_other(struct machine *machine, uint32_t number, uint64_t value)
{
    bool done = LIKELY(number >= LOCAL_APIC_MSR)
                    ? local_apic_write_msr(machine->apic, number - LOCAL_APIC_MSR, value)
                    : write_base(machine, number, value);

    return done ? OUTCOME_ADVANCE : event_protection(machine);
}
