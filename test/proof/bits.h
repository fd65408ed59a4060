// SPDX-License-Identifier: MIT
// For contracts that follow the tables of the processor's manual, bit by bit; included by
// scripts/prove for the files that need it. The axioms are among the things that proofs trust.
#pragma once
// clang-format off

// Bit `number` of a word; that a word is clear from bit `low` on, 4, 8 or 16 bits; that two words
// agree there.
#define WORD_BIT(word, number) (((word) & (1 << (number))) != 0)
#define CLEAR_4(word, low)                                                                         \
    (!WORD_BIT(word, low) && !WORD_BIT(word, (low) + 1) && !WORD_BIT(word, (low) + 2) &&           \
     !WORD_BIT(word, (low) + 3))
#define CLEAR_8(word, low)     (CLEAR_4(word, low) && CLEAR_4(word, (low) + 4))
#define CLEAR_16(word, low)    (CLEAR_8(word, low) && CLEAR_8(word, (low) + 8))
#define SAME_BIT(a, b, number) (WORD_BIT(a, number) <==> WORD_BIT(b, number))
#define SAME_4(a, b, low)                                                                          \
    (SAME_BIT(a, b, low) && SAME_BIT(a, b, (low) + 1) && SAME_BIT(a, b, (low) + 2) &&              \
     SAME_BIT(a, b, (low) + 3))
#define SAME_8(a, b, low)  (SAME_4(a, b, low) && SAME_4(a, b, (low) + 4))
#define SAME_16(a, b, low) (SAME_8(a, b, low) && SAME_8(a, b, (low) + 8))

// That bits of `to`, from bit `t` on, are those of `from` from bit `f` on.
#define MOVED_BIT(to, t, from, f) (WORD_BIT(to, t) <==> WORD_BIT(from, f))
#define MOVED_4(to, t, from, f)                                                                    \
    (MOVED_BIT(to, t, from, f) && MOVED_BIT(to, (t) + 1, from, (f) + 1) &&                         \
     MOVED_BIT(to, (t) + 2, from, (f) + 2) && MOVED_BIT(to, (t) + 3, from, (f) + 3))
#define MOVED_8(to, t, from, f)  (MOVED_4(to, t, from, f) && MOVED_4(to, (t) + 4, from, (f) + 4))
#define MOVED_16(to, t, from, f) (MOVED_8(to, t, from, f) && MOVED_8(to, (t) + 8, from, (f) + 8))

// That a bit of `sum` is that of one word or of the other, or of both.
#define EITHER_BIT(sum, a, b, number)                                                              \
    (WORD_BIT(sum, number) <==> WORD_BIT(a, number) || WORD_BIT(b, number))
#define EITHER_4(sum, a, b, low)                                                                   \
    (EITHER_BIT(sum, a, b, low) && EITHER_BIT(sum, a, b, (low) + 1) &&                             \
     EITHER_BIT(sum, a, b, (low) + 2) && EITHER_BIT(sum, a, b, (low) + 3))
#define EITHER_8(sum, a, b, low)  (EITHER_4(sum, a, b, low) && EITHER_4(sum, a, b, (low) + 4))
#define EITHER_16(sum, a, b, low) (EITHER_8(sum, a, b, low) && EITHER_8(sum, a, b, (low) + 8))

// Bits 51:12, where paging structures hold the number of a frame.
#define FRAME_BITS 0x000ffffffffff000

/*@
  axiomatic bits {
    axiom frame_of_or: \forall integer a, b;
      ((a | b) & FRAME_BITS) == ((a & FRAME_BITS) | (b & FRAME_BITS));
    axiom frame_of_flags: \forall integer a; 0 <= a < 4096 ==> (a & FRAME_BITS) == 0;
    axiom frame_of_page: \forall integer a;
      0 <= a < 0x10000000000000 && a % 4096 == 0 ==> (a & FRAME_BITS) == a;
  }
*/

// The memory types of EPT entries.
#define MEMORY_TYPE_EXISTS(type)                                                                   \
    ((type) == 0 || (type) == 1 || (type) == 4 || (type) == 5 || (type) == 6)
#define FOR_EACH_TYPE(type, property)                                                              \
    (((type) == 0 ==> (property)) && ((type) == 1 ==> (property)) &&                             \
     ((type) == 4 ==> (property)) && ((type) == 5 ==> (property)) &&                             \
     ((type) == 6 ==> (property)))
