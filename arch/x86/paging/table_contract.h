// SPDX-License-Identifier: MIT
// What the contracts of changes to a page table are made of. A path is four indexes, from the top
// level down; it stands for the addresses of one page. Only proofs read this.
#pragma once

#include "arch/x86/paging/walk.h"

// For proofs, and trusted: the tables of two pages have no entry in common; bit 0 is one of bits
// 2:0; a frame is at the address of a page.
/*@
  logic integer frame_of(integer entry) = entry & FRAME_BITS;
  axiomatic tables_apart {
    axiom tables_apart: \forall integer d, p, q, i, j;
      p != q && p % 0x1000 == 0 && q % 0x1000 == 0 && 0 <= i < 512 && 0 <= j < 512 ==>
        table_at(d, p) + i != table_at(d, q) + j;
    axiom tables_separated: \forall integer d, p, q, i;
      p != q && p % 0x1000 == 0 && q % 0x1000 == 0 && 0 <= i < 512 ==>
        \separated(table_at(d, p) + i, table_at(d, q) + (0 .. 511));
    axiom present_by_bit: \forall integer a; WORD_BIT(a, 0) ==> (a & 7) != 0;
    axiom frame_page: \forall integer a; a >= 0 ==> frame_of(a) % 0x1000 == 0;
  }
*/

// That an entry of an upper level refers to a table; a term, where refers is a predicate.
#define REFERS(format, entry)                                                                      \
    (((format) == PAGE_FORMAT_HOST ? ((entry)&1) != 0 : ((entry)&7) != 0) && ((entry)&0x80) == 0)

