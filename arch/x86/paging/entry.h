// SPDX-License-Identifier: MIT
// The bits of one paging-structure entry in the host format ("4-Level Paging") and in EPT ("The
// Extended Page Table Mechanism"). Pure; only page_table.c uses it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"

#define LOWER_HALF_LIMIT 0x0000800000000000ull
#define UPPER_HALF_BASE  0xffff800000000000ull
#define EPT_LIMIT        (1ull << 48)

// For contracts: what an address of each level spans, and which entries refer to something.
/*@
  logic integer span_of(integer level) =
    level <= 0 ? 0x1000 : level == 1 ? 0x200000 : level == 2 ? 0x40000000
    : level == 3 ? 0x8000000000 : 0x1000000000000;
  predicate is_present(integer format, integer entry) =
    format == PAGE_FORMAT_HOST ? WORD_BIT(entry, 0) : (entry & 7) != 0;
  predicate is_leaf(integer entry, integer level) = level == 0 || WORD_BIT(entry, 7);
*/

// STATUS_OK when the format can express these permissions (page_permission bits) and this type;
// else STATUS_INVALID or STATUS_UNSUPPORTED.
/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  ensures \result == STATUS_OK ==> WORD_BIT(permissions, 0) && MEMORY_TYPE_EXISTS(type);
  ensures format == PAGE_FORMAT_EPT && \result == STATUS_OK ==> (permissions & ~7) == 0;
  ensures format == PAGE_FORMAT_HOST && \result == STATUS_OK ==> (permissions & ~31) == 0;
  ensures format == PAGE_FORMAT_EPT && WORD_BIT(permissions, 0) && (permissions & ~7) == 0 &&
    MEMORY_TYPE_EXISTS(type) ==> \result == STATUS_OK;
  ensures format == PAGE_FORMAT_HOST && WORD_BIT(permissions, 0) && (permissions & ~31) == 0 &&
    MEMORY_TYPE_EXISTS(type) ==>
    \result == ((type == 1 || type == 5) ? STATUS_UNSUPPORTED : STATUS_OK);
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_UNSUPPORTED;
*/
MUST_CHECK enum status entry_check(enum page_format format, uint32_t permissions,
                                   enum memory_type type);

/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  ensures format == PAGE_FORMAT_HOST ==> (\result <==> WORD_BIT(entry, 0));
  ensures format == PAGE_FORMAT_EPT ==> (\result <==> (entry & 7) != 0);
*/
bool entry_present(enum page_format format, uint64_t entry);

// True for a present entry of `level` (0: 4 KiB) that maps memory rather than a table.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> level == 0 || WORD_BIT(entry, 7);
*/
bool entry_is_leaf(uint64_t entry, unsigned level);

// An entry that refers to a table. `user`: of the host's lower half.
/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  requires (physical & FRAME_BITS) == physical;
  terminates \true;
  assigns \nothing;
  ensures (\result & FRAME_BITS) == physical;
  ensures WORD_BIT(\result, 0) && WORD_BIT(\result, 1);
  ensures !WORD_BIT(\result, 7) && !WORD_BIT(\result, 63);
  ensures format == PAGE_FORMAT_EPT ==> WORD_BIT(\result, 2);
  ensures format == PAGE_FORMAT_HOST ==> (WORD_BIT(\result, 2) <==> user);
*/
uint64_t entry_table(enum page_format format, uint64_t physical, bool user);

// An entry that maps memory; arguments have passed entry_check.
/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  requires (physical & FRAME_BITS) == physical && MEMORY_TYPE_EXISTS(type);
  terminates \true;
  assigns \nothing;
  ensures (\result & FRAME_BITS) == physical;
  ensures WORD_BIT(\result, 0) && (WORD_BIT(\result, 7) <==> level != 0);
  ensures SAME_BIT(\result, permissions, 1);
  behavior ept:
    assumes format == PAGE_FORMAT_EPT;
    ensures SAME_BIT(\result, permissions, 2);
    ensures WORD_BIT(\result, 3) <==> WORD_BIT(type, 0);
    ensures WORD_BIT(\result, 4) <==> WORD_BIT(type, 1);
    ensures WORD_BIT(\result, 5) <==> WORD_BIT(type, 2);
    ensures !WORD_BIT(\result, 6);
  behavior host:
    assumes format == PAGE_FORMAT_HOST;
    ensures WORD_BIT(\result, 2) <==> WORD_BIT(permissions, 3);
    ensures WORD_BIT(\result, 63) <==> !WORD_BIT(permissions, 2);
    ensures WORD_BIT(\result, 3) <==> type == 4 || type == 0;
    ensures WORD_BIT(\result, 4) <==> type == 0;
  complete behaviors;
  disjoint behaviors;
*/
uint64_t entry_leaf(enum page_format format, uint64_t physical, uint32_t permissions,
                    enum memory_type type, unsigned level);

/*@
  terminates \true;
  assigns \nothing;
  ensures \result == (entry & FRAME_BITS);
*/
uint64_t entry_address(uint64_t entry); // of a table

/*@
  requires level <= 2;
  terminates \true;
  assigns \nothing;
  ensures level == 0 ==> \result == (entry & 0x000ffffffffff000);
  ensures level == 1 ==> \result == (entry & 0x000fffffffe00000);
  ensures level == 2 ==> \result == (entry & 0x000fffffc0000000);
*/
uint64_t entry_leaf_address(uint64_t entry, unsigned level);

/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  ensures WORD_BIT(\result, 0) && \result < 32;
  ensures SAME_BIT(\result, entry, 1);
  ensures format == PAGE_FORMAT_EPT ==> SAME_BIT(\result, entry, 2) && \result < 8;
  ensures format == PAGE_FORMAT_HOST ==> (WORD_BIT(\result, 2) <==> !WORD_BIT(entry, 63));
  ensures format == PAGE_FORMAT_HOST ==> (WORD_BIT(\result, 3) <==> WORD_BIT(entry, 2));
  ensures format == PAGE_FORMAT_HOST ==> (WORD_BIT(\result, 4) <==> WORD_BIT(entry, 8));
*/
uint32_t entry_permissions(enum page_format format, uint64_t entry);

/*@
  requires format == PAGE_FORMAT_HOST || format == PAGE_FORMAT_EPT;
  terminates \true;
  assigns \nothing;
  behavior ept:
    assumes format == PAGE_FORMAT_EPT;
    ensures WORD_BIT(\result, 0) <==> WORD_BIT(entry, 3);
    ensures WORD_BIT(\result, 1) <==> WORD_BIT(entry, 4);
    ensures WORD_BIT(\result, 2) <==> WORD_BIT(entry, 5);
  behavior host:
    assumes format == PAGE_FORMAT_HOST;
    ensures WORD_BIT(entry, 4) ==> \result == MEMORY_UNCACHEABLE;
    ensures !WORD_BIT(entry, 4) && WORD_BIT(entry, 3) ==> \result == MEMORY_WRITE_THROUGH;
    ensures !WORD_BIT(entry, 4) && !WORD_BIT(entry, 3) ==> \result == MEMORY_WRITE_BACK;
  complete behaviors;
  disjoint behaviors;
*/
enum memory_type entry_type(enum page_format format, uint64_t entry);
