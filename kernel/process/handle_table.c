// SPDX-License-Identifier: MIT
// The handle table of handle_table.h. Host-tested.
#include "kernel/process/handle_table.h"

enum status handle_table_add(struct handle_table *table, struct handle handle, uint32_t *number)
{
    /*@
      loop invariant 0 <= i <= HANDLE_MAXIMUM;
      loop invariant \forall integer k; 0 <= k < i ==> table->entries[k].kind != HANDLE_NONE;
      loop assigns i;
      loop variant HANDLE_MAXIMUM - i;
    */
    for (uint32_t i = 0; i < HANDLE_MAXIMUM; i++) {
        if (table->entries[i].kind == HANDLE_NONE) {
            table->entries[i] = handle;
            *number = i;
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

enum status handle_table_get(const struct handle_table *table, uint64_t number,
                             enum handle_kind kind, struct handle *handle)
{
    if (number >= HANDLE_MAXIMUM || table->entries[number].kind == HANDLE_NONE) {
        return STATUS_NOT_FOUND;
    }
    if (table->entries[number].kind != kind) {
        return STATUS_DENIED;
    }
    *handle = table->entries[number];
    return STATUS_OK;
}

enum status handle_table_remove(struct handle_table *table, uint64_t number, struct handle *handle)
{
    if (number >= HANDLE_MAXIMUM || table->entries[number].kind == HANDLE_NONE) {
        return STATUS_NOT_FOUND;
    }
    *handle = table->entries[number];
    table->entries[number].kind = HANDLE_NONE;
    table->entries[number].value = 0;
    return STATUS_OK;
}
