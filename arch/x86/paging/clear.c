// SPDX-License-Identifier: MIT
// Clears a range of a page table (clear.h).
#include "arch/x86/paging/clear.h"

// Clears what lies in one entry.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511));
  requires address % 0x1000 == 0 && size % 0x1000 == 0 && address + size <= 0x10000000000000000;
  requires size > 0;
  requires address % span_of(level) + size <= span_of(level);
  requires none_cut(table, low_of(address), size);
  terminates \true;
  decreases 2 * level;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures cleared: none_mapped(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures above: same_above{Pre, Post}(table, level);
  ensures tree: is_tree(table);
  ensures way: on_way(table, entries, level, address);
*/
static void clear_entry(const struct page_table *table, uint64_t *entries, unsigned level,
                        uint64_t address, uint64_t size, const struct page_source *source)
{
    uint64_t entry = entries[level_index(address, level)];
    //@ ghost table_place(address, level);
    /*@ assert covers: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) ==>
          under(level, address, i, j, k, l); */
    if (!entry_present(table->format, entry)) {
        //@ assert none: none_under(table, level, address);
        return;
    }
    if (entry_is_leaf(entry, level)) {
        //@ assert leaf: all_under(table, level, address, entry, level);
        /*@ assert whole: whole_on(table, low_of(address), size, index_3(address), index_2(address),
                                   index_1(address), index_0(address)); */
        //@ assert address % span_of(level) == 0 && size == span_of(level);
        table_set_entry(table, entries, level, address, 0);
        return;
    }
    table_clear(table, page_at(table, entry_address(entry)), level - 1, address, size, source);
    /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    //@ assert way: on_way(table, entries, level, address);
    table_prune(table, entries, level, address, source);
    //@ assert above_3: level < 3 ==> same_3{Pre, Here}(table, 4, 0);
    //@ assert above_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
    //@ assert above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
}

void table_clear(const struct page_table *table, uint64_t *entries, unsigned level,
                 uint64_t address, uint64_t size, const struct page_source *source)
{
    /*@
      loop invariant 0 <= size <= \at(size, Pre) && size % 0x1000 == 0;
      loop invariant size != 0 ==>
        address == \at(address, Pre) + \at(size, Pre) - size && address % 0x1000 == 0 &&
        address + size <= 0x10000000000000000 &&
        low_of(address) == low_of(\at(address, Pre)) + \at(size, Pre) - size &&
        address % span_of(level + 1) + size <= span_of(level + 1);
      loop invariant aligned: size != 0 && size != \at(size, Pre) ==>
        address % span_of(level) == 0;
      loop invariant way: size != 0 ==> on_way(table, entries, level, address);
      loop invariant cleared:
        none_mapped(table, low_of(\at(address, Pre)), \at(size, Pre) - size);
      loop invariant outside:
        same_outside{Pre, Here}(table, low_of(\at(address, Pre)), \at(size, Pre) - size);
      loop invariant above_3: level < 3 ==> same_3{Pre, Here}(table, 4, 0);
      loop invariant above_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
      loop invariant above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
      loop invariant fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre);
      loop invariant tree: is_tree(table) && table_apart(table);
      loop assigns address, size,
        { table_at(\at(table->direct_offset, Pre), p)[i] | integer p, i; 0 <= i < 512 };
      loop variant size;
    */
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        //@ ghost table_place(address, level);
        /*@ assert covers: \forall integer i, j, k, l; in_part(low_of(address), chunk, i, j, k, l) ==>
              under(level, address, i, j, k, l); */
        /*@ assert level_3: level == 3 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(3, address, i, j, k, l) ==> level_on(table, i, j, k) <= 3; */
        /*@ assert level_2: level == 2 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(2, address, i, j, k, l) ==> level_on(table, i, j, k) <= 2; */
        /*@ assert level_1: level == 1 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(1, address, i, j, k, l) ==> level_on(table, i, j, k) <= 1; */
        /*@ assert level_0: level == 0 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(0, address, i, j, k, l) ==> level_on(table, i, j, k) <= 0; */
        /*@ assert first_3: level == 3 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(3, address, i, j, k, l) ==>
                start_of(3, i, j, k, l) == low_of(address) - address % span_of(3); */
        /*@ assert first_2: level == 2 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(2, address, i, j, k, l) ==>
                start_of(2, i, j, k, l) == low_of(address) - address % span_of(2); */
        /*@ assert first_1: level == 1 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(1, address, i, j, k, l) ==>
                start_of(1, i, j, k, l) == low_of(address) - address % span_of(1); */
        /*@ assert first_0: level == 0 ==> \forall integer i, j, k, l; is_path(i, j, k, l) &&
              under(0, address, i, j, k, l) ==>
                start_of(0, i, j, k, l) == low_of(address) - address % span_of(0); */
        /*@ assert inside: \forall integer i, j, k, l, m; is_path(i, j, k, l) && 0 <= m <= level ==>
              start_of(level, i, j, k, l) <= start_of(m, i, j, k, l) &&
              start_of(m, i, j, k, l) + span_of(m) <=
                start_of(level, i, j, k, l) + span_of(level); */
        /*@ assert whole: \forall integer i, j, k, l;
              in_part(low_of(address), size, i, j, k, l) ==>
                whole_on(table, low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l); */
        /*@ assert begin: size == \at(size, Pre) ==> \forall integer i, j, k, l;
              in_part(low_of(address), chunk, i, j, k, l) &&
              is_present(table->format, entry_on(table, i, j, k, l)) ==>
                low_of(address) <= start_of(level_on(table, i, j, k), i, j, k, l); */
        /*@ assert rest: size != \at(size, Pre) ==> \forall integer i, j, k, l;
              in_part(low_of(address), chunk, i, j, k, l) ==>
                low_of(address) <= start_of(level, i, j, k, l); */
        /*@ assert first: \forall integer i, j, k, l;
              in_part(low_of(address), chunk, i, j, k, l) &&
              is_present(table->format, entry_on(table, i, j, k, l)) ==>
                low_of(address) <= start_of(level_on(table, i, j, k), i, j, k, l); */
        /*@ assert last: \forall integer i, j, k, l;
              in_part(low_of(address), chunk, i, j, k, l) &&
              is_present(table->format, entry_on(table, i, j, k, l)) ==>
                start_of(level_on(table, i, j, k), i, j, k, l) +
                span_of(level_on(table, i, j, k)) <= low_of(address) + chunk; */
        //@ assert uncut: none_cut(table, low_of(address), chunk);
        //@ assert bound: chunk < size ==> address + chunk <= 0xffffffffffffffff;
        //@ ghost table_step(address, chunk, level);
        /*@ assert chunk_3: level == 3 && chunk < size ==>
              chunk == span_of(3) - address % span_of(3) && chunk % 0x1000 == 0 &&
              (address + chunk) % span_of(3) == 0; */
        /*@ assert chunk_2: level == 2 && chunk < size ==>
              chunk == span_of(2) - address % span_of(2) && chunk % 0x1000 == 0 &&
              (address + chunk) % span_of(2) == 0; */
        /*@ assert chunk_1: level == 1 && chunk < size ==>
              chunk == span_of(1) - address % span_of(1) && chunk % 0x1000 == 0 &&
              (address + chunk) % span_of(1) == 0; */
        /*@ assert chunk_0: level == 0 && chunk < size ==>
              chunk == span_of(0) - address % span_of(0) && chunk % 0x1000 == 0 &&
              (address + chunk) % span_of(0) == 0; */
        //@ assert pages: chunk % 0x1000 == 0;
        //@ assert chunk == chunk / 0x1000 * 0x1000 && size == size / 0x1000 * 0x1000;
        //@ assert size - chunk == (size / 0x1000 - chunk / 0x1000) * 0x1000;
        //@ assert left: (size - chunk) % 0x1000 == 0;
        //@ assert chunk < size ==> (uint64_t)(address + chunk) == address + chunk;
        /*@ assert chunk < size ==> address + chunk == \at(address, Pre) + \at(size, Pre) -
              (size - chunk); */
        //@ assert chunk < size ==> address == address / 0x1000 * 0x1000;
        //@ assert chunk < size ==> address + chunk == (address / 0x1000 + chunk / 0x1000) * 0x1000;
        //@ assert \forall integer n; n >= 0 ==> (n * 0x1000) / 0x1000 == n;
        /*@ assert chunk < size ==> (address + chunk) / 0x1000 == address / 0x1000 + chunk / 0x1000; */
        //@ assert multiple: chunk < size ==> (address + chunk) % 0x1000 == 0;
        //@ assert next: chunk < size ==> (address + chunk) % span_of(level) == 0;
        /*@ assert room: chunk < size ==> (address + chunk) % span_of(level + 1) + (size - chunk) <=
              span_of(level + 1); */
        /*@ assert place: chunk < size ==> low_of(address + chunk) ==
              low_of(\at(address, Pre)) + \at(size, Pre) - (size - chunk); */
        /*@ assert ways: level < 1 ==> \forall integer i, j; 0 <= i < 512 && 0 <= j < 512 &&
              \at(way_1(table, i, j), Pre) ==> way_1(table, i, j); */
        clear_entry(table, entries, level, address, chunk, source);
        //@ assert way_on: chunk < size ==> on_way(table, entries, level, address + chunk);
        //@ assert above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
        //@ assert chunk <= size;
        address += chunk;
        size -= chunk;
        //@ assert moved: size != 0 ==> address == \at(address, LoopCurrent) + chunk;
        //@ assert size != 0 ==> address % span_of(level) == 0;
        //@ assert size != 0 ==> on_way(table, entries, level, address);
    }
}
