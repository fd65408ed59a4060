// SPDX-License-Identifier: MIT
// Memory and string functions of the freestanding programs, the kernel included; the compiler emits
// calls to the first four itself. String instructions move eight bytes a step, which is the
// shortest path in instructions. Pure; no lock.
#include "kernel/lib/string.h"
#include <stdint.h>

/*@
  predicate ends_at(char *text, integer end) =
    text[end] == 0 && \forall integer i; 0 <= i < end ==> text[i] != 0;

  // What is left of a word without its lowest bytes, and the byte at `index` of it in memory.
  logic integer above(integer word, integer index) =
    index == 0 ? word : index == 1 ? word / 0x100 : index == 2 ? word / 0x10000 :
    index == 3 ? word / 0x1000000 : index == 4 ? word / 0x100000000 :
    index == 5 ? word / 0x10000000000 : index == 6 ? word / 0x1000000000000 :
    index == 7 ? word / 0x100000000000000 : 0;
  logic integer byte_of(integer word, integer index) =
    above(word, index) - above(word, index + 1) * 256;
*/

// Trusted, here and in the next three: what a string instruction does.
/*@
  requires \valid(to + (0 .. 8 * words - 1));
  terminates \true;
  assigns to[0 .. 8 * words - 1];
  ensures \forall integer i; 0 <= i < 8 * words ==> byte_at(to, i) == byte_of(pattern, i % 8);
  ensures \result == to + 8 * words;
*/
static char *fill_words(char *to, uint64_t pattern, size_t words)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    return to;
}

/*@
  requires \valid(to + (0 .. size - 1)) && to == start + done;
  terminates \true;
  assigns to[0 .. size - 1];
  ensures \forall integer i; done <= i < done + size ==> byte_at(start, i) == byte_of(pattern, 0);
*/
// `start`: where the filling began, `done` bytes before.
static void fill_bytes(char *to, uint64_t pattern, size_t size)
/*@ ghost (char *start, size_t done) */
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(pattern) : "memory");
}

struct ends {
    char *to;
    const char *from;
};

/*@
  requires \valid(at.to + (0 .. 8 * words - 1)) && \valid_read(at.from + (0 .. 8 * words - 1));
  requires \separated(at.to + (0 .. 8 * words - 1), at.from + (0 .. 8 * words - 1));
  terminates \true;
  assigns at.to[0 .. 8 * words - 1];
  ensures \forall integer i; 0 <= i < 8 * words ==> at.to[i] == at.from[i];
  ensures \result.to == at.to + 8 * words && \result.from == at.from + 8 * words;
*/
static struct ends copy_words(struct ends at, size_t words)
{
    __asm__ volatile("rep movsq" : "+D"(at.to), "+S"(at.from), "+c"(words)::"memory");
    return at;
}

/*@
  requires \valid(at.to + (0 .. size - 1)) && \valid_read(at.from + (0 .. size - 1));
  requires \separated(at.to + (0 .. size - 1), at.from + (0 .. size - 1));
  requires at.to == to + done && at.from == from + done;
  terminates \true;
  assigns at.to[0 .. size - 1];
  ensures \forall integer i; done <= i < done + size ==> to[i] == from[i];
*/
// `to`, `from`: where the copying began, `done` bytes before.
static void copy_bytes(struct ends at, size_t size)
/*@ ghost (char *to, const char *from, size_t done) */
{
    __asm__ volatile("rep movsb" : "+D"(at.to), "+S"(at.from), "+c"(size)::"memory");
}

/*@
  requires \valid((char *)destination + (0 .. size - 1));
  requires \valid_read((char *)source + (0 .. size - 1));
  requires \separated((char *)destination + (0 .. size - 1),
                      (char *)source + (0 .. size - 1));
  terminates \true;
  assigns ((char *)destination)[0 .. size - 1];
  ensures \forall integer i; 0 <= i < size ==>
    ((char *)destination)[i] == ((char *)source)[i];
*/
static void copy_up(void *destination, const void *source, size_t size)
{
    struct ends at = {destination, source};
    copy_bytes(copy_words(at, size / 8), size % 8) /*@ ghost (at.to, at.from, size / 8 * 8) */;
}

