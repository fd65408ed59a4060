// SPDX-License-Identifier: MIT
// Maps a range of a page table (map.h).
#include "arch/x86/paging/map.h"

// Maps what lies in one entry.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511)) && MEMORY_TYPE_EXISTS(mapping.type);
  requires address % 0x1000 == 0 && size % 0x1000 == 0 && address + size <= 0x10000000000000000;
  requires physical % 0x1000 == 0 && physical + size <= 0x10000000000000;
  requires size > 0 && address % span_of(level) + size <= span_of(level);
  requires none_mapped(table, low_of(address), size);
  terminates \true;
  decreases 2 * level;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures tables: !mapping.write_leaves ==> none_mapped(table, low_of(address), size);
  ensures mapped: mapping.write_leaves && \result == STATUS_OK ==>
    all_mapped(table, low_of(address), size, physical - low_of(address), mapping.permissions,
               mapping.type);
  ensures whole: none_cut(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures above: same_above{Pre, Post}(table, level);
  ensures tree: is_tree(table);
  ensures way: on_way(table, entries, level, address);
*/
static enum status map_entry(const struct page_table *table, uint64_t *entries, unsigned level,
                             uint64_t address, uint64_t physical, uint64_t size,
                             struct table_mapping mapping, const struct page_source *source)
{
    uint64_t *entry = &entries[level_index(address, level)];

    //@ ghost table_place(address, level);
    /*@ assert covers: \forall integer i, j, k, l; in_part(low_of(address), size, i, j, k, l) ==>
          under(level, address, i, j, k, l); */
    //@ ghost table_place(address, 0);
    /*@ assert here: in_part(low_of(address), size, index_3(address), index_2(address),
                             index_1(address), index_0(address)); */
    if (!entry_present(table->format, *entry)) {
        if (leaf_fits(table, address, physical, size, level)) {
            if (mapping.write_leaves) {
                //@ assert bits: (physical & FRAME_BITS) == physical;
                table_set_entry(
                    table, entries, level, address,
                    entry_leaf(table->format, physical, mapping.permissions, mapping.type, level));
            }
            return STATUS_OK;
        }
        //@ assert upper: level > 0;
        enum status made = table_make(table, entries, level, address, source);
        if (made != STATUS_OK) {
            return made;
        }
    }
    //@ assert refers: refers(table->format, *entry) && level > 0;
    /*@ assert fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    //@ assert made_3: level < 3 ==> same_3{Pre, Here}(table, 4, 0);
    //@ assert made_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
    //@ assert made_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
    //@ assert made: same_maps{Pre, Here}(table);
    enum status status = table_map(table, page_at(table, entry_address(*entry)), level - 1, address,
                                   physical, size, mapping, source);
    /*@ assert still: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre); */
    /*@ assert ways_2: level < 2 ==> \forall integer i; 0 <= i < 512 &&
          \at(way_2(table, i), Pre) ==> way_2(table, i); */
    //@ assert way: on_way(table, entries, level, address);
    //@ assert above_3: level < 3 ==> same_3{Pre, Here}(table, 4, 0);
    //@ assert above_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
    //@ assert above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
    return status;
}

enum status table_map(const struct page_table *table, uint64_t *entries, unsigned level,
                      uint64_t address, uint64_t physical, uint64_t size,
                      struct table_mapping mapping, const struct page_source *source)
{
    enum status status = STATUS_OK;

    /*@
      loop invariant 0 <= size <= \at(size, Pre) && size % 0x1000 == 0;
      loop invariant size != 0 ==>
        address == \at(address, Pre) + \at(size, Pre) - size && address % 0x1000 == 0 &&
        address + size <= 0x10000000000000000 &&
        physical == \at(physical, Pre) + \at(size, Pre) - size && physical % 0x1000 == 0 &&
        low_of(address) == low_of(\at(address, Pre)) + \at(size, Pre) - size &&
        address % span_of(level + 1) + size <= span_of(level + 1);
      loop invariant way: size != 0 ==> on_way(table, entries, level, address);
      loop invariant rest: size != 0 && status == STATUS_OK ==>
        none_mapped(table, low_of(address), size);
      loop invariant tables: !mapping.write_leaves ==>
        none_mapped(table, low_of(\at(address, Pre)), \at(size, Pre));
      loop invariant mapped: mapping.write_leaves && status == STATUS_OK ==>
        all_mapped(table, low_of(\at(address, Pre)), \at(size, Pre) - size,
                   \at(physical, Pre) - low_of(\at(address, Pre)), mapping.permissions,
                   mapping.type);
      loop invariant whole: none_cut(table, low_of(\at(address, Pre)), \at(size, Pre));
      loop invariant outside:
        same_outside{Pre, Here}(table, low_of(\at(address, Pre)), \at(size, Pre));
      loop invariant above_3: level < 3 ==> same_3{Pre, Here}(table, 4, 0);
      loop invariant above_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
      loop invariant above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
      loop invariant fields: table->direct_offset == \at(table->direct_offset, Pre) &&
          table->root.value == \at(table->root.value, Pre);
      loop invariant tree: is_tree(table) && table_apart(table);
      loop assigns address, physical, size, status,
        { table_at(\at(table->direct_offset, Pre), p)[i] | integer p, i; 0 <= i < 512 };
      loop variant size;
    */
    while (size != 0 && status == STATUS_OK) {
        uint64_t chunk = chunk_size(address, size, level);
        //@ ghost table_place(address, level);
        /*@ assert covers: \forall integer i, j, k, l; in_part(low_of(address), chunk, i, j, k, l) ==>
              under(level, address, i, j, k, l); */
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
        /*@ assert part: \forall integer i, j, k, l; in_part(low_of(address), chunk, i, j, k, l) ==>
              in_part(low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l); */
        /*@ assert behind: \forall integer i, j, k, l;
              in_part(low_of(address) + chunk, size - chunk, i, j, k, l) ==>
                in_part(low_of(address), size, i, j, k, l) &&
                !in_part(low_of(address), chunk, i, j, k, l); */
        //@ assert frames: physical == physical / 0x1000 * 0x1000;
        //@ assert physical + chunk == (physical / 0x1000 + chunk / 0x1000) * 0x1000;
        //@ assert (physical + chunk) / 0x1000 == physical / 0x1000 + chunk / 0x1000;
        //@ assert frame: (physical + chunk) % 0x1000 == 0;
        /*@ assert ways_2: level < 2 ==> \forall integer i; 0 <= i < 512 &&
              \at(way_2(table, i), Pre) ==> way_2(table, i); */
        //@ ghost Before: ;
        status = map_entry(table, entries, level, address, physical, chunk, mapping, source);
        //@ assert above_2: level < 2 ==> same_2{Pre, Here}(table, 4, 0);
        //@ assert next_rest: none_mapped(table, low_of(address) + chunk, size - chunk);
        /*@ assert cut_in: \forall integer i, j, k, l; in_part(low_of(address), chunk, i, j, k, l) ==>
              whole_on(table, low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l); */
        /*@ assert cut_out: \forall integer i, j, k, l;
              in_part(low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l) &&
              !in_part(low_of(address), chunk, i, j, k, l) ==>
                whole_on(table, low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l); */
        /*@ assert outside: \forall integer i, j, k, l; is_path(i, j, k, l) &&
              !in_part(low_of(\at(address, Pre)), \at(size, Pre), i, j, k, l) ==>
                same_map{Before, Here}(table, i, j, k, l); */
        //@ assert way_on: chunk < size ==> on_way(table, entries, level, address + chunk);
        //@ assert above_1: level < 1 ==> same_1{Pre, Here}(table, 4, 0);
        /*@ assert mapped_here: mapping.write_leaves && status == STATUS_OK ==>
              all_mapped(table, low_of(address), chunk,
                         \at(physical, Pre) - low_of(\at(address, Pre)), mapping.permissions,
                         mapping.type); */
        /*@ assert apart: mapping.write_leaves ==> \forall integer i, j, k, l;
              in_part(low_of(\at(address, Pre)), \at(size, Pre) - size, i, j, k, l) ==>
                !in_part(low_of(address), chunk, i, j, k, l) &&
                maps_to{Before}(table, \at(physical, Pre) - low_of(\at(address, Pre)),
                                mapping.permissions, mapping.type, i, j, k, l); */
        /*@ assert mapped_before: mapping.write_leaves ==>
              all_mapped(table, low_of(\at(address, Pre)), \at(size, Pre) - size,
                         \at(physical, Pre) - low_of(\at(address, Pre)), mapping.permissions,
                         mapping.type); */
        /*@ assert mapped: mapping.write_leaves && status == STATUS_OK ==>
              all_mapped(table, low_of(\at(address, Pre)), \at(size, Pre) - (size - chunk),
                         \at(physical, Pre) - low_of(\at(address, Pre)), mapping.permissions,
                         mapping.type); */
        //@ assert chunk <= size;
        address += chunk;
        physical += chunk;
        size -= chunk;
        //@ assert moved: size != 0 ==> address == \at(address, LoopCurrent) + chunk;
        //@ assert size != 0 ==> on_way(table, entries, level, address);
    }
    return status;
}
