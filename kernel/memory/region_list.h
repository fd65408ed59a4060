// SPDX-License-Identifier: MIT
// The sorted list of an address space's regions. Pure; the address space's lock guards it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

enum region_kind {
    REGION_MEMORY,   // SYS_MEMORY_ALLOCATE: frames belong to the region, the program may free it
    REGION_PROGRAM,  // ELF segments: frames belong to the region
    REGION_BORROWED, // frames belong to somebody else: modules, vCPU pages, the information page
};

struct region {
    uint64_t start; // user address, 4 KiB aligned
    uint64_t bytes;
    uint16_t kind;       // enum region_kind
    uint16_t permission; // enum user_permission
    uint32_t pins;       // how many grants to guests lie in it: not freed while there are any
};

#define REGION_MAXIMUM 168u

struct region_list { // one page
    uint64_t count;
    struct region entries[REGION_MAXIMUM]; // by start, not overlapping
};
static_assert(sizeof(struct region_list) <= 4096, "one page per address space");

/*@
  // Of each region: it is not empty and does not wrap, and ends before the next one begins.
  predicate regions_valid{L}(struct region_list *list) =
    \valid(list) && list->count <= REGION_MAXIMUM &&
    (\forall integer i; 0 <= i < list->count ==> list->entries[i].bytes > 0 &&
       list->entries[i].start + list->entries[i].bytes <= UINT64_MAX) &&
    (\forall integer i, j; 0 <= i < j < list->count ==>
       list->entries[i].start + list->entries[i].bytes <= list->entries[j].start);

  // No region and [start, start + bytes) have an address in common.
  predicate regions_free{L}(struct region_list *list, integer start, integer bytes) =
    \forall integer i; 0 <= i < list->count ==> start + bytes <= list->entries[i].start ||
      list->entries[i].start + list->entries[i].bytes <= start;

  predicate region_holds{L}(struct region *region, integer address) =
    region->start <= address < region->start + region->bytes;
*/

// The region that holds `address`; null when none does.
/*@
  requires regions_valid(list);
  terminates \true;
  assigns \result \from list, address, list->entries[0 .. REGION_MAXIMUM - 1];
  ensures \result == \null ==>
    \forall integer i; 0 <= i < list->count ==> !region_holds(&list->entries[i], address);
  ensures \result != \null ==> region_holds(\result, address) &&
    \exists integer i; 0 <= i < list->count && \result == &list->entries[i];
*/
struct region *region_find(struct region_list *list, uint64_t address);

// True when nothing overlaps [start, start + bytes).
/*@
  requires regions_valid(list) && bytes > 0 && start + bytes <= UINT64_MAX;
  terminates \true;
  assigns \nothing;
  ensures \result <==> regions_free(list, start, bytes);
*/
bool region_is_free(const struct region_list *list, uint64_t start, uint64_t bytes);

// The lowest multiple of `alignment` in [base, end) from which `bytes` and a page of distance on
// both sides are free; 0 when there is none. `alignment` is a power of two, at least a page.
uint64_t region_find_gap(const struct region_list *list, uint64_t base, uint64_t end,
                         uint64_t bytes, uint64_t alignment);

// Inserts a region that overlaps no other; false when the list is full.
bool region_insert(struct region_list *list, struct region region);

// Removes an entry of the list.
void region_remove(struct region_list *list, struct region *region);
