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
*/
