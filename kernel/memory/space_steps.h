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
