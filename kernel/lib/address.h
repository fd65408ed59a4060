// SPDX-License-Identifier: MIT
// Address kinds as one-member structs, so that the compiler keeps them apart, and page arithmetic.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t value;
} hpa_t; // host physical
typedef struct {
    uint64_t value;
} gpa_t; // guest physical
typedef struct {
    uint64_t value;
} gva_t; // guest virtual (linear)

#define PAGE_SHIFT       12u
#define PAGE_SIZE        4096ull
#define PAGE_MASK        (PAGE_SIZE - 1)
#define LARGE_PAGE_SHIFT 21u
#define LARGE_PAGE_SIZE  (1ull << LARGE_PAGE_SHIFT)
#define HUGE_PAGE_SHIFT  30u
#define HUGE_PAGE_SIZE   (1ull << HUGE_PAGE_SHIFT)

static inline hpa_t hpa(uint64_t value)
{
    return (hpa_t){value};
}

static inline gpa_t gpa(uint64_t value)
{
    return (gpa_t){value};
}

static inline gva_t gva(uint64_t value)
{
    return (gva_t){value};
}

// True when `value` is a multiple of `alignment`, a power of two.
static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

// `alignment` is a power of two. align_up wraps to 0 past the last multiple: check before you call.
static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

/*@
  predicate aligned_to(integer value, integer alignment) =
    (alignment == PAGE_SIZE ==> value % PAGE_SIZE == 0) &&
    (alignment == LARGE_PAGE_SIZE ==> value % 0x200000 == 0);
*/
/*@
  terminates \true;
  assigns \nothing;
  behavior pages:
    assumes alignment == PAGE_SIZE || alignment == LARGE_PAGE_SIZE;
    assumes value + alignment <= UINT64_MAX;
    ensures aligned_to(\result, alignment) && value <= \result;
    ensures \forall integer i; value <= i && aligned_to(i, alignment) ==> \result <= i;
*/
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    uint64_t last = value + alignment - 1;

    return last - (last & (alignment - 1));
}

// True when [start, start + size) does not wrap and ends at or below `limit`.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> start + size <= limit;
*/
static inline bool range_fits(uint64_t start, uint64_t size, uint64_t limit)
{
    return start <= limit && size <= limit - start;
}