/*@
  // Whether an entry refers to a table: the one at frame_of.
  predicate refers(integer format, integer entry) = REFERS(format, entry);

  // The entries of a path, from the top level down, and whether the way leads to them.
  logic integer word_3{L}(struct page_table *t, integer i) =
    table_at(t->direct_offset, t->root.value)[i];
  logic integer word_2{L}(struct page_table *t, integer i, integer j) =
    table_at(t->direct_offset, frame_of(word_3(t, i)))[j];
  logic integer word_1{L}(struct page_table *t, integer i, integer j, integer k) =
    table_at(t->direct_offset, frame_of(word_2(t, i, j)))[k];
  logic integer word_0{L}(struct page_table *t, integer i, integer j, integer k, integer l) =
    table_at(t->direct_offset, frame_of(word_1(t, i, j, k)))[l];
  predicate way_2{L}(struct page_table *t, integer i) =
    0 <= i < 512 && refers(t->format, word_3(t, i));
  predicate way_1{L}(struct page_table *t, integer i, integer j) =
    0 <= j < 512 && way_2(t, i) && refers(t->format, word_2(t, i, j));
  predicate way_0{L}(struct page_table *t, integer i, integer j, integer k) =
    0 <= k < 512 && way_1(t, i, j) && refers(t->format, word_1(t, i, j, k));

  // What is in force on a path, and of which level it is.
  logic integer entry_on{L}(struct page_table *t, integer i, integer j, integer k, integer l) =
    !REFERS(t->format, word_3(t, i)) ? word_3(t, i)
    : !REFERS(t->format, word_2(t, i, j)) ? word_2(t, i, j)
    : !REFERS(t->format, word_1(t, i, j, k)) ? word_1(t, i, j, k) : word_0(t, i, j, k, l);
  logic integer level_on{L}(struct page_table *t, integer i, integer j, integer k) =
    !REFERS(t->format, word_3(t, i)) ? 3
    : !REFERS(t->format, word_2(t, i, j)) ? 2 : !REFERS(t->format, word_1(t, i, j, k)) ? 1 : 0;

  // No table of the tree is at a frame.
  predicate not_second{L}(struct page_table *t, integer frame) =
    \forall integer i; way_2(t, i) ==> frame_of(word_3(t, i)) != frame;
  predicate not_third{L}(struct page_table *t, integer frame) =
    \forall integer i, j; way_1(t, i, j) ==> frame_of(word_2(t, i, j)) != frame;
  predicate not_fourth{L}(struct page_table *t, integer frame) =
    \forall integer i, j, k; way_0(t, i, j, k) ==> frame_of(word_1(t, i, j, k)) != frame;
  predicate is_fresh{L}(struct page_table *t, integer frame) =
    frame != t->root.value && not_second(t, frame) && not_third(t, frame) && not_fourth(t, frame);

  // Each table is referred to once: the tables are a tree.
  predicate second_once{L}(struct page_table *t) =
    \forall integer i, x; way_2(t, i) && way_2(t, x) &&
      frame_of(word_3(t, i)) == frame_of(word_3(t, x)) ==> i == x;
  predicate third_once{L}(struct page_table *t) =
    \forall integer i, j, x, y; way_1(t, i, j) && way_1(t, x, y) &&
      frame_of(word_2(t, i, j)) == frame_of(word_2(t, x, y)) ==> i == x && j == y;
  predicate fourth_once{L}(struct page_table *t) =
    \forall integer i, j, k, x, y, z; way_0(t, i, j, k) && way_0(t, x, y, z) &&
      frame_of(word_1(t, i, j, k)) == frame_of(word_1(t, x, y, z)) ==> i == x && j == y && k == z;
  predicate third_not_second{L}(struct page_table *t) =
    \forall integer i, x, y; way_2(t, i) && way_1(t, x, y) ==>
      frame_of(word_3(t, i)) != frame_of(word_2(t, x, y));
  predicate fourth_not_second{L}(struct page_table *t) =
    \forall integer i, x, y, z; way_2(t, i) && way_0(t, x, y, z) ==>
      frame_of(word_3(t, i)) != frame_of(word_1(t, x, y, z));
  predicate fourth_not_third{L}(struct page_table *t) =
    \forall integer i, j, x, y, z; way_1(t, i, j) && way_0(t, x, y, z) ==>
      frame_of(word_2(t, i, j)) != frame_of(word_1(t, x, y, z));
  predicate is_tree{L}(struct page_table *t) =
    not_second(t, t->root.value) && not_third(t, t->root.value) &&
    not_fourth(t, t->root.value) && second_once(t) && third_once(t) && fourth_once(t) &&
    third_not_second(t) && fourth_not_second(t) && fourth_not_third(t);

  // The descriptor is legal and stands in no table.
  predicate table_apart{L}(struct page_table *t) =
    \valid_read(t) && (t->format == PAGE_FORMAT_HOST || t->format == PAGE_FORMAT_EPT) &&
    t->root.value % 0x1000 == 0 &&
    (\forall integer p, i; 0 <= i < 512 ==> \separated(table_at(t->direct_offset, p) + i, t)) &&
    \forall integer p; \separated(table_at(t->direct_offset, p) + (0 .. 511), t);

  // The indexes of an address.
  logic integer index_3(integer a) = (a / 0x8000000000) % 512;
  logic integer index_2(integer a) = (a / 0x40000000) % 512;
  logic integer index_1(integer a) = (a / 0x200000) % 512;
  logic integer index_0(integer a) = (a / 0x1000) % 512;

  // The entries of the table of a level on the way to an address.
  predicate on_way{L}(struct page_table *t, uint64_t *entries, integer level, integer a) =
    0 <= level <= 3 &&
    (level == 3 ==> entries == table_at(t->direct_offset, t->root.value)) &&
    (level == 2 ==> way_2(t, index_3(a)) &&
       entries == table_at(t->direct_offset, frame_of(word_3(t, index_3(a))))) &&
    (level == 1 ==> way_1(t, index_3(a), index_2(a)) &&
       entries == table_at(t->direct_offset, frame_of(word_2(t, index_3(a), index_2(a))))) &&
    (level == 0 ==> way_0(t, index_3(a), index_2(a), index_1(a)) &&
       entries ==
         table_at(t->direct_offset, frame_of(word_1(t, index_3(a), index_2(a), index_1(a)))));

  // From A to B every entry on a way stays but the one of a level on the way to an address.
  predicate same_3{A, B}(struct page_table *t, integer level, integer a) =
    \forall integer i; 0 <= i < 512 && !(level == 3 && i == index_3(a)) ==>
      word_3{B}(t, i) == word_3{A}(t, i);
  predicate same_2{A, B}(struct page_table *t, integer level, integer a) =
    \forall integer i, j; 0 <= j < 512 && way_2{A}(t, i) && !(level == 3 && i == index_3(a)) &&
      !(level == 2 && i == index_3(a) && j == index_2(a)) ==>
        word_2{B}(t, i, j) == word_2{A}(t, i, j);
  predicate same_1{A, B}(struct page_table *t, integer level, integer a) =
    \forall integer i, j, k; 0 <= k < 512 && way_1{A}(t, i, j) &&
      !(level == 3 && i == index_3(a)) && !(level == 2 && i == index_3(a) && j == index_2(a)) &&
      !(level == 1 && i == index_3(a) && j == index_2(a) && k == index_1(a)) ==>
        word_1{B}(t, i, j, k) == word_1{A}(t, i, j, k);
  predicate same_0{A, B}(struct page_table *t, integer level, integer a) =
    \forall integer i, j, k, l; 0 <= l < 512 && way_0{A}(t, i, j, k) &&
      !(level == 3 && i == index_3(a)) && !(level == 2 && i == index_3(a) && j == index_2(a)) &&
      !(level == 1 && i == index_3(a) && j == index_2(a) && k == index_1(a)) &&
      !(level == 0 && i == index_3(a) && j == index_2(a) && k == index_1(a) && l == index_0(a)) ==>
        word_0{B}(t, i, j, k, l) == word_0{A}(t, i, j, k, l);

  // From A to B the tables are the same but for the one that the entry may refer to.
  predicate tables_2{A, B}(struct page_table *t, integer level, integer a, integer entry) =
    \forall integer i; way_2{B}(t, i) ==>
      (level == 3 && i == index_3(a)
         ? refers(\at(t->format, A), entry) && frame_of(word_3{B}(t, i)) == frame_of(entry)
         : way_2{A}(t, i) && word_3{B}(t, i) == word_3{A}(t, i));
  predicate tables_1{A, B}(struct page_table *t, integer level, integer a, integer entry) =
    \forall integer i, j; way_1{B}(t, i, j) ==> !(level == 3 && i == index_3(a)) &&
      (level == 2 && i == index_3(a) && j == index_2(a)
         ? refers(\at(t->format, A), entry) && frame_of(word_2{B}(t, i, j)) == frame_of(entry)
         : way_1{A}(t, i, j) && word_2{B}(t, i, j) == word_2{A}(t, i, j));
  predicate tables_0{A, B}(struct page_table *t, integer level, integer a, integer entry) =
    \forall integer i, j, k; way_0{B}(t, i, j, k) ==> !(level == 3 && i == index_3(a)) &&
      !(level == 2 && i == index_3(a) && j == index_2(a)) &&
      (level == 1 && i == index_3(a) && j == index_2(a) && k == index_1(a)
         ? refers(\at(t->format, A), entry) && frame_of(word_1{B}(t, i, j, k)) == frame_of(entry)
         : way_0{A}(t, i, j, k) && word_1{B}(t, i, j, k) == word_1{A}(t, i, j, k));

  // A path lies in what the entry of a level on the way to an address covers.
  predicate under(integer level, integer a, integer i, integer j, integer k, integer l) =
    i == index_3(a) && (level < 3 ==> j == index_2(a)) && (level < 2 ==> k == index_1(a)) &&
    (level < 1 ==> l == index_0(a));
  predicate is_path(integer i, integer j, integer k, integer l) =
    0 <= i < 512 && 0 <= j < 512 && 0 <= k < 512 && 0 <= l < 512;
  // From A to B nothing beside it changes.
  predicate same_beside{A, B}(struct page_table *t, integer level, integer a) =
    \forall integer i, j, k, l; is_path(i, j, k, l) && !under(level, a, i, j, k, l) ==>
      entry_on{B}(t, i, j, k, l) == entry_on{A}(t, i, j, k, l) &&
      level_on{B}(t, i, j, k) == level_on{A}(t, i, j, k);
  // All that it covers is what this entry of that level says.
  predicate all_under{L}(struct page_table *t, integer level, integer a, integer entry,
                         integer of_level) =
    \forall integer i, j, k, l; is_path(i, j, k, l) && under(level, a, i, j, k, l) ==>
      entry_on(t, i, j, k, l) == entry && level_on(t, i, j, k) == of_level;
  // Nothing is mapped there.
  predicate none_under{L}(struct page_table *t, integer level, integer a) =
    \forall integer i, j, k, l; is_path(i, j, k, l) && under(level, a, i, j, k, l) ==>
      !is_present(t->format, entry_on(t, i, j, k, l));

  // From A to B a path leads to the same leaf, or to none.
  predicate same_map{A, B}(struct page_table *t, integer i, integer j, integer k, integer l) =
    (is_present(\at(t->format, B), entry_on{B}(t, i, j, k, l)) <==>
       is_present(\at(t->format, A), entry_on{A}(t, i, j, k, l))) &&
    (is_present(\at(t->format, A), entry_on{A}(t, i, j, k, l)) ==>
       entry_on{B}(t, i, j, k, l) == entry_on{A}(t, i, j, k, l) &&
       level_on{B}(t, i, j, k) == level_on{A}(t, i, j, k));
  predicate same_maps{A, B}(struct page_table *t) =
    \forall integer i, j, k, l; is_path(i, j, k, l) ==> same_map{A, B}(t, i, j, k, l);

  // Addresses without their sign: the first of a path, of what its entry of a level covers, and the
  // place of an address among them.
  logic integer page_of(integer i, integer j, integer k, integer l) =
    i * 0x8000000000 + j * 0x40000000 + k * 0x200000 + l * 0x1000;
  logic integer start_of(integer level, integer i, integer j, integer k, integer l) =
    level >= 3 ? page_of(i, 0, 0, 0)
    : level == 2 ? page_of(i, j, 0, 0) : level == 1 ? page_of(i, j, k, 0) : page_of(i, j, k, l);
  logic integer low_of(integer a) = a % 0x1000000000000;

  // The paths of the `size` bytes from `low` on: on none is a leaf that is only partly inside; none
  // leads to a leaf; the others lead where they did.
  predicate in_part(integer low, integer size, integer i, integer j, integer k, integer l) =
    is_path(i, j, k, l) && low <= page_of(i, j, k, l) < low + size;
  predicate whole_on{L}(struct page_table *t, integer low, integer size, integer i, integer j,
                        integer k, integer l) =
    is_present(t->format, entry_on(t, i, j, k, l)) ==>
      low <= start_of(level_on(t, i, j, k), i, j, k, l) &&
      start_of(level_on(t, i, j, k), i, j, k, l) + span_of(level_on(t, i, j, k)) <= low + size;
  predicate none_cut{L}(struct page_table *t, integer low, integer size) =
    \forall integer i, j, k, l; in_part(low, size, i, j, k, l) ==>
      whole_on(t, low, size, i, j, k, l);
  predicate none_mapped{L}(struct page_table *t, integer low, integer size) =
    \forall integer i, j, k, l; in_part(low, size, i, j, k, l) ==>
      !is_present(t->format, entry_on(t, i, j, k, l));
  predicate same_outside{A, B}(struct page_table *t, integer low, integer size) =
    \forall integer i, j, k, l; is_path(i, j, k, l) && !in_part(low, size, i, j, k, l) ==>
      same_map{A, B}(t, i, j, k, l);
  // From A to B no entry above a level changes.
  predicate same_above{A, B}(struct page_table *t, integer level) =
    (level < 3 ==> same_3{A, B}(t, 4, 0)) && (level < 2 ==> same_2{A, B}(t, 4, 0)) &&
    (level < 1 ==> same_1{A, B}(t, 4, 0));
*/

