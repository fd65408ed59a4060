// SPDX-License-Identifier: MIT
// Process address spaces (address_space.h): regions over arch's page tables, paid for by the
// process's container. Guarded by the lock in each address space.
#include "kernel/memory/address_space.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "kernel/core/assert.h"
#include "kernel/memory/memory.h"

#define DROP_BATCH 64u

void (*address_space_shootdown)(struct address_space *space, uint64_t start, uint64_t bytes);

static uint32_t page_permissions(uint32_t permission)
{
    return PAGE_USER | PAGE_READ | (permission & USER_WRITE ? PAGE_WRITE : 0) |
           (permission & USER_EXECUTE ? PAGE_EXECUTE : 0);
}

enum status address_space_init(struct address_space *space, uint32_t container)
{
    struct page_source source = memory_page_source(container);

    *space = (struct address_space){.container = container};
    space->regions = memory_allocate_object(container);
    if (!space->regions) {
        return STATUS_QUOTA;
    }
    enum status status =
        page_table_create(&space->table, PAGE_FORMAT_HOST, PAGE_LEVEL_2M, DIRECT_MAP_BASE,
                          1ull << cpu_features()->physical_bits, &source);
    if (status != STATUS_OK) {
        memory_free_object(container, space->regions);
        return status;
    }
    page_table_share_upper(&space->table, kernel_space());
    return STATUS_OK;
}

// -- taking mappings away -----------------------------------------------------------------------

// Table pages wait here, chained through their first word, until no CPU can walk them any more.
struct deferred_tables {
    uint64_t first; // host-physical address of a page, 0: none. Bit 0 clear: reads as "not present"
};

static void deferred_give(void *context, hpa_t page)
{
    struct deferred_tables *deferred = context;

    *(uint64_t *)memory_pointer(page) = deferred->first;
    deferred->first = page.value;
}

static void deferred_free(const struct address_space *space, struct deferred_tables *deferred)
{
    while (deferred->first) {
        hpa_t page = hpa(deferred->first);

        deferred->first = *(uint64_t *)memory_pointer(page);
        memory_free(space->container, page);
    }
}

static enum status deferred_take(void *context, hpa_t *page)
{
    (void)context;
    (void)page;
    return STATUS_NO_MEMORY; // only whole leaves are removed, so nothing is ever split
}

static void invalidate(struct address_space *space, uint64_t start, uint64_t bytes)
{
    if (bytes == PAGE_SIZE) {
        tlb_invalidate_page(start);
    } else {
        tlb_invalidate_user();
    }
    if (address_space_shootdown) {
        address_space_shootdown(space, start, bytes);
    }
}

// Unmaps up to DROP_BATCH leaves from `start` on and frees their frames if `owned`. Returns where
// to go on: `end` when all is done.
static uint64_t drop_batch(struct address_space *space, uint64_t start, uint64_t end, bool owned)
{
    struct page_mapping leaves[DROP_BATCH];
    struct deferred_tables deferred = {0};
    struct page_source source = {deferred_take, deferred_give, &deferred};
    uint64_t at = start;
    uint32_t count = 0;

    while (count < DROP_BATCH &&
           page_table_next(&space->table, at, end, &leaves[count]) == STATUS_OK) {
        at = leaves[count].address + leaves[count].size;
        count++;
    }
    if (count < DROP_BATCH) {
        at = end;
    }
    ASSERT(page_table_unmap(&space->table, start, at - start, &source) == STATUS_OK);
    invalidate(space, start, at - start);
    deferred_free(space, &deferred);
    for (uint32_t i = 0; owned && i < count; i++) {
        if (leaves[i].size == LARGE_PAGE_SIZE) {
            memory_free_large(space->container, leaves[i].physical);
        } else {
            memory_free(space->container, leaves[i].physical);
        }
    }
    return at;
}

static void drop_range(struct address_space *space, uint64_t start, uint64_t bytes, bool owned)
{
    uint64_t end = start + bytes;

    while (start < end) {
        start = drop_batch(space, start, end, owned);
        interrupt_window();
    }
}

