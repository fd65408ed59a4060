// SPDX-License-Identifier: MIT
// The sorted array of region_list.h.
#include "kernel/memory/region_list.h"
#include <stddef.h>
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

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

    for (uint64_t i = 0; i < list->count; i++) {
        const struct region *region = &list->entries[i];
        uint64_t after = region->start + region->bytes + PAGE_SIZE;

        if (after <= start) {
            continue;
        }
        if (region->start >= start && region->start - start >= bytes &&
            region->start - start - bytes >= PAGE_SIZE) {
            break;
        }
        start = align_up(after, alignment);
    }
    return range_fits(start, bytes, end) ? start : 0;
}

bool region_insert(struct region_list *list, struct region region)
{
    uint64_t at = 0;

    if (list->count == REGION_MAXIMUM) {
        return false;
    }
    while (at < list->count && list->entries[at].start < region.start) {
        at++;
    }
    memmove(&list->entries[at + 1], &list->entries[at],
            (list->count - at) * sizeof(list->entries[0]));
    list->entries[at] = region;
    list->count++;
    return true;
}

void region_remove(struct region_list *list, struct region *region)
{
    uint64_t at = (uint64_t)(region - list->entries);

    list->count--;
    memmove(region, region + 1, (list->count - at) * sizeof(list->entries[0]));
}
