// SPDX-License-Identifier: MIT
// The steps that the changes of a page table are made of: one entry that changes, a table that is
// made, a table that is given back. Only page_table.c and clear.c use them. The caller's lock
// guards the table.
#pragma once

#include "arch/x86/paging/entry.h"
#include "arch/x86/paging/table_contract.h"
#include "arch/x86/paging/walk.h"
#include "kernel/lib/string.h"

/*@
  requires \valid_read(table) && level <= LEVEL_TOP;
  terminates \true;
  assigns \nothing;
  ensures \result <==> level <= table->largest && chunk == span_of(level) &&
    address % span_of(level) == 0 && physical % span_of(level) == 0;
*/
static inline bool leaf_fits(const struct page_table *table, uint64_t address, uint64_t physical,
                             uint64_t chunk, unsigned level)
{
    return level <= (unsigned)table->largest && chunk == level_span(level) &&
           offset_in(address, level) == 0 && offset_in(physical, level) == 0;
}

// How many of `remaining` bytes from `address` on lie in the entry that covers `address`.
/*@
  requires level <= LEVEL_TOP;
  terminates \true;
  assigns \nothing;
  ensures \result == (remaining < span_of(level) - address % span_of(level)
                        ? remaining : span_of(level) - address % span_of(level));
  ensures remaining > 0 ==> \result > 0;
  ensures (address + \result - 1) / span_of(level) == address / span_of(level) || remaining == 0;
*/
static inline uint64_t chunk_size(uint64_t address, uint64_t remaining, unsigned level)
{
    uint64_t room = level_span(level) - offset_in(address, level);
    return remaining < room ? remaining : room;
}

// Trusted: what a source of pages does. A page that it gives is no table yet; one that it gets back
// is none any more.
/*@
  requires \valid(page);
  terminates \true;
  assigns *page;
  ensures \result == STATUS_OK ==> is_fresh(table, page->value) &&
    page->value >= 0 && frame_of(page->value) == page->value;
*/
static inline enum status take_table(const struct page_table *table, hpa_t *page,
                                     const struct page_source *source)
{
    (void)table;
    return source->take(source->context, page);
}

/*@
  requires is_fresh(table, physical);
  terminates \true;
  assigns \nothing;
*/
static inline void give_table(const struct page_table *table, uint64_t physical,
                              const struct page_source *source)
{
    (void)table;
    source->give(source->context, hpa(physical));
}

// Trusted: what memset does.
/*@
  requires \valid(entries + (0 .. 511));
  terminates \true;
  assigns entries[0 .. 511];
  ensures \forall integer i; 0 <= i < 512 ==> entries[i] == 0;
*/
static inline void zero_table(uint64_t *entries)
{
    memset(entries, 0, PAGE_SIZE);
}

// Changes the entry for an address in the table of a level on the way to it.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511));
  requires refers(table->format, value) && level > 0 ==> is_fresh(table, frame_of(value)) &&
    \forall integer i; 0 <= i < 512 ==>
      table_at(table->direct_offset, frame_of(value))[i] == 0;
  terminates \true;
  assigns entries[(address / span_of(level)) % 512];
  ensures entries[(address / span_of(level)) % 512] == value;
  ensures same_3: same_3{Pre, Post}(table, level, address);
  ensures same_2: same_2{Pre, Post}(table, level, address);
  ensures same_1: same_1{Pre, Post}(table, level, address);
  ensures same_0: same_0{Pre, Post}(table, level, address);
  ensures beside: same_beside{Pre, Post}(table, level, address);
  ensures tree: is_tree(table);
  ensures gone: refers(table->format, \old(entries[(address / span_of(level)) % 512])) &&
    !refers(table->format, value) && level > 0 ==>
    is_fresh(table, frame_of(\old(entries[(address / span_of(level)) % 512])));
  ensures way: on_way(table, entries, level, address);
  ensures leaf: !refers(table->format, value) || level == 0 ==>
    all_under(table, level, address, value, level);
  ensures empty: refers(table->format, value) && level > 0 ==>
    all_under(table, level, address, 0, level - 1);
*/
void table_set_entry(const struct page_table *table, uint64_t *entries, unsigned level,
                     uint64_t address, uint64_t value);

// Makes an empty table for an entry that is not present.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511)) && level > 0;
  requires !is_present(table->format, entries[(address / span_of(level)) % 512]);
  terminates \true;
  assigns { table_at(table->direct_offset, p)[i] | integer p, i; 0 <= i < 512 };
  // Where it was refused nothing changed.
  ensures refused: \result != STATUS_OK ==>
    \forall integer p, i; 0 <= i < 512 ==> table_at(table->direct_offset, p)[i] ==
      \old(table_at(table->direct_offset, p)[i]);
  ensures made: \result == STATUS_OK ==>
    refers(table->format, entries[(address / span_of(level)) % 512]);
  ensures user: \result == STATUS_OK && table->format == PAGE_FORMAT_HOST ==>
    (WORD_BIT(entries[(address / span_of(level)) % 512], 2) <==> address < 0xffff800000000000);
  ensures empty: \result == STATUS_OK ==> all_under(table, level, address, 0, level - 1);
  ensures same_3: same_3{Pre, Post}(table, level, address);
  ensures same_2: same_2{Pre, Post}(table, level, address);
  ensures same_1: same_1{Pre, Post}(table, level, address);
  ensures same_0: same_0{Pre, Post}(table, level, address);
  ensures beside: same_beside{Pre, Post}(table, level, address);
  ensures maps: same_maps{Pre, Post}(table);
  ensures tree: is_tree(table);
  ensures way: on_way(table, entries, level, address);
*/
enum status table_make(const struct page_table *table, uint64_t *entries, unsigned level,
                       uint64_t address, const struct page_source *source);

// Gives an empty table back. Top-level tables of the host's upper half are shared, so they stay.
/*@
  requires table_apart(table) && is_tree(table) && on_way(table, entries, level, address);
  requires \valid(entries + (0 .. 511)) && level > 0;
  requires refers(table->format, entries[(address / span_of(level)) % 512]);
  terminates \true;
  assigns entries[(address / span_of(level)) % 512];
  ensures kept: entries[(address / span_of(level)) % 512] ==
      \old(entries[(address / span_of(level)) % 512]) ||
    entries[(address / span_of(level)) % 512] == 0;
  // The tables of the upper half's top level stay.
  ensures shared: level == 3 && table->format == PAGE_FORMAT_HOST &&
    address >= 0xffff800000000000 ==>
      entries[(address / span_of(level)) % 512] ==
        \old(entries[(address / span_of(level)) % 512]);
  // Else one goes exactly when it is empty.
  ensures empty: !(level == 3 && table->format == PAGE_FORMAT_HOST &&
                   address >= 0xffff800000000000) ==>
    (entries[(address / span_of(level)) % 512] == 0 <==>
       \forall integer x; 0 <= x < 512 ==> !is_present(table->format,
         \old(table_at(table->direct_offset,
                       frame_of(entries[(address / span_of(level)) % 512]))[x])));
  ensures same_3: same_3{Pre, Post}(table, level, address);
  ensures same_2: same_2{Pre, Post}(table, level, address);
  ensures same_1: same_1{Pre, Post}(table, level, address);
  ensures same_0: same_0{Pre, Post}(table, level, address);
  ensures beside: same_beside{Pre, Post}(table, level, address);
  ensures maps: same_maps{Pre, Post}(table);
  ensures tree: is_tree(table);
  ensures way: on_way(table, entries, level, address);
*/
void table_prune(const struct page_table *table, uint64_t *entries, unsigned level,
                 uint64_t address, const struct page_source *source);
