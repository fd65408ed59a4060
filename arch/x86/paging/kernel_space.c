// SPDX-License-Identifier: MIT
// The kernel's address space; see kernel_space.h. Built by the boot CPU; later calls run under the
// kernel's address-space lock.
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/boot/image.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space_build.h"

#define STACK_PAGES    4u
#define TOP_ENTRY_SPAN (1ull << 39)

static struct page_table space;
static uint64_t device_next = DEVICE_AREA_BASE;
static_assert(STACK_AREA_SIZE <= TOP_ENTRY_SPAN && DEVICE_AREA_SIZE <= TOP_ENTRY_SPAN &&
                  CPU_AREA_SIZE <= TOP_ENTRY_SPAN,
              "reserve_areas makes one entry for each");

struct page_table *kernel_space(void)
{
    return &space;
}

static enum status map_global(uint64_t address, uint64_t physical, uint64_t size,
                              uint32_t permissions, const struct page_source *source)
{
    return page_table_map(&space, address, hpa(physical), size, permissions | PAGE_GLOBAL,
                          MEMORY_WRITE_BACK, source);
}

enum status kernel_space_map_stack(uint32_t slot, const hpa_t page_list[4],
                                   const struct page_source *source)
{
    uint64_t base = stack_slot_address(slot);
    enum status status = slot < STACK_SLOT_COUNT ? STATUS_OK : STATUS_INVALID;
    // They share one table, so that only the first page can fail.
    for (unsigned i = 0; status == STATUS_OK && i < STACK_PAGES; i++) {
        status = map_global(base + i * PAGE_SIZE, page_list[i].value, PAGE_SIZE,
                            PAGE_READ | PAGE_WRITE, source);
    }
    return status;
}

void kernel_space_forget_stack(uint32_t slot)
{
    for (unsigned i = 0; i < STACK_PAGES; i++) {
        tlb_invalidate_page(stack_slot_address(slot) + i * PAGE_SIZE);
    }
}

enum status kernel_space_unmap_stack(uint32_t slot, const struct page_source *source)
{
    enum status status =
        slot < STACK_SLOT_COUNT
            ? page_table_unmap(&space, stack_slot_address(slot), KERNEL_STACK_SIZE, source)
            : STATUS_INVALID;
    if (status == STATUS_OK) {
        kernel_space_forget_stack(slot);
    }
    return status;
}

enum status kernel_space_map_device(hpa_t physical, uint64_t size, uint32_t permissions,
                                    enum memory_type type, const struct page_source *source,
                                    void **address)
{
    uint64_t start = align_down(physical.value, PAGE_SIZE);
    if (size == 0 || !range_fits(physical.value, size, space.physical_limit)) {
        return STATUS_INVALID;
    }
    uint64_t length = align_up(physical.value + size, PAGE_SIZE) - start;
    if (!range_fits(device_next - DEVICE_AREA_BASE, length, DEVICE_AREA_SIZE)) {
        return STATUS_NO_MEMORY;
    }
    enum status status = page_table_map(&space, device_next, hpa(start), length,
                                        permissions | PAGE_GLOBAL, type, source);
    if (status == STATUS_OK) {
        *address = (void *)(device_next + (physical.value - start));
        device_next += length;
    }
    return status;
}

static enum status map_image(const struct page_source *source)
{
    const struct {
        const char *start;
        const char *end;
        uint32_t permissions;
    } parts[] = {
        {text_start, text_end, PAGE_READ | PAGE_EXECUTE},
        {rodata_start, rodata_end, PAGE_READ},
        {data_start, data_end, PAGE_READ | PAGE_WRITE},
    };
    enum status status = STATUS_OK;
    for (unsigned i = 0; status == STATUS_OK && i < ARRAY_COUNT(parts); i++) {
        status =
            map_global((uint64_t)parts[i].start, image_physical(parts[i].start).value,
                       (uint64_t)(parts[i].end - parts[i].start), parts[i].permissions, source);
    }
    return status;
}

static uint32_t direct_permissions(enum boot_memory_kind kind)
{
    if (kind == BOOT_MEMORY_FIRMWARE) {
        return 0;
    }
    // The image is written only at its own address.
    return kind == BOOT_MEMORY_KERNEL ? PAGE_READ : PAGE_READ | PAGE_WRITE;
}

// Maps RAM in runs of equal permissions, so that regions side by side share large pages.
static enum status map_direct(const struct boot_information *boot, const struct page_source *source)
{
    enum status status = STATUS_OK;
    uint32_t i = 0;
    while (status == STATUS_OK && i < boot->memory_count) {
        const struct boot_memory *first = &boot->memory[i];
        uint32_t permissions = direct_permissions(first->kind);
        uint64_t end = first->end;
        for (i++; i < boot->memory_count && boot->memory[i].start == end &&
                  direct_permissions(boot->memory[i].kind) == permissions;
             i++) {
            end = boot->memory[i].end;
        }
        if (permissions != 0) {
            status = map_global(DIRECT_MAP_BASE + first->start, first->start, end - first->start,
                                permissions, source);
        }
    }
    return status;
}

// Makes the top-level entries, one each, of the areas that are still empty: they stay for ever.
static enum status reserve_areas(const struct page_source *source)
{
    static const uint64_t areas[] = {STACK_AREA_BASE, DEVICE_AREA_BASE, CPU_AREA_BASE};
    enum status status = STATUS_OK;
    for (unsigned i = 0; status == STATUS_OK && i < ARRAY_COUNT(areas); i++) {
        status = page_table_reserve(&space, areas[i] >> 39 & 511, source);
    }
    return status;
}

enum status kernel_space_build(const struct boot_information *boot,
                               const struct page_source *source)
{
    const struct cpu_features *features = cpu_features();
    enum status status = page_table_create(
        &space, PAGE_FORMAT_HOST, features->huge_pages ? PAGE_LEVEL_1G : PAGE_LEVEL_2M,
        DIRECT_MAP_BASE, 1ull << features->physical_bits, source);
    if (status == STATUS_OK) {
        status = map_image(source);
    }
    if (status == STATUS_OK) {
        status = map_direct(boot, source);
    }
    return status == STATUS_OK ? reserve_areas(source) : status;
}

static enum status map_new_page(uint64_t address, const struct page_source *source)
{
    hpa_t page;
    enum status status = source->take(source->context, &page);
    return status == STATUS_OK
               ? map_global(address, page.value, PAGE_SIZE, PAGE_READ | PAGE_WRITE, source)
               : status;
}

enum status kernel_space_map_cpu(uint32_t id, const struct page_source *source)
{
    uint64_t base = CPU_AREA_BASE + id * CPU_SLOT_SIZE;
    enum status status = map_new_page(base, source);
    for (uint64_t at = 0; status == STATUS_OK && at < sizeof(struct cpu); at += PAGE_SIZE) {
        status = map_new_page(base + CPU_SLOT_STRUCT + at, source);
    }
    for (uint32_t stack = 0; status == STATUS_OK && stack < IST_COUNT; stack++) {
        uint64_t address = stack_slot_address(id * STACK_SLOTS_PER_CPU + stack);
        for (unsigned i = 0; status == STATUS_OK && i < STACK_PAGES; i++) {
            status = map_new_page(address + i * PAGE_SIZE, source);
        }
    }
    return status;
}
