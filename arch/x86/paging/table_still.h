// SPDX-License-Identifier: MIT
// Lemmas: while no entry of any table changes, a walk finds what it found, and may be made again.
// They are proved with address_space.c, which alone reads this.
#pragma once

#include "arch/x86/paging/user_half.h"

/*@
  // From A to B no entry of any table changes.
  logic integer word_of{L}(integer direct_offset, integer physical, integer i) =
    table_at(direct_offset, physical)[i];
  predicate tables_same{A, B}(struct page_table *t) =
    \at(t->root.value, B) == \at(t->root.value, A) && \at(t->format, B) == \at(t->format, A) &&
    \at(t->direct_offset, B) == \at(t->direct_offset, A) &&
    \forall integer p, i; 0 <= i < 512 ==>
      word_of{B}(\at(t->direct_offset, A), p, i) == word_of{A}(\at(t->direct_offset, A), p, i);

  lemma leaf_0{A, B}: \forall struct page_table *t, integer e, a;
    tables_same{A, B}(t) && a >= 0 ==>
    leaf_from{A}(t, e, a, 0) == leaf_from{B}(t, e, a, 0) &&
    level_from{A}(t, e, a, 0) == level_from{B}(t, e, a, 0);
  lemma leaf_1{A, B}: \forall struct page_table *t, integer e, a;
    tables_same{A, B}(t) && a >= 0 ==>
    leaf_from{A}(t, e, a, 1) == leaf_from{B}(t, e, a, 1) &&
    level_from{A}(t, e, a, 1) == level_from{B}(t, e, a, 1);
  lemma leaf_2{A, B}: \forall struct page_table *t, integer e, a;
    tables_same{A, B}(t) && a >= 0 ==>
    leaf_from{A}(t, e, a, 2) == leaf_from{B}(t, e, a, 2) &&
    level_from{A}(t, e, a, 2) == level_from{B}(t, e, a, 2);
  lemma leaf_3{A, B}: \forall struct page_table *t, integer e, a;
    tables_same{A, B}(t) && a >= 0 ==>
    leaf_from{A}(t, e, a, 3) == leaf_from{B}(t, e, a, 3) &&
    level_from{A}(t, e, a, 3) == level_from{B}(t, e, a, 3);
  lemma leaf_same{A, B}: \forall struct page_table *t, integer a;
    tables_same{A, B}(t) && a >= 0 ==>
    entry_at{A}(t, a) == entry_at{B}(t, a) && level_at{A}(t, a) == level_at{B}(t, a);
  lemma top_same{A, B}: \forall struct page_table *t, integer i;
    tables_same{A, B}(t) && 0 <= i < 512 ==> top_word{A}(t, i) == top_word{B}(t, i);
*/
