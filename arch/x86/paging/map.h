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
  // A leaf is on every path of the `size` bytes from `low` on.
  predicate all_mapped{L}(struct page_table *t, integer low, integer size) =
    \forall integer i, j, k, l; in_part(low, size, i, j, k, l) ==>
      is_present(t->format, entry_on(t, i, j, k, l));
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
    all_mapped(table, low_of(address), size);
  ensures whole: none_cut(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures above: same_above{Pre, Post}(table, level);
  ensures tree: is_tree(table);
*/
enum status table_map(const struct page_table *table, uint64_t *entries, unsigned level,
                      uint64_t address, uint64_t physical, uint64_t size,
                      struct table_mapping mapping, const struct page_source *source);
