// SPDX-License-Identifier: MIT
// The sorted list of an address space's regions. Pure; the address space's lock guards it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/address.h"
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
  predicate regions_apart{L}(struct region_list *list, integer i, integer j) =
    list->entries[i].start + list->entries[i].bytes <= list->entries[j].start;

  predicate region_before{L}(struct region_list *list, integer i, integer address) =
    list->entries[i].start + list->entries[i].bytes <= address;

  // Of each region: it is not empty and does not wrap, and ends before the next one begins.
  predicate regions_valid{L}(struct region_list *list) =
    \valid(list) && list->count <= REGION_MAXIMUM &&
    (\forall integer i; 0 <= i < list->count ==> list->entries[i].bytes > 0 &&
       list->entries[i].start + list->entries[i].bytes <= UINT64_MAX) &&
    (\forall integer i, j; 0 <= i < j < list->count ==> regions_apart(list, i, j));

  // No region and [start, start + bytes) have an address in common.
  predicate regions_free{L}(struct region_list *list, integer start, integer bytes) =
    \forall integer i; 0 <= i < list->count ==> start + bytes <= list->entries[i].start ||
      list->entries[i].start + list->entries[i].bytes <= start;

  predicate region_holds{L}(struct region *region, integer address) =
    region->start <= address < region->start + region->bytes;

  // In B the entries from `first` on, below `end`, are what in A stood there, or one before, or one
  // behind.
  predicate regions_same{A, B}(struct region_list *list, integer first, integer end) =
    \forall integer i; first <= i < end ==>
      \at(list->entries[i].start, B) == \at(list->entries[i].start, A) &&
      \at(list->entries[i].bytes, B) == \at(list->entries[i].bytes, A) &&
      \at(list->entries[i].kind, B) == \at(list->entries[i].kind, A) &&
      \at(list->entries[i].permission, B) == \at(list->entries[i].permission, A) &&
      \at(list->entries[i].pins, B) == \at(list->entries[i].pins, A);
  predicate regions_up{A, B}(struct region_list *list, integer first, integer end) =
    \forall integer i; first <= i < end ==>
      \at(list->entries[i].start, B) == \at(list->entries[i - 1].start, A) &&
      \at(list->entries[i].bytes, B) == \at(list->entries[i - 1].bytes, A) &&
      \at(list->entries[i].kind, B) == \at(list->entries[i - 1].kind, A) &&
      \at(list->entries[i].permission, B) == \at(list->entries[i - 1].permission, A) &&
      \at(list->entries[i].pins, B) == \at(list->entries[i - 1].pins, A);
  predicate regions_down{A, B}(struct region_list *list, integer first, integer end) =
    \forall integer i; first <= i < end ==>
      \at(list->entries[i].start, B) == \at(list->entries[i + 1].start, A) &&
      \at(list->entries[i].bytes, B) == \at(list->entries[i + 1].bytes, A) &&
      \at(list->entries[i].kind, B) == \at(list->entries[i + 1].kind, A) &&
      \at(list->entries[i].permission, B) == \at(list->entries[i + 1].permission, A) &&
      \at(list->entries[i].pins, B) == \at(list->entries[i + 1].pins, A);

  predicate region_is{L}(struct region_list *list, integer at, struct region region) =
    list->entries[at].start == region.start && list->entries[at].bytes == region.bytes &&
    list->entries[at].kind == region.kind && list->entries[at].permission == region.permission &&
    list->entries[at].pins == region.pins;

  // From A to B `region` came to place `at`; or the one at that place went.
  predicate region_came{A, B}(struct region_list *list, struct region region, integer at) =
    0 <= at <= \at(list->count, A) && \at(list->count, B) == \at(list->count, A) + 1 &&
    regions_same{A, B}(list, 0, at) && region_is{B}(list, at, region) &&
    regions_up{A, B}(list, at + 1, \at(list->count, B));
  predicate region_went{A, B}(struct region_list *list, integer at) =
    0 <= at < \at(list->count, A) && \at(list->count, B) == \at(list->count, A) - 1 &&
    regions_same{A, B}(list, 0, at) && regions_down{A, B}(list, at, \at(list->count, B));

  // From `start` on `bytes` and a page of distance on both sides are free.
  predicate region_gap{L}(struct region_list *list, integer start, integer bytes) =
    \forall integer i; 0 <= i < list->count ==>
      start + bytes + PAGE_SIZE <= list->entries[i].start ||
      list->entries[i].start + list->entries[i].bytes + PAGE_SIZE <= start;
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
  // No other one does.
  ensures only: \result != \null ==> \forall integer i; 0 <= i < list->count &&
    region_holds(&list->entries[i], address) ==> \result == &list->entries[i];
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
/*@
  requires regions_valid(list) && 0 < base && base + alignment <= UINT64_MAX;
  requires alignment == PAGE_SIZE || alignment == LARGE_PAGE_SIZE;
  requires \forall integer i; 0 <= i < list->count ==>
    list->entries[i].start + list->entries[i].bytes + PAGE_SIZE + alignment <= UINT64_MAX;
  terminates \true;
  assigns \nothing;
  ensures found: \result != 0 ==> base <= \result && \result + bytes <= end &&
    aligned_to(\result, alignment) && region_gap(list, \result, bytes);
  ensures lowest: \forall integer at; base <= at && at + bytes <= end &&
    aligned_to(at, alignment) && region_gap(list, at, bytes) ==> \result != 0 && \result <= at;
*/
uint64_t region_find_gap(const struct region_list *list, uint64_t base, uint64_t end,
                         uint64_t bytes, uint64_t alignment);

// Inserts a region that overlaps no other; false when the list is full.
/*@
  requires regions_valid(list);
  requires region.bytes > 0 && region.start + region.bytes <= UINT64_MAX;
  requires regions_free(list, region.start, region.bytes);
  terminates \true;
  assigns list->count, list->entries[0 .. REGION_MAXIMUM - 1];
  ensures regions_valid(list);
  ensures \result <==> \old(list->count) < REGION_MAXIMUM;
  ensures \result ==> \exists integer at; region_came{Pre, Post}(list, region, at);
  ensures !\result ==> list->count == \old(list->count) &&
    regions_same{Pre, Post}(list, 0, list->count);
*/
bool region_insert(struct region_list *list, struct region region);

// Removes an entry of the list.
/*@
  requires regions_valid(list);
  requires \exists integer i; 0 <= i < list->count && region == &list->entries[i];
  terminates \true;
  assigns list->count, list->entries[0 .. REGION_MAXIMUM - 1];
  ensures regions_valid(list);
  ensures \exists integer i; region == &list->entries[i] && region_went{Pre, Post}(list, i);
*/
void region_remove(struct region_list *list, struct region *region);
