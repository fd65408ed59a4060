// SPDX-License-Identifier: MIT
// The MSRs of a processor with a local APIC: IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC
// registers. Called by the handlers of RDMSR and WRMSR, which serve the others.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/processor.h"
#include "vmm/monitor/machine.h"

// True when `number` is one of them. The range is wider than they are, for one compare; it holds no
// other MSR of ours.
static inline bool apic_msr_is(uint32_t number)
{
    return number - MSR_TSC_DEADLINE < LOCAL_APIC_MSR + LOCAL_APIC_MSR_COUNT - MSR_TSC_DEADLINE ||
           number == MSR_APIC_BASE;
}

// The access, for a machine with a local APIC. #GP as the manual says.
enum outcome apic_msr_read(struct machine *machine, uint32_t number);
enum outcome apic_msr_write_other(struct machine *machine, uint32_t number, uint64_t value);

static inline enum outcome apic_msr_write(struct machine *machine, uint32_t number, uint64_t value)
{
    if (number == MSR_TSC_DEADLINE) {
        local_apic_set_deadline(machine->apic, value);
        return OUTCOME_ADVANCE;
    }
    return apic_msr_write_other(machine, number, value);
}