void address_space_destroy(struct address_space *space)
{
    struct page_source source = memory_page_source(space->container);

    for (uint64_t i = 0; i < space->regions->count; i++) {
        const struct region *region = &space->regions->entries[i];

        ASSERT(region->pins == 0);
        drop_range(space, region->start, region->bytes, region->kind != REGION_BORROWED);
    }
    page_table_destroy(&space->table, &source);
    memory_free_object(space->container, space->regions);
}

// -- adding mappings ----------------------------------------------------------------------------

// Maps one new zeroed frame at `address`: a 2 MiB one if `large`.
static enum status map_new(struct address_space *space, uint64_t address, bool large,
                           uint32_t permission)
{
    struct page_source source = memory_page_source(space->container);
    uint64_t size = large ? LARGE_PAGE_SIZE : PAGE_SIZE;
    hpa_t frame;
    enum status status = large ? memory_allocate_large(space->container, PAGE_ZEROED, &frame)
                               : memory_allocate(space->container, PAGE_ZEROED, &frame);

    if (status != STATUS_OK) {
        return status;
    }
    status = page_table_map(&space->table, address, frame, size, page_permissions(permission),
                            MEMORY_WRITE_BACK, &source);
    if (status != STATUS_OK && large) {
        memory_free_large(space->container, frame);
    } else if (status != STATUS_OK) {
        memory_free(space->container, frame);
    }
    return status;
}

// Fills [start, start + bytes) with new zeroed frames, 2 MiB ones where they fit and `large` says
// so. On failure nothing stays mapped.
static enum status fill_range(struct address_space *space, uint64_t start, uint64_t bytes,
                              bool large, uint32_t permission)
{
    uint64_t done = 0;

    while (done < bytes) {
        bool whole =
            large && is_aligned(start + done, LARGE_PAGE_SIZE) && bytes - done >= LARGE_PAGE_SIZE;
        enum status status = map_new(space, start + done, whole, permission);

        if (status != STATUS_OK) {
            drop_range(space, start, done, true);
            return status;
        }
        done += whole ? LARGE_PAGE_SIZE : PAGE_SIZE;
        if (is_aligned(done, LARGE_PAGE_SIZE)) {
            interrupt_window();
        }
    }
    return STATUS_OK;
}

static enum status add_filled(struct address_space *space, const struct region *region, bool large)
{
    if (region->start == 0 || space->regions->count == REGION_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    enum status status = fill_range(space, region->start, region->bytes, large, region->permission);

    if (status == STATUS_OK) {
        ASSERT(region_insert(space->regions, *region));
    }
    return status;
}

enum status address_space_allocate(struct address_space *space, uint64_t bytes, uint32_t permission,
                                   uint64_t *address)
{
    if (bytes == 0 || bytes > USER_DYNAMIC_END - USER_DYNAMIC_BASE) {
        return STATUS_INVALID;
    }
    bytes = align_up(bytes, PAGE_SIZE);
    bool large = bytes >= LARGE_PAGE_SIZE;

    ticket_lock_acquire(&space->lock);
    struct region region = {
        .start = region_find_gap(space->regions, USER_DYNAMIC_BASE, USER_DYNAMIC_END, bytes,
                                 large ? LARGE_PAGE_SIZE : PAGE_SIZE),
        .bytes = bytes,
        .kind = REGION_MEMORY,
        .permission = (uint16_t)permission,
    };
    enum status status = add_filled(space, &region, large);
    ticket_lock_release(&space->lock);
    if (status == STATUS_OK) {
        *address = region.start;
    }
    return status;
}

enum status address_space_allocate_at(struct address_space *space, uint64_t address, uint64_t bytes,
                                      uint32_t permission)
{
    struct region region = {.start = address,
                            .bytes = bytes,
                            .kind = REGION_PROGRAM,
                            .permission = (uint16_t)permission};

    if (address == 0 || bytes == 0 || !is_aligned(address | bytes, PAGE_SIZE) ||
        !user_range(address, bytes)) {
        return STATUS_INVALID;
    }
    ticket_lock_acquire(&space->lock);
    enum status status = STATUS_BUSY;
    if (region_is_free(space->regions, address, bytes)) {
        status = add_filled(space, &region, false);
    }
    ticket_lock_release(&space->lock);
    return status;
}

enum status address_space_map_borrowed(struct address_space *space, hpa_t frames, uint64_t bytes,
                                       uint32_t permission, uint64_t *address)
{
    struct page_source source = memory_page_source(space->container);

    if (bytes == 0 || !is_aligned(frames.value | bytes, PAGE_SIZE)) {
        return STATUS_INVALID;
    }
    ticket_lock_acquire(&space->lock);
    enum status status = STATUS_NO_MEMORY;
    uint64_t start =
        region_find_gap(space->regions, USER_DYNAMIC_BASE, USER_DYNAMIC_END, bytes, PAGE_SIZE);
    if (start && space->regions->count < REGION_MAXIMUM) {
        status = page_table_map(&space->table, start, frames, bytes, page_permissions(permission),
                                MEMORY_WRITE_BACK, &source);
    }
    if (status == STATUS_OK) {
        struct region region = {start, bytes, REGION_BORROWED, (uint16_t)permission, 0};
        ASSERT(region_insert(space->regions, region));
        *address = start;
    }
    ticket_lock_release(&space->lock);
    return status;
}

// -- changing regions ---------------------------------------------------------------------------

static enum status remove_region(struct address_space *space, struct region *region,
                                 enum region_kind kind)
{
    if (region->kind != kind) {
        return STATUS_DENIED;
    }
    if (region->pins) {
        return STATUS_BUSY;
    }
    drop_range(space, region->start, region->bytes, kind != REGION_BORROWED);
    region_remove(space->regions, region);
    return STATUS_OK;
}

enum status address_space_free(struct address_space *space, uint64_t address, uint64_t bytes)
{
    enum status status = STATUS_NOT_FOUND;

