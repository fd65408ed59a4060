// SPDX-License-Identifier: MIT
// The arithmetic of a walk through four levels of tables: what an entry of a level covers, where it
// stands, and how a table is reached; and the walk itself as contracts speak of it. Only
// page_table.c uses it.
#pragma once

#include <stdint.h>
#include "arch/x86/paging/entry.h"
#include "arch/x86/paging/page_table.h"

#define LEVEL_TOP 3u

// For proofs, and trusted: a shift is a division, a mask the remainder.
/*@
  axiomatic powers_of_two {
    axiom shift_12: \forall integer a; a >= 0 ==> (a >> 12) == a / 0x1000;
    axiom shift_21: \forall integer a; a >= 0 ==> (a >> 21) == a / 0x200000;
    axiom shift_30: \forall integer a; a >= 0 ==> (a >> 30) == a / 0x40000000;
    axiom shift_39: \forall integer a; a >= 0 ==> (a >> 39) == a / 0x8000000000;
    axiom rest_9: \forall integer a; a >= 0 ==> (a & 0x1ff) == a % 0x200;
    axiom rest_12: \forall integer a; a >= 0 ==> (a & 0xfff) == a % 0x1000;
    axiom rest_21: \forall integer a; a >= 0 ==> (a & 0x1fffff) == a % 0x200000;
    axiom rest_30: \forall integer a; a >= 0 ==> (a & 0x3fffffff) == a % 0x40000000;
    axiom rest_39: \forall integer a; a >= 0 ==> (a & 0x7fffffffff) == a % 0x8000000000;
  }
*/

/*@
  requires level <= LEVEL_TOP;
  terminates \true;
  assigns \nothing;
  ensures level == 0 ==> \result == 0x1000;
  ensures level == 1 ==> \result == 0x200000;
  ensures level == 2 ==> \result == 0x40000000;
  ensures level == 3 ==> \result == 0x8000000000;
*/
static inline uint64_t level_span(unsigned level)
{
    return PAGE_SIZE << (9 * level);
}

/*@
  requires level <= LEVEL_TOP;
  terminates \true;
  assigns \nothing;
  ensures level == 0 ==> \result == (address / 0x1000) % 512;
  ensures level == 1 ==> \result == (address / 0x200000) % 512;
  ensures level == 2 ==> \result == (address / 0x40000000) % 512;
  ensures level == 3 ==> \result == (address / 0x8000000000) % 512;
*/
static inline unsigned level_index(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (PAGE_SHIFT + 9 * level) & 511);
}

// How far an address lies behind the first that its entry covers.
/*@
  requires level <= LEVEL_TOP;
  terminates \true;
  assigns \nothing;
  ensures level == 0 ==> \result == address % 0x1000;
  ensures level == 1 ==> \result == address % 0x200000;
  ensures level == 2 ==> \result == address % 0x40000000;
  ensures level == 3 ==> \result == address % 0x8000000000;
*/
static inline uint64_t offset_in(uint64_t address, unsigned level)
{
    return address & (level_span(level) - 1);
}

// For contracts: the table at a physical address.
/*@
  axiomatic tables {
    logic uint64_t *table_at(integer direct_offset, integer physical) reads \nothing;
  }
*/
// And the walk from an entry of a level down to what is in force at an address: the entry's value
// and its level.
/*@
  logic integer entry_in{L}(struct page_table *table, integer physical, integer address,
                            integer level) =
    table_at(table->direct_offset, physical)[(address / span_of(level)) % 512];
  logic integer leaf_from{L}(struct page_table *table, integer entry, integer address,
                             integer level) =
    level <= 0 || (entry & 0x80) != 0 ||
            (table->format == PAGE_FORMAT_HOST && (entry & 1) == 0) ||
            (table->format == PAGE_FORMAT_EPT && (entry & 7) == 0)
      ? entry
      : leaf_from(table, entry_in(table, entry & FRAME_BITS, address, level - 1), address,
                  level - 1);
  logic integer level_from{L}(struct page_table *table, integer entry, integer address,
                              integer level) =
    level <= 0 || (entry & 0x80) != 0 ||
            (table->format == PAGE_FORMAT_HOST && (entry & 1) == 0) ||
            (table->format == PAGE_FORMAT_EPT && (entry & 7) == 0)
      ? level
      : level_from(table, entry_in(table, entry & FRAME_BITS, address, level - 1), address,
                   level - 1);
  logic integer entry_at{L}(struct page_table *table, integer address) =
    leaf_from(table, entry_in(table, table->root.value, address, 3), address, 3);
  logic integer level_at{L}(struct page_table *table, integer address) =
    level_from(table, entry_in(table, table->root.value, address, 3), address, 3);
  predicate same_at(integer a, integer b, integer level) = a / span_of(level) == b / span_of(level);
  predicate one_entry(integer address, integer end, integer span) =
    end % 0x1000 == 0 &&
    \forall integer a; address - address % span <= a < end ==> a / span == address / span;
  // The top level refers to tables only.
  predicate table_valid{L}(struct page_table *table) =
    \valid_read(table) &&
    (table->format == PAGE_FORMAT_HOST || table->format == PAGE_FORMAT_EPT) &&
    \forall integer i; 0 <= i < 512 ==>
      !WORD_BIT(table_at(table->direct_offset, table->root.value)[i], 7);
  predicate in_range(integer format, integer address) =
    format == PAGE_FORMAT_EPT ? address < 0x1000000000000
    : address < 0x800000000000 || address >= 0xffff800000000000;
  // The leaf that the walk found before is what the mapping says now.
  predicate maps{Walk, Now}(struct page_table *table, integer address,
                            struct page_mapping *mapping) =
    \let level = level_at{Walk}(table, address);
    \let entry = entry_at{Walk}(table, address);
    0 <= level <= 2 && \at(mapping->size, Now) == span_of(level) &&
    \at(mapping->address, Now) == address - address % span_of(level) &&
    (level == 0 ==> \at(mapping->physical.value, Now) == (entry & 0x000ffffffffff000)) &&
    (level == 1 ==> \at(mapping->physical.value, Now) == (entry & 0x000fffffffe00000)) &&
    (level == 2 ==> \at(mapping->physical.value, Now) == (entry & 0x000fffffc0000000)) &&
    SAME_BIT(\at(mapping->permissions, Now), entry, 1) &&
    (\at(table->format, Walk) == PAGE_FORMAT_EPT ==>
       SAME_BIT(\at(mapping->permissions, Now), entry, 2)) &&
    (\at(table->format, Walk) == PAGE_FORMAT_HOST ==>
       MOVED_BIT(\at(mapping->permissions, Now), 3, entry, 2) &&
       (WORD_BIT(\at(mapping->permissions, Now), 2) <==> !WORD_BIT(entry, 63)));
*/
/*@
  requires \valid_read(table);
  terminates \true;
  assigns \nothing;
  ensures \result == table_at(table->direct_offset, physical) && \valid(\result + (0 .. 511));
*/
static inline uint64_t *page_at(const struct page_table *table, uint64_t physical)
{
    return (uint64_t *)(table->direct_offset + physical);
}
