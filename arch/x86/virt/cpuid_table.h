// SPDX-License-Identifier: MIT
// The CPUID table that a monitor registers for its VM: a copy of its entries, and an index by leaf
// so that a lookup costs a few instructions whatever the table's size. Pure; host-tested. Guarded
// by the VM's lock when it is replaced; the monitor does that while its vCPUs do not run.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define CPUID_SLOTS 256u

// One page. A slot holds where its first entry is, in bytes from the start of the table; 0: it has
// none. The entries of a slot are chained in the same way through the upper half of their flags.
struct cpuid_table {
    uint16_t slots[CPUID_SLOTS];
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
};
static_assert(sizeof(struct cpuid_table) <= 4096, "one page");

#define CPUID_NEXT_SHIFT 16u // of the flags

// Leaves come in ranges that start at 0, 0x40000000 and 0x80000000: each has slots of its own.
static inline uint32_t cpuid_slot(uint32_t leaf)
{
    return (uint8_t)(leaf ^ leaf >> 24);
}

// Indexes the first `count` entries, already copied into the table. STATUS_INVALID: more than
// VM_CPUID_MAXIMUM, or an unknown flag; the table is then empty.
MUST_CHECK enum status cpuid_table_build(struct cpuid_table *table, size_t count);

// The entry at an offset of slots or flags; null for 0.
static inline const struct vm_cpuid_entry *cpuid_table_entry(const struct cpuid_table *table,
                                                             uint32_t offset)
{
    return offset == 0 ? 0 : (const struct vm_cpuid_entry *)((const char *)table + offset);
}

// The first entry that matches; null when there is none.
static inline const struct vm_cpuid_entry *cpuid_table_find(const struct cpuid_table *table,
                                                            uint32_t leaf, uint32_t subleaf)
{
    const struct vm_cpuid_entry *entry = cpuid_table_entry(table, table->slots[cpuid_slot(leaf)]);

    while (entry != 0 && (entry->leaf != leaf ||
                          ((entry->flags & VM_CPUID_SUBLEAF) != 0 && entry->subleaf != subleaf))) {
        entry = cpuid_table_entry(table, entry->flags >> CPUID_NEXT_SHIFT);
    }
    return entry;
}