// Where an address lies in what its entry of a level covers, and which paths lie there.
/*@
  ghost
  /@
    requires level <= 3 && address % 0x1000 == 0;
    terminates \true;
    assigns \nothing;
    ensures low_of(address) ==
      page_of(index_3(address), index_2(address), index_1(address), index_0(address));
    ensures low_of(address) - address % span_of(level) ==
      start_of(level, index_3(address), index_2(address), index_1(address), index_0(address));
    ensures \forall integer i, j, k, l; is_path(i, j, k, l) ==>
      (under(level, address, i, j, k, l) <==>
         low_of(address) - address % span_of(level) <= page_of(i, j, k, l) <
           low_of(address) - address % span_of(level) + span_of(level));
    ensures level == 3 ==> (span_of(3) - address % span_of(3)) % 0x1000 == 0 &&
      (address + (span_of(3) - address % span_of(3))) % span_of(3) == 0;
    ensures level == 2 ==> (span_of(2) - address % span_of(2)) % 0x1000 == 0 &&
      (address + (span_of(2) - address % span_of(2))) % span_of(2) == 0;
    ensures level == 1 ==> (span_of(1) - address % span_of(1)) % 0x1000 == 0 &&
      (address + (span_of(1) - address % span_of(1))) % span_of(1) == 0;
    ensures level == 0 ==> (span_of(0) - address % span_of(0)) % 0x1000 == 0 &&
      (address + (span_of(0) - address % span_of(0))) % span_of(0) == 0;
  @/
  void table_place(uint64_t address, unsigned level)
  {
    /@ assert address / 0x200000 == (address / 0x1000) / 0x200; @/
    /@ assert address / 0x40000000 == (address / 0x200000) / 0x200; @/
    /@ assert address / 0x8000000000 == (address / 0x40000000) / 0x200; @/
    /@ assert address / 0x1000000000000 == (address / 0x8000000000) / 0x200; @/
    /@ assert low: low_of(address) == page_of(index_3(address), index_2(address), index_1(address),
  index_0(address)); @/
    /@ assert start_3: level == 3 ==> low_of(address) - address % span_of(3) ==
          start_of(3, index_3(address), index_2(address), index_1(address), index_0(address)); @/
    /@ assert under_3: level == 3 ==> \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (under(3, address, i, j, k, l) <==>
             low_of(address) - address % span_of(3) <= page_of(i, j, k, l) <
               low_of(address) - address % span_of(3) + span_of(3)); @/
    /@ assert start_2: level == 2 ==> low_of(address) - address % span_of(2) ==
          start_of(2, index_3(address), index_2(address), index_1(address), index_0(address)); @/
    /@ assert under_2: level == 2 ==> \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (under(2, address, i, j, k, l) <==>
             low_of(address) - address % span_of(2) <= page_of(i, j, k, l) <
               low_of(address) - address % span_of(2) + span_of(2)); @/
    /@ assert start_1: level == 1 ==> low_of(address) - address % span_of(1) ==
          start_of(1, index_3(address), index_2(address), index_1(address), index_0(address)); @/
    /@ assert under_1: level == 1 ==> \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (under(1, address, i, j, k, l) <==>
             low_of(address) - address % span_of(1) <= page_of(i, j, k, l) <
               low_of(address) - address % span_of(1) + span_of(1)); @/
    /@ assert start_0: level == 0 ==> low_of(address) - address % span_of(0) ==
          start_of(0, index_3(address), index_2(address), index_1(address), index_0(address)); @/
    /@ assert under_0: level == 0 ==> \forall integer i, j, k, l; is_path(i, j, k, l) ==>
          (under(0, address, i, j, k, l) <==>
             low_of(address) - address % span_of(0) <= page_of(i, j, k, l) <
               low_of(address) - address % span_of(0) + span_of(0)); @/
    /@ assert level == 3 ==> (address % span_of(3)) % 0x1000 == 0; @/
    /@ assert level == 3 ==> (span_of(3) - address % span_of(3)) % 0x1000 == 0; @/
    /@ assert level == 3 ==> address + (span_of(3) - address % span_of(3)) ==
          (address / span_of(3) + 1) * span_of(3); @/
    /@ assert level == 3 ==>
          (address + (span_of(3) - address % span_of(3))) % span_of(3) == 0; @/
    /@ assert level == 2 ==> (address % span_of(2)) % 0x1000 == 0; @/
    /@ assert level == 2 ==> (span_of(2) - address % span_of(2)) % 0x1000 == 0; @/
    /@ assert level == 2 ==> address + (span_of(2) - address % span_of(2)) ==
          (address / span_of(2) + 1) * span_of(2); @/
    /@ assert level == 2 ==>
          (address + (span_of(2) - address % span_of(2))) % span_of(2) == 0; @/
    /@ assert level == 1 ==> (address % span_of(1)) % 0x1000 == 0; @/
    /@ assert level == 1 ==> (span_of(1) - address % span_of(1)) % 0x1000 == 0; @/
    /@ assert level == 1 ==> address + (span_of(1) - address % span_of(1)) ==
          (address / span_of(1) + 1) * span_of(1); @/
    /@ assert level == 1 ==>
          (address + (span_of(1) - address % span_of(1))) % span_of(1) == 0; @/
    /@ assert level == 0 ==> (address % span_of(0)) % 0x1000 == 0; @/
    /@ assert level == 0 ==> (span_of(0) - address % span_of(0)) % 0x1000 == 0; @/
    /@ assert level == 0 ==> address + (span_of(0) - address % span_of(0)) ==
          (address / span_of(0) + 1) * span_of(0); @/
    /@ assert level == 0 ==>
          (address + (span_of(0) - address % span_of(0))) % span_of(0) == 0; @/
  }
*/

