// SPDX-License-Identifier: MIT
// The memory map; see memory_map.h. Every region is painted over the list so far; the less usable
// kind of two wins.
#include "arch/x86/boot/memory_map.h"
#include "kernel/lib/string.h"

#define LOW_MEMORY_END 0x100000ull
#define LAST_PAGE      (UINT64_MAX & ~PAGE_MASK)

// Which kind stays where two overlap.
static const uint8_t rank[] = {
    [BOOT_MEMORY_FREE] = 0,   [BOOT_MEMORY_LOW] = 1,  [BOOT_MEMORY_FIRMWARE] = 2,
    [BOOT_MEMORY_MODULE] = 3, [BOOT_MEMORY_ARCH] = 4, [BOOT_MEMORY_KERNEL] = 5,
};

static enum status insert(struct boot_information *information, uint32_t at,
                          struct boot_memory region)
{
    struct boot_memory *memory = information->memory;
    if (information->memory_count == BOOT_MEMORY_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    memmove(&memory[at + 1], &memory[at], (information->memory_count - at) * sizeof *memory);
    memory[at] = region;
    information->memory_count++;
    return STATUS_OK;
}

// Makes `address` a boundary between regions where it lies inside one.
static enum status split(struct boot_information *information, uint64_t address)
{
    for (uint32_t i = 0; i < information->memory_count; i++) {
        struct boot_memory *region = &information->memory[i];
        if (region->start < address && address < region->end) {
            struct boot_memory upper = {address, region->end, region->kind};
            enum status status = insert(information, i + 1, upper);
            if (status == STATUS_OK) {
                region->end = address;
            }
            return status;
        }
    }
    return STATUS_OK;
}

static void join_neighbours(struct boot_information *information)
{
    struct boot_memory *memory = information->memory;
    uint32_t kept = 0;
    for (uint32_t i = 1; i < information->memory_count; i++) {
        if (memory[kept].end == memory[i].start && memory[kept].kind == memory[i].kind) {
            memory[kept].end = memory[i].end;
        } else {
            memory[++kept] = memory[i];
        }
    }
    information->memory_count = information->memory_count != 0 ? kept + 1 : 0;
}

// Gives the regions in [start, end) the kind where it outranks theirs, and fills the gaps between
// them.
static enum status paint(struct boot_information *information, uint64_t start, uint64_t end,
                         enum boot_memory_kind kind)
{
    struct boot_memory *memory = information->memory;
    if (start >= end) {
        return STATUS_OK;
    }
    enum status status = split(information, start);
    if (status == STATUS_OK) {
        status = split(information, end);
    }
    uint64_t at = start;
    for (uint32_t i = 0; status == STATUS_OK && at < end; i++) {
        bool last = i == information->memory_count;
        if (!last && memory[i].end <= at) {
            continue;
        }
        if (last || memory[i].start > at) { // a gap
            uint64_t stop = !last && memory[i].start < end ? memory[i].start : end;
            status = insert(information, i, (struct boot_memory){at, stop, kind});
            at = stop;
        } else {
            if (rank[kind] > rank[memory[i].kind]) {
                memory[i].kind = kind;
            }
            at = memory[i].end;
        }
    }
    join_neighbours(information);
    return status;
}

static uint64_t page_up(uint64_t address)
{
    return address > LAST_PAGE ? LAST_PAGE : align_up(address, PAGE_SIZE);
}

static enum status paint_loader_region(struct boot_information *information,
                                       const struct multiboot2_region *region)
{
    uint64_t end = region->start + region->size;
    if (region->type != MULTIBOOT2_AVAILABLE) {
        return paint(information, align_down(region->start, PAGE_SIZE), page_up(end),
                     BOOT_MEMORY_FIRMWARE);
    }
    uint64_t start = page_up(region->start);
    end = align_down(end, PAGE_SIZE);
    uint64_t low_end = end < LOW_MEMORY_END ? end : LOW_MEMORY_END;
    enum status status = paint(information, start, low_end, BOOT_MEMORY_LOW);
    if (status == STATUS_OK) {
        status = paint(information, start > LOW_MEMORY_END ? start : LOW_MEMORY_END, end,
                       BOOT_MEMORY_FREE);
    }
    return status;
}

enum status memory_map_build(struct boot_information *information,
                             const struct multiboot2_memory *loader, uint64_t kernel_start,
                             uint64_t kernel_end)
{
    enum status status = STATUS_OK;
    information->memory_count = 0;
    for (uint32_t i = 0; status == STATUS_OK && i < loader->count; i++) {
        status = paint_loader_region(information, &loader->regions[i]);
    }
    for (uint32_t i = 0; status == STATUS_OK && i < information->module_count; i++) {
        const struct boot_module *module = &information->modules[i];
        status = paint(information, align_down(module->start.value, PAGE_SIZE),
                       page_up(module->start.value + module->size), BOOT_MEMORY_MODULE);
    }
    if (status == STATUS_OK) {
        status = paint(information, align_down(kernel_start, PAGE_SIZE), page_up(kernel_end),
                       BOOT_MEMORY_KERNEL);
    }
    return status;
}

enum status memory_map_set(struct boot_information *information, uint64_t start, uint64_t end,
                           enum boot_memory_kind kind)
{
    if (start >= end || information->memory_count + 2 > BOOT_MEMORY_MAXIMUM) {
        return start >= end ? STATUS_NOT_FOUND : STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < information->memory_count; i++) {
        struct boot_memory *region = &information->memory[i];
        if (region->start <= start && end <= region->end) {
            enum status status = split(information, start);
            if (status == STATUS_OK) {
                status = split(information, end);
            }
            if (status != STATUS_OK) {
                return status;
            }
            region += region->start != start;
            region->kind = kind;
            join_neighbours(information);
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}
