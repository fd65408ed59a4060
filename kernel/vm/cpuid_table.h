// SPDX-License-Identifier: MIT
// The CPUID table that a monitor registers for its VM: a copy of its entries, and an index by leaf
// so that a lookup costs a few instructions whatever the table's size. Pure; host-tested. Guarded
// by the VM's lock when it is replaced; read by vCPUs of VMs whose monitor is not replacing it.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define CPUID_SLOTS 256u

// One page. Numbers of entries are 1-based; 0: none.
struct cpuid_table {
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    uint8_t slots[CPUID_SLOTS];     // first entry of a chain
    uint8_t next[VM_CPUID_MAXIMUM]; // next entry with the same slot, in the order registered
};
static_assert(sizeof(struct cpuid_table) <= 4096, "one page");

// Leaves come in ranges that start at 0, 0x40000000 and 0x80000000: 64 slots each.
static inline uint32_t cpuid_slot(uint32_t leaf)
{
    return (leaf & 0x3f) | (leaf >> 24 & 0xc0);
}

// Indexes the first `count` entries, already copied into the table. STATUS_INVALID: more than
// VM_CPUID_MAXIMUM, or an unknown flag; the table is then empty.
MUST_CHECK enum status cpuid_table_build(struct cpuid_table *table, size_t count);

// The first entry that matches; null when there is none.
static inline const struct vm_cpuid_entry *cpuid_table_find(const struct cpuid_table *table,
                                                            uint32_t leaf, uint32_t subleaf)
{
    uint32_t number = table->slots[cpuid_slot(leaf)];

    while (number != 0) {
        const struct vm_cpuid_entry *entry = &table->entries[number - 1];

        if (entry->leaf == leaf &&
            ((entry->flags & VM_CPUID_SUBLEAF) == 0 || entry->subleaf == subleaf)) {
            return entry;
        }
        number = table->next[number - 1];
    }
    return 0;
}