    ticket_lock_acquire(&space->lock);
    struct region *region = region_find(space->regions, address);
    if (region && region->start == address && bytes <= region->bytes &&
        region->bytes - bytes < PAGE_SIZE) {
        status = remove_region(space, region, REGION_MEMORY);
    }
    ticket_lock_release(&space->lock);
    return status;
}

enum status address_space_unmap_borrowed(struct address_space *space, uint64_t address)
{
    enum status status = STATUS_NOT_FOUND;

    ticket_lock_acquire(&space->lock);
    struct region *region = region_find(space->regions, address);
    if (region && region->start == address) {
        status = remove_region(space, region, REGION_BORROWED);
    }
    ticket_lock_release(&space->lock);
    return status;
}

enum status address_space_pin(struct address_space *space, uint64_t address, uint64_t bytes,
                              bool writable)
{
    enum status status = STATUS_OK;

    ticket_lock_acquire(&space->lock);
    struct region *region = region_find(space->regions, address);
    if (!region || bytes > region->bytes - (address - region->start)) {
        status = STATUS_FAULT;
    } else if (region->kind == REGION_PROGRAM || (writable && !(region->permission & USER_WRITE)) ||
               (writable && region->kind == REGION_BORROWED)) {
        status = STATUS_DENIED;
    } else if (region->pins == UINT32_MAX) {
        status = STATUS_NO_MEMORY;
    } else {
        region->pins++;
    }
    ticket_lock_release(&space->lock);
    return status;
}

void address_space_unpin(struct address_space *space, uint64_t address)
{
    ticket_lock_acquire(&space->lock);
    struct region *region = region_find(space->regions, address);
    ASSERT(region && region->pins > 0);
    region->pins--;
    ticket_lock_release(&space->lock);
}

// -- looking up ---------------------------------------------------------------------------------

enum status address_space_translate_locked(struct address_space *space, uint64_t address,
                                           struct user_mapping *mapping)
{
    struct page_mapping leaf;

    if (!user_range(address, 1) ||
        page_table_translate(&space->table, address, &leaf) != STATUS_OK ||
        !(leaf.permissions & PAGE_USER)) {
        return STATUS_FAULT;
    }
    *mapping = (struct user_mapping){
        .address = hpa(leaf.physical.value + (address - leaf.address)),
        .page_size = leaf.size,
        .writable = (leaf.permissions & PAGE_WRITE) != 0,
        .executable = (leaf.permissions & PAGE_EXECUTE) != 0,
    };
    return STATUS_OK;
}

enum status address_space_translate(struct address_space *space, uint64_t address,
                                    struct user_mapping *mapping)
{
    ticket_lock_acquire(&space->lock);
    enum status status = address_space_translate_locked(space, address, mapping);
    ticket_lock_release(&space->lock);
    return status;
}
