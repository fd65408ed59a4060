// SPDX-License-Identifier: MIT
// The MSR policy: which model-specific registers the guest finds, as data rows.
#pragma once

#include <stdint.h>
#include "vmm/monitor/machine.h"

enum msr_policy {
    MSR_CONSTANT,       // reads `value`; a write gets #GP
    MSR_WRITES_LOST,    // reads `value`; what is written is lost
    MSR_KEPT,           // in struct machine_msrs, at `value`, 8 bytes per MSR
    MSR_IN_PAGE,        // in struct vcpu_page, at `value`
    MSR_IN_PAGE_LINEAR, // the same, and must be a canonical address
    MSR_OF_TSC,
    MSR_OF_TSC_ADJUST,
    MSR_OF_EFER,
    MSR_OF_PAT,
    MSR_OF_SEGMENT, // base of segment[`value`]
};

struct msr_row {
    uint32_t first;
    uint32_t last;
    enum msr_policy policy;
    bool pass; // the guest may access it without an exit, where the backend can
    uint64_t value;
};

// All rows, by ascending number. An MSR without a row gets #GP, is counted and logged.
extern const struct msr_row msr_table[];
extern const unsigned msr_table_count;

// The values after power-on.
void msr_reset(struct machine *machine);

// The row of `number`, or null.
const struct msr_row *msr_find(uint32_t number);