// The direction flag goes back to clear before C code continues, as the ABI wants.
static void copy_down(void *destination, const void *source, size_t size)
{
    char *to = (char *)destination + size - 1;
    const char *from = (const char *)source + size - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

/*@
  requires \valid((char *)destination + (0 .. size - 1));
  requires \valid_read((char *)source + (0 .. size - 1));
  requires \separated((char *)destination + (0 .. size - 1),
                      (char *)source + (0 .. size - 1));
  terminates \true;
  assigns ((char *)destination)[0 .. size - 1];
  ensures \result == destination;
  ensures \forall integer i; 0 <= i < size ==>
    ((char *)destination)[i] == ((char *)source)[i];
*/
void *memcpy(void *restrict destination, const void *restrict source, size_t size)
{
    copy_up(destination, source, size);
    return destination;
}

void *memmove(void *destination, const void *source, size_t size)
{
    // Unsigned: true as well when the destination lies below the source.
    if ((uintptr_t)destination - (uintptr_t)source >= size) {
        copy_up(destination, source, size);
    } else if (size != 0) {
        copy_down(destination, source, size);
    }
    return destination;
}

void *memset(void *destination, int byte, size_t size)
{
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;
    //@ assert above(pattern, 1) == (uint8_t)byte * 0x01010101010101;
    //@ assert above(pattern, 2) == (uint8_t)byte * 0x010101010101;
    //@ assert above(pattern, 3) == (uint8_t)byte * 0x0101010101;
    //@ assert above(pattern, 4) == (uint8_t)byte * 0x01010101;
    //@ assert above(pattern, 5) == (uint8_t)byte * 0x010101;
    //@ assert above(pattern, 6) == (uint8_t)byte * 0x0101;
    //@ assert above(pattern, 7) == (uint8_t)byte * 0x01;
    //@ assert \forall integer i; 0 <= i < 8 ==> byte_of(pattern, i) == (uint8_t)byte;
    char *rest = fill_words(destination, pattern, size / 8);
    fill_bytes(rest, pattern, size % 8) /*@ ghost (destination, size / 8 * 8) */;
    return destination;
}

/*@
  requires \valid_read((char *)left + (0 .. size - 1));
  requires \valid_read((char *)right + (0 .. size - 1));
  terminates \true;
  assigns \nothing;
  ensures \result == 0 <==> \forall integer i; 0 <= i < size ==>
    byte_at((char *)left, i) == byte_at((char *)right, i);
  ensures \result != 0 ==> \exists integer i; 0 <= i < size &&
    \result == byte_at((char *)left, i) - byte_at((char *)right, i) &&
    \forall integer j; 0 <= j < i ==> byte_at((char *)left, j) == byte_at((char *)right, j);
*/
int memcmp(const void *left, const void *right, size_t size)
{
    const char *l = left;
    const char *r = right;
    /*@
      loop invariant 0 <= i <= size;
      loop invariant \forall integer j; 0 <= j < i ==> byte_at(l, j) == byte_at(r, j);
      loop assigns i;
      loop variant size - i;
    */
    for (size_t i = 0; i < size; i++) {
        int difference = (uint8_t)l[i] - (uint8_t)r[i];
        if (difference != 0) {
            return difference;
        }
    }
    return 0;
}

/*@
  requires \exists integer end; 0 <= end < SIZE_MAX && ends_at(text, end) &&
    \valid_read(text + (0 .. end));
  terminates \true;
  assigns \nothing;
  ensures ends_at(text, \result);
*/
size_t strlen(const char *text)
{
    return strnlen(text, SIZE_MAX);
}

// Reads nothing behind the end, nor behind the limit.
/*@
  requires \valid_read(text + (0 .. limit - 1)) ||
    \exists integer end; 0 <= end < limit && ends_at(text, end) && \valid_read(text + (0 .. end));
  terminates \true;
  assigns \nothing;
  ensures \result <= limit;
  ensures \result < limit ==> ends_at(text, \result);
  ensures \forall integer i; 0 <= i < \result ==> text[i] != 0;
*/
size_t strnlen(const char *text, size_t limit)
{
    size_t length = 0;
    /*@
      loop invariant 0 <= length <= limit;
      loop invariant \forall integer i; 0 <= i < length ==> text[i] != 0;
      loop assigns length;
      loop variant limit - length;
    */
    while (length < limit && text[length] != '\0') {
        length++;
    }
    return length;
}

/*@
  // The texts are the same before `end`, and there both end or differ.
  predicate parts_at(char *left, char *right, integer end) =
    (left[end] == 0 || left[end] != right[end]) &&
    \forall integer i; 0 <= i < end ==> left[i] == right[i] && left[i] != 0;
*/

/*@
  requires \exists integer end; 0 <= end < SIZE_MAX && parts_at(left, right, end) &&
    \valid_read(left + (0 .. end)) && \valid_read(right + (0 .. end));
  terminates \true;
  assigns \nothing;
  ensures \exists integer end; 0 <= end && parts_at(left, right, end) &&
    \result == byte_at(left, end) - byte_at(right, end);
*/
int strcmp(const char *left, const char *right)
{
    size_t i = 0;
    /*@
      loop invariant \forall integer end; 0 <= end <= SIZE_MAX && parts_at(left, right, end) ==>
        i <= end;
      loop invariant \forall integer j; 0 <= j < i ==> left[j] == right[j] && left[j] != 0;
      loop assigns i;
      loop variant SIZE_MAX - i;
    */
    while (left[i] != '\0' && left[i] == right[i]) {
        i++;
    }
    return (uint8_t)left[i] - (uint8_t)right[i];
}
