// SPDX-License-Identifier: MIT
// Builds the index of a VM's CPUID table. Pure; called under the VM's lock.
#include "kernel/vm/cpuid_table.h"

#include "kernel/lib/string.h"

#define FLAGS_KNOWN ((uint32_t)VM_CPUID_SUBLEAF | VM_CPUID_OSXSAVE | VM_CPUID_ASK)

enum status cpuid_table_build(struct cpuid_table *table, size_t count)
{
    memset(table->slots, 0, sizeof(table->slots));
    memset(table->next, 0, sizeof(table->next));
    if (count > VM_CPUID_MAXIMUM) {
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        if ((table->entries[i].flags & ~FLAGS_KNOWN) != 0) {
            return STATUS_INVALID;
        }
    }
    for (size_t i = count; i > 0; i--) { // from the last, so that chains keep the order
        uint8_t *slot = &table->slots[cpuid_slot(table->entries[i - 1].leaf)];

        table->next[i - 1] = *slot;
        *slot = (uint8_t)i;
    }
    return STATUS_OK;
}
