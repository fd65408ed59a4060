// SPDX-License-Identifier: MIT
// The sorted array of region_list.h.
#include "kernel/memory/region_list.h"
#include <stddef.h>

// Trusted: a mask is the remainder.
/*@
  axiomatic alignments {
    axiom rest_of_page: \forall integer a; a >= 0 ==> (a & 0xfff) == a % 0x1000;
    axiom rest_of_large_page: \forall integer a; a >= 0 ==> (a & 0x1fffff) == a % 0x200000;
  }
*/

struct region *region_find(struct region_list *list, uint64_t address)
{
    /*@
      loop invariant 0 <= i <= list->count;
      loop invariant \forall integer k; 0 <= k < i ==> !region_holds(&list->entries[k], address);
      loop assigns i;
      loop variant list->count - i;
    */
    for (uint64_t i = 0; i < list->count; i++) {
        struct region *region = &list->entries[i];

        if (region->start <= address && address - region->start < region->bytes) {
            //@ assert behind: \forall integer k; i < k < list->count ==> regions_apart(list, i, k);
            return region;
        }
    }
    return NULL;
}

bool region_is_free(const struct region_list *list, uint64_t start, uint64_t bytes)
{
    /*@
      loop invariant 0 <= i <= list->count;
      loop invariant \forall integer k; 0 <= k < i ==> start + bytes <= list->entries[k].start ||
        list->entries[k].start + list->entries[k].bytes <= start;
      loop assigns i;
      loop variant list->count - i;
    */
    for (uint64_t i = 0; i < list->count; i++) {
        const struct region *region = &list->entries[i];

        if (start < region->start + region->bytes && region->start < start + bytes) {
            return false;
        }
    }
    return true;
}

uint64_t region_find_gap(const struct region_list *list, uint64_t base, uint64_t end,
                         uint64_t bytes, uint64_t alignment)
{
    uint64_t start = align_up(base, alignment);

    /*@
      loop invariant 0 <= i <= list->count;
      loop invariant base <= start && aligned_to(start, alignment);
      loop invariant \forall integer k; 0 <= k < i ==>
        list->entries[k].start + list->entries[k].bytes + PAGE_SIZE <= start;
      loop invariant none: \forall integer at; base <= at < start && aligned_to(at, alignment) ==>
        !region_gap(list, at, bytes);
      loop assigns i, start;
      loop variant list->count - i;
    */
    for (uint64_t i = 0; i < list->count; i++) {
        const struct region *region = &list->entries[i];
        uint64_t after = region->start + region->bytes + PAGE_SIZE;

        if (after <= start) {
            continue;
        }
        if (region->start >= start && region->start - start >= bytes &&
            region->start - start - bytes >= PAGE_SIZE) {
            /*@ assert behind: \forall integer j; i < j < list->count ==>
                  regions_apart(list, i, j) &&
                  start + bytes + PAGE_SIZE <= list->entries[j].start; */
            break;
        }
        start = align_up(after, alignment);
    }
    return range_fits(start, bytes, end) ? start : 0;
}

// Writes entry `at`, field by field, which is how proofs look at it.
/*@
  requires \valid(list) && at < REGION_MAXIMUM;
  terminates \true;
  assigns list->entries[0 .. REGION_MAXIMUM - 1];
  ensures region_is(list, at, region) && list->count == \old(list->count);
  ensures regions_same{Pre, Post}(list, 0, at);
  ensures regions_same{Pre, Post}(list, at + 1, REGION_MAXIMUM);
*/
static void put(struct region_list *list, uint64_t at, struct region region)
{
    list->entries[at].start = region.start;
    list->entries[at].bytes = region.bytes;
    list->entries[at].kind = region.kind;
    list->entries[at].permission = region.permission;
    list->entries[at].pins = region.pins;
}

// Moves the entries that start above `start` up by one; returns the place before them.
/*@
  requires \valid(list) && list->count < REGION_MAXIMUM;
  terminates \true;
  assigns list->entries[0 .. REGION_MAXIMUM - 1];
  ensures 0 <= \result <= list->count && list->count == \old(list->count);
  ensures regions_same{Pre, Post}(list, 0, \result);
  ensures regions_up{Pre, Post}(list, \result + 1, list->count + 1);
  ensures \result > 0 ==> \old(list->entries[\at(\result, Post) - 1].start) <= start;
  ensures \forall integer i; \result <= i < list->count ==>
    start < \old(list->entries[i].start);
*/
static uint64_t make_room(struct region_list *list, uint64_t start)
{
    uint64_t at = list->count;

    /*@
      loop invariant 0 <= at <= list->count && list->count == \at(list->count, Pre);
      loop invariant below: regions_same{Pre, Here}(list, 0, at);
      loop invariant above: regions_up{Pre, Here}(list, at + 1, list->count + 1);
      loop invariant starts: \forall integer i; at <= i < list->count ==>
        start < \at(list->entries[i].start, Pre);
      loop assigns at, list->entries[0 .. REGION_MAXIMUM - 1];
      loop variant at;
    */
    while (at > 0 && list->entries[at - 1].start > start) {
        put(list, at, list->entries[at - 1]);
        at--;
    }
    return at;
}

