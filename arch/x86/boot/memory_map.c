// SPDX-License-Identifier: MIT
// The memory map; see memory_map.h. Every region is laid over the list so far, which is copied
// anew.
#include "arch/x86/boot/memory_map.h"
#include "kernel/lib/string.h"

#define LAST_PAGE (UINT64_MAX & ~PAGE_MASK)

/*@
  // Sorted, none empty, none over another, and nothing behind the table's end.
  predicate map_sound{L}(struct boot_information *information) =
    \valid(information) && information->memory_count <= BOOT_MEMORY_MAXIMUM &&
    (\forall integer i; 0 <= i < information->memory_count ==>
       information->memory[i].start < information->memory[i].end) &&
    (\forall integer i, j; 0 <= i < j < information->memory_count ==>
       information->memory[i].end <= information->memory[j].start);
*/

// Appends what is not empty and lies behind all others; joins it to an equal neighbour.
/*@
  requires map_sound(information);
  requires information->memory_count > 0 ==>
    information->memory[information->memory_count - 1].end <= start;
  terminates \true;
  assigns information->memory_count, information->memory[0 .. BOOT_MEMORY_MAXIMUM - 1];
  ensures information->memory_count <= BOOT_MEMORY_MAXIMUM;
  ensures \forall integer i; 0 <= i < information->memory_count ==>
    information->memory[i].start < information->memory[i].end;
  ensures \forall integer i; 0 <= i < information->memory_count - 1 ==>
    information->memory[i].end <= information->memory[information->memory_count - 1].start;
  ensures \forall integer i, j; 0 <= i < j < information->memory_count ==>
    information->memory[i].end <= information->memory[j].start;
  ensures \result == STATUS_OK || \result == STATUS_NO_MEMORY;
  ensures start >= end ==> \result == STATUS_OK;
  ensures \result == STATUS_NO_MEMORY ==> \old(information->memory_count) == BOOT_MEMORY_MAXIMUM;
  ensures \result == STATUS_OK && start < end ==> information->memory_count > 0 &&
    information->memory[information->memory_count - 1].end == end &&
    information->memory[information->memory_count - 1].start <= start &&
    information->memory[information->memory_count - 1].kind == kind;
  ensures \result == STATUS_NO_MEMORY || start >= end ==>
    information->memory_count == \old(information->memory_count);
  // All that was covered is, and in the same way, and but for [start, end) nothing else is.
  ensures \forall integer i; 0 <= i < \old(information->memory_count) ==>
    information->memory[i].start == \old(information->memory[i].start) &&
    information->memory[i].kind == \old(information->memory[i].kind) &&
    (information->memory[i].end == \old(information->memory[i].end) ||
     (i == \old(information->memory_count) - 1 && \old(information->memory[i].end) == start &&
      information->memory[i].kind == kind && information->memory[i].end == end &&
      information->memory_count == \old(information->memory_count)));
  ensures information->memory_count > \old(information->memory_count) ==>
    information->memory_count == \old(information->memory_count) + 1 &&
    information->memory[information->memory_count - 1].start == start;
*/
static enum status append(struct boot_information *information, uint64_t start, uint64_t end,
                          enum boot_memory_kind kind)
{
    struct boot_memory *next = &information->memory[information->memory_count];
    /*@
      assert \forall integer i; 0 <= i < information->memory_count - 1 ==>
        information->memory[i].end <= start;
    */
    if (start >= end) {
        return STATUS_OK;
    }
    if (information->memory_count != 0 && next[-1].end == start && next[-1].kind == kind) {
        next[-1].end = end;
        return STATUS_OK;
    }
    if (information->memory_count == BOOT_MEMORY_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    *next = (struct boot_memory){start, end, kind};
    information->memory_count++;
    return STATUS_OK;
}

// The address of the region, its end included, that is nearest to `value`.
/*@
  requires \valid_read(region) && region->start <= region->end;
  terminates \true;
  assigns \nothing;
  ensures \result == \min(\max(value, region->start), region->end);
*/
static uint64_t clamp(uint64_t value, const struct boot_memory *region)
{
    uint64_t above = value > region->start ? value : region->start;
    return above < region->end ? above : region->end;
}

enum status memory_map_add(struct boot_information *information, uint64_t start, uint64_t end,
                           enum boot_memory_kind kind)
{
    static struct boot_memory old[BOOT_MEMORY_MAXIMUM];
    uint32_t count = information->memory_count;
    uint64_t at = start; // up to here [start, end) has been laid
    enum status status = STATUS_OK;
    if (start >= end) {
        return STATUS_OK;
    }
    memcpy(old, information->memory, count * sizeof *old);
    information->memory_count = 0;
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        const struct boot_memory *region = &old[i];
        const struct boot_memory parts[] = {
            {at, end < region->start ? end : region->start, kind}, // the gap before it
            {region->start, clamp(start, region), region->kind},
            {clamp(start, region), clamp(end, region), kind > region->kind ? kind : region->kind},
            {clamp(end, region), region->end, region->kind},
        };
        for (unsigned part = 0; status == STATUS_OK && part < ARRAY_COUNT(parts); part++) {
            status = append(information, parts[part].start, parts[part].end, parts[part].kind);
        }
        at = at > region->end ? at : region->end;
    }
    return status == STATUS_OK ? append(information, at, end, kind) : status;
}

enum status memory_map_add_bytes(struct boot_information *information, uint64_t start,
                                 uint64_t size, enum boot_memory_kind kind)
{
    uint64_t end = start + size;
    if (kind != BOOT_MEMORY_FREE) {
        end = end > LAST_PAGE ? LAST_PAGE : align_up(end, PAGE_SIZE);
        return memory_map_add(information, align_down(start, PAGE_SIZE), end, kind);
    }
    if (start > LAST_PAGE) {
        return STATUS_OK; // not a whole page
    }
    start = align_up(start, PAGE_SIZE);
    end = align_down(end, PAGE_SIZE);
    uint64_t low_end = end < BOOT_LOW_MEMORY_END ? end : BOOT_LOW_MEMORY_END;
    uint64_t high_start = start > BOOT_LOW_MEMORY_END ? start : BOOT_LOW_MEMORY_END;
    enum status status = memory_map_add(information, start, low_end, BOOT_MEMORY_LOW);
    return status == STATUS_OK ? memory_map_add(information, high_start, end, BOOT_MEMORY_FREE)
                               : status;
}
