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

#define CPUID_NEXT 0x10000u // of the flags: times where the next entry is

/*@
  logic integer cpuid_slot_of(integer leaf) = (uint8_t)(leaf ^ (leaf >> 24));
  // Where an entry is, in bytes from the start of its table, and which entry is there.
  logic integer cpuid_place(integer i) = 512 + 28 * i;
  logic integer cpuid_at(integer place) = (place - 512) / 28;
  predicate cpuid_leads(integer place) = place == 0 ||
    (0 <= cpuid_at(place) < VM_CPUID_MAXIMUM && place == cpuid_place(cpuid_at(place)));
  // Every slot leads to an entry or to none.
  predicate cpuid_slots_lead(struct cpuid_table *table) =
    \forall integer slot; 0 <= slot < CPUID_SLOTS ==> cpuid_leads(table->slots[slot]);
  logic integer cpuid_entry_slot(struct cpuid_table *table, integer i) =
    cpuid_slot_of(table->entries[i].leaf);
  logic integer cpuid_entry_next(struct cpuid_table *table, integer i) =
    table->entries[i].flags / CPUID_NEXT;
  // Of the entries from `least` on and below `count`, the first of a slot is there; 0: it has none.
  predicate cpuid_first(struct cpuid_table *table, integer place, integer slot, integer least,
                        integer count) =
    cpuid_leads(place) && (place != 0 ==> least <= cpuid_at(place) < count &&
                             cpuid_entry_slot(table, cpuid_at(place)) == slot) &&
    \forall integer i; least <= i < count && (place == 0 || i < cpuid_at(place)) ==>
      cpuid_entry_slot(table, i) != slot;
  // Every chain has the entries of its slot, in their order.
  predicate cpuid_built(struct cpuid_table *table, integer count) =
    (\forall integer slot; 0 <= slot < CPUID_SLOTS ==>
      cpuid_first(table, table->slots[slot], slot, 0, count)) &&
    \forall integer i; 0 <= i < count ==>
      cpuid_first(table, cpuid_entry_next(table, i), cpuid_entry_slot(table, i), i + 1, count);
  predicate cpuid_matches(struct cpuid_table *table, integer i, integer leaf, integer subleaf) =
    table->entries[i].leaf == leaf &&
    ((table->entries[i].flags & 1) == 0 || table->entries[i].subleaf == subleaf);
*/
static_assert(offsetof(struct cpuid_table, entries) == 512 && sizeof(struct vm_cpuid_entry) == 28,
              "cpuid_place");
static_assert((VM_CPUID_SUBLEAF | VM_CPUID_OSXSAVE | VM_CPUID_ASK) == 7, "known flags are below 8");

// Leaves come in ranges that start at 0, 0x40000000 and 0x80000000: each has slots of its own.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result == cpuid_slot_of(leaf) && \result < CPUID_SLOTS;
*/
static inline uint32_t cpuid_slot(uint32_t leaf)
{
    return (uint8_t)(leaf ^ leaf >> 24);
}

// Indexes the first `count` entries, already copied into the table. STATUS_INVALID: more than
// VM_CPUID_MAXIMUM, or an unknown flag; the table is then empty.
/*@
  requires \valid(table);
  terminates \true;
  assigns table->slots[0 .. CPUID_SLOTS - 1], table->entries[0 .. VM_CPUID_MAXIMUM - 1].flags;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result == STATUS_OK <==> count <= VM_CPUID_MAXIMUM &&
    \forall integer i; 0 <= i < count ==> \old(table->entries[i].flags) < 8;
  ensures \result == STATUS_OK ==> cpuid_built(table, count);
  ensures cpuid_slots_lead(table);
  // An entry's own flags stay.
  ensures \forall integer i; 0 <= i < VM_CPUID_MAXIMUM ==>
    table->entries[i].flags % CPUID_NEXT == \old(table->entries[i].flags) % CPUID_NEXT;
  ensures \result != STATUS_OK ==>
    \forall integer slot; 0 <= slot < CPUID_SLOTS ==> table->slots[slot] == 0;
*/
MUST_CHECK enum status cpuid_table_build(struct cpuid_table *table, size_t count);

// The entry at an offset of slots or flags; null for 0.
/*@
  requires \valid_read(table) && cpuid_leads(offset);
  terminates \true;
  assigns \nothing;
  ensures offset == 0 ==> \result == \null;
  ensures offset != 0 ==> \result == &table->entries[cpuid_at(offset)];
*/
static inline const struct vm_cpuid_entry *cpuid_table_entry(const struct cpuid_table *table,
                                                             uint32_t offset)
{
    return offset == 0 ? 0 : (const struct vm_cpuid_entry *)((const char *)table + offset);
}

// The first entry that matches; null when there is none.
/*@
  requires \valid_read(table) &&
    \exists integer count; 0 <= count <= VM_CPUID_MAXIMUM && cpuid_built(table, count);
  terminates \true;
  assigns \nothing;
  ensures \result == \null || \exists integer i; 0 <= i < VM_CPUID_MAXIMUM &&
    \result == &table->entries[i] && cpuid_matches(table, i, leaf, subleaf) &&
    \forall integer j; 0 <= j < i ==> !cpuid_matches(table, j, leaf, subleaf);
  ensures \result == \null ==> \forall integer count, i;
    0 <= i < count <= VM_CPUID_MAXIMUM && cpuid_built(table, count) ==>
      !cpuid_matches(table, i, leaf, subleaf);
*/
static inline const struct vm_cpuid_entry *cpuid_table_find(const struct cpuid_table *table,
                                                            uint32_t leaf, uint32_t subleaf)
{
    const struct vm_cpuid_entry *entry = cpuid_table_entry(table, table->slots[cpuid_slot(leaf)]);

    //@ ghost long at = entry == 0 ? VM_CPUID_MAXIMUM : entry - table->entries;
    /*@ loop invariant 0 <= at <= VM_CPUID_MAXIMUM && (entry == 0 <==> at == VM_CPUID_MAXIMUM);
        loop invariant entry != 0 ==> entry == &table->entries[at];
        loop invariant \forall integer count; cpuid_built(table, count) ==>
          entry == 0 || (at < count && cpuid_entry_slot(table, at) == cpuid_slot_of(leaf));
        loop invariant \forall integer count, i; 0 <= i < count <= VM_CPUID_MAXIMUM &&
          cpuid_built(table, count) && i < at ==> !cpuid_matches(table, i, leaf, subleaf);
        loop assigns entry, at;
        loop variant VM_CPUID_MAXIMUM - at;
    */
    while (entry != 0 && (entry->leaf != leaf ||
                          ((entry->flags & VM_CPUID_SUBLEAF) != 0 && entry->subleaf != subleaf))) {
        entry = cpuid_table_entry(table, entry->flags / CPUID_NEXT);
        //@ ghost at = entry == 0 ? VM_CPUID_MAXIMUM : entry - table->entries;
    }
    return entry;
}
