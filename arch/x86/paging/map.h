// SPDX-License-Identifier: MIT
// Maps a range of a page table in which nothing is mapped, table by table. Only page_table.c uses
// it. The caller's lock guards the table.
#pragma once

#include "arch/x86/paging/change.h"

struct table_mapping {
    uint32_t permissions;
    enum memory_type type;
    bool write_leaves; // else: only makes the tables
};

/*@
  // What a leaf says of permissions and memory type.
  predicate allows(integer format, integer entry, integer permissions, integer type) =
    SAME_BIT(entry, permissions, 1) &&
    (format == PAGE_FORMAT_EPT ==> SAME_BIT(entry, permissions, 2) &&
       MOVED_BIT(entry, 3, type, 0) && MOVED_BIT(entry, 4, type, 1) &&
       MOVED_BIT(entry, 5, type, 2)) &&
    (format == PAGE_FORMAT_HOST ==> MOVED_BIT(entry, 2, permissions, 3) &&
       (WORD_BIT(entry, 63) <==> !WORD_BIT(permissions, 2)) &&
       (WORD_BIT(entry, 3) <==> type == 4 || type == 0) && (WORD_BIT(entry, 4) <==> type == 0));
  // The leaf on a path maps what it covers to the memory that many bytes farther on.
  predicate maps_to{L}(struct page_table *t, integer distance, integer permissions, integer type,
                       integer i, integer j, integer k, integer l) =
    is_present(t->format, entry_on(t, i, j, k, l)) &&
    frame_of(entry_on(t, i, j, k, l)) == start_of(level_on(t, i, j, k), i, j, k, l) + distance &&
    allows(t->format, entry_on(t, i, j, k, l), permissions, type);
  // Every path of the `size` bytes from `low` on has such a leaf.
  predicate all_mapped{L}(struct page_table *t, integer low, integer size, integer distance,
                          integer permissions, integer type) =
    \forall integer i, j, k, l; in_part(low, size, i, j, k, l) ==>
      maps_to(t, distance, permissions, type, i, j, k, l);
*/

// Makes the tables of a range, or, where they exist, writes the leaves. What a refusal leaves is
// the caller's to clear.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511)) && MEMORY_TYPE_EXISTS(mapping.type);
  requires address % 0x1000 == 0 && size % 0x1000 == 0 && address + size <= 0x10000000000000000;
  requires physical % 0x1000 == 0 && physical + size <= 0x10000000000000;
  requires address % span_of(level + 1) + size <= span_of(level + 1);
  requires none_mapped(table, low_of(address), size);
  terminates \true;
  decreases 2 * level + 1;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures tables: !mapping.write_leaves ==> none_mapped(table, low_of(address), size);
  ensures mapped: mapping.write_leaves && \result == STATUS_OK ==>
    all_mapped(table, low_of(address), size, physical - low_of(address), mapping.permissions,
               mapping.type);
  ensures whole: none_cut(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures above: same_above{Pre, Post}(table, level);
  ensures tree: is_tree(table);
*/
enum status table_map(const struct page_table *table, uint64_t *entries, unsigned level,
                      uint64_t address, uint64_t physical, uint64_t size,
                      struct table_mapping mapping, const struct page_source *source);
