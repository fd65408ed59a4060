// SPDX-License-Identifier: MIT
// What an address space asks of its page table (page_table.h), with contracts that speak of the
// user's half of the host format. They are proved with page_table.c; an address space is proved on
// top of them. The caller's lock guards the table.
#pragma once

#include "arch/x86/paging/layout.h"
#include "arch/x86/paging/page_table.h"
#include "arch/x86/paging/walk.h"

/*@
  // A table of the host's format; its top level refers to tables only.
  logic integer top_word{L}(struct page_table *t, integer i) =
    table_at(t->direct_offset, t->root.value)[i];
  predicate is_large(integer entry) = WORD_BIT(entry, 7);
  predicate user_table{L}(struct page_table *t) =
    \valid_read(t) && t->format == PAGE_FORMAT_HOST &&
    \forall integer i; 0 <= i < 512 ==> !is_large(top_word(t, i));
*/

/*@
  requires user_table(table) && \valid(mapping) && \separated(table, mapping);
  requires address < USER_LIMIT;
  terminates \true;
  assigns *mapping;
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND;
  ensures found: \result == STATUS_OK <==> WORD_BIT(entry_at{Pre}(table, address), 0);
  ensures leaf: \result == STATUS_OK ==> maps{Pre, Post}(table, address, mapping);
*/
static inline enum status user_translate(const struct page_table *table, uint64_t address,
                                         struct page_mapping *mapping)
{
    return page_table_translate(table, address, mapping);
}
