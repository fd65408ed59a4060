// SPDX-License-Identifier: MIT
// The memory map; see memory_map.h. Every region is laid over the list so far, which is copied
// anew.
#include "arch/x86/boot/memory_map.h"
#include "kernel/lib/string.h"

#define LAST_PAGE (UINT64_MAX & ~PAGE_MASK)

// Appends what is not empty; joins it to an equal neighbour.
static enum status append(struct boot_information *information, uint64_t start, uint64_t end,
                          enum boot_memory_kind kind)
{
    struct boot_memory *next = &information->memory[information->memory_count];
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