bool region_insert(struct region_list *list, struct region region)
{
    if (list->count == REGION_MAXIMUM) {
        return false;
    }
    uint64_t at = make_room(list, region.start);
    //@ assert last: at > 0 ==> region_before{Pre}(list, at - 1, region.start);
    /*@ assert others: \forall integer i; 0 <= i < at - 1 ==> regions_apart{Pre}(list, i, at - 1) &&
          region_before{Pre}(list, i, region.start); */
    /*@ assert left: \forall integer i; 0 <= i < at ==> region_before{Pre}(list, i, region.start) &&
          \at(list->entries[i].start, Pre) + \at(list->entries[i].bytes, Pre) <= region.start; */
    /*@ assert right: \forall integer i; at <= i < list->count ==>
          region.start + region.bytes <= \at(list->entries[i].start, Pre); */
    put(list, at, region);
    list->count++;
    //@ assert lower: regions_same{Pre, Here}(list, 0, at);
    //@ assert higher: regions_up{Pre, Here}(list, at + 1, list->count);
    //@ assert came: region_came{Pre, Here}(list, region, at);
    /*@ assert sizes: \forall integer i; 0 <= i < list->count ==> list->entries[i].bytes > 0 &&
          list->entries[i].start + list->entries[i].bytes <= UINT64_MAX; */
    /*@ assert kept_left: \forall integer i, j; 0 <= i < j < at ==>
          (regions_apart(list, i, j) <==> regions_apart{Pre}(list, i, j)); */
    /*@ assert kept_right: \forall integer i, j; at < i < j < list->count ==>
          (regions_apart(list, i, j) <==> regions_apart{Pre}(list, i - 1, j - 1)); */
    /*@ assert sides: \forall integer i, j; 0 <= i < at < j < list->count ==>
          regions_apart(list, i, j); */
    //@ assert left_new: \forall integer i; 0 <= i < at ==> regions_apart(list, i, at);
    //@ assert new_right: \forall integer i; at < i < list->count ==> regions_apart(list, at, i);
    //@ assert apart: \forall integer i, j; 0 <= i < j < list->count ==> regions_apart(list, i, j);
    return true;
}

// Moves the entries behind `at` down by one.
/*@
  requires \valid(list) && at < list->count <= REGION_MAXIMUM;
  terminates \true;
  assigns list->count, list->entries[0 .. REGION_MAXIMUM - 1];
  ensures region_went{Pre, Post}(list, at);
*/
static void close_up(struct region_list *list, uint64_t at)
{
    list->count--;
    /*@
      loop invariant at <= i <= list->count && list->count == \at(list->count, Pre) - 1;
      loop invariant before: regions_same{Pre, Here}(list, 0, at);
      loop invariant moved: regions_down{Pre, Here}(list, at, i);
      loop invariant after: regions_same{Pre, Here}(list, i + 1, list->count + 1);
      loop assigns i, list->entries[0 .. REGION_MAXIMUM - 1];
      loop variant list->count - i;
    */
    for (uint64_t i = at; i < list->count; i++) {
        put(list, i, list->entries[i + 1]);
    }
}

void region_remove(struct region_list *list, struct region *region)
{
    uint64_t at = (uint64_t)(region - list->entries);

    //@ assert place: 0 <= at < list->count && region == &list->entries[at];
    close_up(list, at);
    //@ assert went: region_went{Pre, Here}(list, at);
    /*@ assert sizes: \forall integer i; 0 <= i < list->count ==> list->entries[i].bytes > 0 &&
          list->entries[i].start + list->entries[i].bytes <= UINT64_MAX; */
    /*@ assert kept_left: \forall integer i, j; 0 <= i < j < at ==>
          (regions_apart(list, i, j) <==> regions_apart{Pre}(list, i, j)); */
    /*@ assert kept_right: \forall integer i, j; at <= i < j < list->count ==>
          (regions_apart(list, i, j) <==> regions_apart{Pre}(list, i + 1, j + 1)); */
    /*@ assert kept_sides: \forall integer i, j; 0 <= i < at <= j < list->count ==>
          (regions_apart(list, i, j) <==> regions_apart{Pre}(list, i, j + 1)); */
    //@ assert apart: \forall integer i, j; 0 <= i < j < list->count ==> regions_apart(list, i, j);
}