// An address farther on in the same table.
/*@
  ghost
  /@
    requires level <= 3;
    terminates \true;
    assigns \nothing;
    behavior inside:
      assumes address + size <= 0xffffffffffffffff &&
        address % span_of(level + 1) + size < span_of(level + 1);
      ensures level < 3 ==> index_3(address + size) == index_3(address);
      ensures level < 2 ==> index_2(address + size) == index_2(address);
      ensures level < 1 ==> index_1(address + size) == index_1(address);
      ensures low_of(address + size) == low_of(address) + size;
      ensures (address + size) % span_of(level + 1) == address % span_of(level + 1) + size;
  @/
  void table_step(uint64_t address, uint64_t size, unsigned level)
  {
    /@ assert address / 0x200000 == (address / 0x1000) / 0x200; @/
    /@ assert address / 0x40000000 == (address / 0x200000) / 0x200; @/
    /@ assert address / 0x8000000000 == (address / 0x40000000) / 0x200; @/
    /@ assert address / 0x1000000000000 == (address / 0x8000000000) / 0x200; @/
    /@ assert (address + size) / 0x200000 == ((address + size) / 0x1000) / 0x200; @/
    /@ assert (address + size) / 0x40000000 == ((address + size) / 0x200000) / 0x200; @/
    /@ assert (address + size) / 0x8000000000 == ((address + size) / 0x40000000) / 0x200; @/
    /@ assert (address + size) / 0x1000000000000 == ((address + size) / 0x8000000000) / 0x200; @/
    /@ assert same_3: level == 3 && address % span_of(4) + size < span_of(4) ==>
          (address + size) / span_of(4) == address / span_of(4); @/
    /@ assert same_2: level == 2 && address % span_of(3) + size < span_of(3) ==>
          (address + size) / span_of(3) == address / span_of(3); @/
    /@ assert same_1: level == 1 && address % span_of(2) + size < span_of(2) ==>
          (address + size) / span_of(2) == address / span_of(2); @/
    /@ assert same_0: level == 0 && address % span_of(1) + size < span_of(1) ==>
          (address + size) / span_of(1) == address / span_of(1); @/
  }
*/
