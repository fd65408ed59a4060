// SPDX-License-Identifier: MIT
// The steps that address_space.c is made of, each with what it leaves as it is: the regions, and
// the tables, whose entries a proof knows as words like any other. Only address_space.c uses them.
#pragma once

#include "arch/x86/paging/table_still.h"
#include "kernel/memory/address_space.h"

/*@
  // No table lies in an address space.
  predicate space_apart{L}(struct address_space *space) =
    \forall integer p, i; 0 <= i < 512 ==>
      \separated(table_at(space->table.direct_offset, p) + i, space);
*/

/*@
  // Ring 3 may read an address; and what is said of it.
  predicate space_maps{L}(struct address_space *space, integer address) =
    address < USER_LIMIT && WORD_BIT(entry_at(&space->table, address), 0) &&
    WORD_BIT(entry_at(&space->table, address), 2);
  // Where an entry of a level maps an address to.
  logic integer frame_address(integer entry, integer level, integer address) =
    level == 0 ? (entry & 0x000ffffffffff000) + address % 0x1000
    : level == 1 ? (entry & 0x000fffffffe00000) + address % 0x200000
                 : (entry & 0x000fffffc0000000) + address % 0x40000000;
*/

// What both translations promise of `mapping`, for `address` as the tables of `space` were.
// clang-format off
#define TRANSLATION_TOLD                                                                           \
    ensures \result == STATUS_OK || \result == STATUS_FAULT;                                       \
    ensures mapped: \result == STATUS_OK <==> space_maps{Pre}(space, address);                     \
    ensures frame: \result == STATUS_OK ==>                                                        \
      mapping->address.value == (uint64_t)frame_address(entry_at{Pre}(&space->table, address),     \
        level_at{Pre}(&space->table, address), address);                                           \
    ensures size: \result == STATUS_OK ==>                                                         \
      mapping->page_size == span_of(level_at{Pre}(&space->table, address));                        \
    ensures writable: \result == STATUS_OK ==>                                                     \
      (mapping->writable <==> WORD_BIT(entry_at{Pre}(&space->table, address), 1));                 \
    ensures executable: \result == STATUS_OK ==>                                                   \
      (mapping->executable <==> !WORD_BIT(entry_at{Pre}(&space->table, address), 63));             \
    ensures kept: \result != STATUS_OK ==> *mapping == \old(*mapping);
// clang-format on

// The lock of an address space.
/*@
  requires space_usable(space);
  terminates \true;
  assigns space->lock.last;
  ensures space_held(space) && space_same_regions{Pre, Post}(space);
  ensures tables: space_apart{Pre}(space) ==> tables_same{Pre, Post}(&space->table);
*/
static inline void space_lock(struct address_space *space)
{
    lock_acquire(&space->lock);
    //@ assert same: space_same_regions{Pre, Here}(space);
    /*@ assert sizes: \forall integer i; 0 <= i < space->regions->count ==>
          space->regions->entries[i].bytes > 0 &&
          space->regions->entries[i].start + space->regions->entries[i].bytes <= UINT64_MAX; */
    /*@ assert apart: \forall integer i, j; 0 <= i < j < space->regions->count ==>
          regions_apart(space->regions, i, j); */
}

/*@
  requires space_held(space);
  terminates \true;
  assigns space->lock.turn;
  ensures space_usable(space) && space_same_regions{Pre, Post}(space);
  ensures tables: space_apart{Pre}(space) ==> tables_same{Pre, Post}(&space->table);
*/
static inline void space_unlock(struct address_space *space)
{
    lock_release(&space->lock);
    //@ assert same: space_same_regions{Pre, Here}(space);
    /*@ assert sizes: \forall integer i; 0 <= i < space->regions->count ==>
          space->regions->entries[i].bytes > 0 &&
          space->regions->entries[i].start + space->regions->entries[i].bytes <= UINT64_MAX; */
    /*@ assert apart: \forall integer i, j; 0 <= i < j < space->regions->count ==>
          regions_apart(space->regions, i, j); */
}

// Takes a region out of the list.
/*@
  requires space_held(space);
  requires \exists integer i; 0 <= i < space->regions->count &&
    region == &space->regions->entries[i];
  terminates \true;
  assigns space->regions->count, space->regions->entries[0 .. REGION_MAXIMUM - 1];
  ensures space_held(space);
  ensures \forall integer i; region == &space->regions->entries[i] ==>
    region_went{Pre, Post}(space->regions, i);
*/
static inline void space_remove(struct address_space *space, struct region *region)
{
    //@ assert last: \separated(&space->lock.last, space->regions);
    //@ assert turn: \separated(&space->lock.turn, space->regions);
    region_remove(space->regions, region);
    //@ assert held: lock_held(&space->lock);
}
