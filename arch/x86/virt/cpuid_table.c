// SPDX-License-Identifier: MIT
// Builds the index of a VM's CPUID table. Pure; called under the VM's lock.
#include "arch/x86/virt/cpuid_table.h"

#include <stdbool.h>

#define FLAGS_KNOWN ((uint32_t)VM_CPUID_SUBLEAF | VM_CPUID_OSXSAVE | VM_CPUID_ASK) // below 8

// Leaves it without entries.
/*@
  requires \valid(table);
  terminates \true;
  assigns table->slots[0 .. CPUID_SLOTS - 1];
  ensures \forall integer slot; 0 <= slot < CPUID_SLOTS ==> table->slots[slot] == 0;
*/
static void empty(struct cpuid_table *table)
{
    /*@ loop invariant 0 <= slot <= CPUID_SLOTS;
        loop invariant \forall integer i; 0 <= i < slot ==> table->slots[i] == 0;
        loop assigns slot, table->slots[0 .. CPUID_SLOTS - 1];
        loop variant CPUID_SLOTS - slot;
    */
    for (uint32_t slot = 0; slot < CPUID_SLOTS; slot++) {
        table->slots[slot] = 0;
    }
}

// Whether a monitor may set all of these flags.
/*@
  requires \valid_read(table) && count <= VM_CPUID_MAXIMUM;
  terminates \true;
  assigns \nothing;
  ensures \result <==> \forall integer i; 0 <= i < count ==> table->entries[i].flags < 8;
*/
static bool flags_known(const struct cpuid_table *table, size_t count)
{
    /*@ loop invariant 0 <= i <= count;
        loop invariant \forall integer j; 0 <= j < i ==> table->entries[j].flags < 8;
        loop assigns i;
        loop variant count - i;
    */
    for (size_t i = 0; i < count; i++) {
        if (table->entries[i].flags > FLAGS_KNOWN) {
            return false;
        }
    }
    return true;
}

// Puts an entry in front of its slot's chain.
/*@
  requires \valid(table) && index < VM_CPUID_MAXIMUM && table->entries[index].flags < 8;
  terminates \true;
  assigns table->slots[cpuid_entry_slot(table, index)], table->entries[index].flags;
  ensures table->slots[cpuid_entry_slot(table, index)] == cpuid_place(index);
  ensures cpuid_entry_next(table, index) ==
    \old(table->slots[cpuid_entry_slot(table, index)]);
  ensures table->entries[index].flags % CPUID_NEXT == \old(table->entries[index].flags);
*/
static void put_in_front(struct cpuid_table *table, size_t index)
{
    struct vm_cpuid_entry *entry = &table->entries[index];
    uint16_t *slot = &table->slots[cpuid_slot(entry->leaf)];

    entry->flags += *slot * CPUID_NEXT;
    *slot = (uint16_t)(offsetof(struct cpuid_table, entries) + index * sizeof(*entry));
}

enum status cpuid_table_build(struct cpuid_table *table, size_t count)
{
    empty(table);
    if (count > VM_CPUID_MAXIMUM || !flags_known(table, count)) {
        return STATUS_INVALID;
    }
    /*@ loop invariant 0 <= i <= count;
        loop invariant \forall integer slot; 0 <= slot < CPUID_SLOTS ==>
          cpuid_first(table, table->slots[slot], slot, i, count);
        loop invariant \forall integer j; i <= j < count ==>
          cpuid_first(table, cpuid_entry_next(table, j), cpuid_entry_slot(table, j), j + 1, count);
        loop invariant \forall integer j; 0 <= j < i ==> table->entries[j].flags < 8;
        loop invariant \forall integer j; 0 <= j < VM_CPUID_MAXIMUM ==>
          table->entries[j].flags % CPUID_NEXT ==
            \at(table->entries[j].flags, Pre) % CPUID_NEXT;
        loop assigns i, table->slots[0 .. CPUID_SLOTS - 1],
          table->entries[0 .. VM_CPUID_MAXIMUM - 1].flags;
        loop variant i;
    */
    for (size_t i = count; i > 0; i--) { // from the last, so that chains keep the order
        put_in_front(table, i - 1);
        /*@ assert \forall integer j; 0 <= j < VM_CPUID_MAXIMUM ==>
              cpuid_entry_slot(table, j) == \at(cpuid_entry_slot(table, j), LoopCurrent); */
        /*@ assert \forall integer j; i <= j < count ==>
              cpuid_entry_next(table, j) == \at(cpuid_entry_next(table, j), LoopCurrent); */
        /*@ assert \forall integer slot; 0 <= slot < CPUID_SLOTS &&
              slot != cpuid_entry_slot(table, i - 1) ==>
                table->slots[slot] == \at(table->slots[slot], LoopCurrent); */
        //@ assert cpuid_leads(cpuid_place(i - 1)) && cpuid_at(cpuid_place(i - 1)) == i - 1;
    }
    return STATUS_OK;
}
