// SPDX-License-Identifier: MIT
// Builds the index of a VM's CPUID table. Pure; called under the VM's lock.
#include "arch/x86/virt/cpuid_table.h"

#include "kernel/lib/string.h"

#define FLAGS_KNOWN ((uint32_t)VM_CPUID_SUBLEAF | VM_CPUID_OSXSAVE | VM_CPUID_ASK)

enum status cpuid_table_build(struct cpuid_table *table, size_t count)
{
    memset(table->slots, 0, sizeof(table->slots));
    if (count > VM_CPUID_MAXIMUM) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if ((table->entries[i].flags & ~FLAGS_KNOWN) != 0) {
            return STATUS_INVALID;
        }
    }
    for (size_t i = count; i > 0; i--) { // from the last, so that chains keep the order
        struct vm_cpuid_entry *entry = &table->entries[i - 1];
        uint16_t *slot = &table->slots[cpuid_slot(entry->leaf)];

        entry->flags |= (uint32_t)*slot << CPUID_NEXT_SHIFT;
        *slot = (uint16_t)((char *)entry - (char *)table);
    }
    return STATUS_OK;
}
