// SPDX-License-Identifier: MIT
// Clears a range of a page table, table by table, and gives tables back that become empty: the
// steps of change.h in a loop over each table. Only page_table.c uses it. The caller's lock guards
// the table.
#pragma once

#include "arch/x86/paging/change.h"

// Clears the leaves of a range that cuts none, and gives empty tables back.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511));
  requires address % 0x1000 == 0 && size % 0x1000 == 0 && address + size <= 0x10000000000000000;
  requires address % span_of(level + 1) + size <= span_of(level + 1);
  requires none_cut(table, low_of(address), size);
  terminates \true;
  decreases 2 * level + 1;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  ensures cleared: none_mapped(table, low_of(address), size);
  ensures outside: same_outside{Pre, Post}(table, low_of(address), size);
  ensures above: same_above{Pre, Post}(table, level);
  ensures tree: is_tree(table);
*/
void table_clear(const struct page_table *table, uint64_t *entries, unsigned level,
                 uint64_t address, uint64_t size, const struct page_source *source);
