// SPDX-License-Identifier: MIT
// Process address spaces (address_space.h): regions over arch's page tables, paid for by the
// process's container. Guarded by the lock in each address space.
#include "kernel/memory/address_space.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "kernel/core/assert.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/space_steps.h"

#define DROP_BATCH 64u

static uint32_t page_permissions(uint32_t permission)
{
    return PAGE_USER | PAGE_READ | (permission & USER_WRITE ? PAGE_WRITE : 0) |
           (permission & USER_EXECUTE ? PAGE_EXECUTE : 0);
}

enum status address_space_init(struct address_space *space, uint32_t container)
{
    struct page_source source = memory_page_source(container);

    *space =
        (struct address_space){.container = container, .lock = LOCK_INITIAL(LOCK_ADDRESS_SPACE)};
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
        memory_free(space->container, page, PAGE_SIZE);
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
    space->recent[false] = space->recent[true] = (struct recent_page){0};
    if (bytes == PAGE_SIZE) {
        tlb_invalidate_page(start);
    } else {
        tlb_invalidate_user();
    }
    shootdown(&space->cpus);
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
        memory_free(space->container, leaves[i].physical, leaves[i].size);
    }
    return at;
}

// Trusted: it changes neither the regions nor the lock. What it does to the tables is left out.
/*@
  requires space_held(space);
  terminates \true;
  assigns space->recent[0 .. 1];
  ensures space_held(space) && space_same_regions{Pre, Post}(space);
*/
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

    ASSERT(atomic_load_explicit(&space->cpus.bits, memory_order_acquire) == 0);
    for (uint64_t i = 0; i < space->regions->count; i++) {
        const struct region *region = &space->regions->entries[i];

        ASSERT(region->pins == 0);
        drop_range(space, region->start, region->bytes, region->kind != REGION_BORROWED);
    }
    page_table_destroy(&space->table, &source);
    memory_free_object(space->container, space->regions);
}

// -- adding mappings ----------------------------------------------------------------------------

// Maps one new zeroed frame of `size` bytes at `address`.
static enum status map_new(struct address_space *space, uint64_t address, uint64_t size,
                           uint32_t permission)
{
    struct page_source source = memory_page_source(space->container);
    hpa_t frame;
    enum status status = memory_allocate(space->container, size, PAGE_ZEROED, &frame);

    if (status != STATUS_OK) {
        return status;
    }
    status = page_table_map(&space->table, address, frame, size, page_permissions(permission),
                            MEMORY_WRITE_BACK, &source);
    if (status != STATUS_OK) {
        memory_free(space->container, frame, size);
    }
    return status;
}

// Fills the region with new zeroed frames, 2 MiB ones where they fit. On failure nothing stays
// mapped.
static enum status fill(struct address_space *space, const struct region *region)
{
    uint64_t end = region->start + region->bytes;
    uint64_t at = region->start;

    while (at < end) {
        bool large = is_aligned(at, LARGE_PAGE_SIZE) && end - at >= LARGE_PAGE_SIZE;
        uint64_t size = large ? LARGE_PAGE_SIZE : PAGE_SIZE;
        enum status status = map_new(space, at, size, region->permission);

        if (status != STATUS_OK) {
            drop_range(space, region->start, at - region->start, true);
            return status;
        }
        at += size;
        if (is_aligned(at, LARGE_PAGE_SIZE)) {
            interrupt_window();
        }
    }
    return STATUS_OK;
}

// Maps a region at its start: to what `frames` starts if it is borrowed, else to new frames.
static enum status add_region(struct address_space *space, const struct region *region,
                              hpa_t frames)
{
    struct page_source source = memory_page_source(space->container);
    enum status status;

    if (space->regions->count == REGION_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    if (region->kind == REGION_BORROWED) {
        status = page_table_map(&space->table, region->start, frames, region->bytes,
                                page_permissions(region->permission), MEMORY_WRITE_BACK, &source);
    } else {
        status = fill(space, region);
    }
    if (status == STATUS_OK) {
        ASSERT(region_insert(space->regions, *region));
    }
    return status;
}

// The same at a multiple of `alignment` that the kernel chooses.
static enum status add_anywhere(struct address_space *space, struct region region,
                                uint64_t alignment, hpa_t frames, uint64_t *address)
{
    enum status status = STATUS_NO_MEMORY;

    space_lock(space);
    region.start = region_find_gap(space->regions, USER_DYNAMIC_BASE, USER_DYNAMIC_END,
                                   region.bytes, alignment);
    if (region.start) {
        status = add_region(space, &region, frames);
    }
    space_unlock(space);
    if (status == STATUS_OK) {
        *address = region.start;
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
    struct region region = {
        .bytes = bytes, .kind = REGION_MEMORY, .permission = (uint16_t)permission};

    return add_anywhere(space, region, bytes >= LARGE_PAGE_SIZE ? LARGE_PAGE_SIZE : PAGE_SIZE,
                        hpa(0), address);
}

enum status address_space_allocate_at(struct address_space *space, uint64_t address, uint64_t bytes,
                                      uint32_t permission)
{
    struct region region = {address, bytes, REGION_PROGRAM, (uint16_t)permission, 0};
    enum status status = STATUS_BUSY;

    if (address == 0 || bytes == 0 || !is_aligned(address | bytes, PAGE_SIZE) ||
        !user_range(address, bytes)) {
        return STATUS_INVALID;
    }
    space_lock(space);
    if (region_is_free(space->regions, address, bytes)) {
        status = add_region(space, &region, hpa(0));
    }
    space_unlock(space);
    return status;
}

enum status address_space_map_borrowed(struct address_space *space, hpa_t frames, uint64_t bytes,
                                       uint32_t permission, uint64_t *address)
{
    struct region region = {
        .bytes = bytes, .kind = REGION_BORROWED, .permission = (uint16_t)permission};

    if (bytes == 0 || !is_aligned(frames.value | bytes, PAGE_SIZE)) {
        return STATUS_INVALID;
    }
    return add_anywhere(space, region, PAGE_SIZE, frames, address);
}

// -- changing regions ---------------------------------------------------------------------------

enum status address_space_free(struct address_space *space, uint64_t address, uint64_t bytes,
                               enum region_kind kind)
{
    enum status status = STATUS_OK;

    bytes = align_up(bytes, PAGE_SIZE);
    /*@ assert size: \at(bytes, Pre) + PAGE_SIZE <= UINT64_MAX ==>
          \forall integer n; rounded_up(n, \at(bytes, Pre)) <==> n == bytes; */
    space_lock(space);
    /*@ assert same: \forall integer i; space_is{Pre}(space, i, address, \at(bytes, Pre)) <==>
          space_is(space, i, address, \at(bytes, Pre)); */
    struct region *region = region_find(space->regions, address);
    /*@ assert found: \forall integer i; space_is(space, i, address, \at(bytes, Pre)) ==>
          space_holds(space, i, address) && region == &space->regions->entries[i]; */
    if (!region || region->start != address || region->bytes != bytes) {
        status = STATUS_NOT_FOUND;
    } else if (region->kind != kind) {
        status = STATUS_DENIED;
    } else if (region->pins) {
        status = STATUS_BUSY;
    } else {
        drop_range(space, address, bytes, kind != REGION_BORROWED);
        //@ assert still: space_same_regions{Pre, Here}(space);
        //@ ghost Before: ;
        space_remove(space, region);
        /*@ assert below: \forall integer i; region == &space->regions->entries[i] ==>
              regions_same{Before, Here}(space->regions, 0, i) &&
              regions_same{Pre, Here}(space->regions, 0, i); */
        /*@ assert above: \forall integer i; region == &space->regions->entries[i] ==>
              regions_down{Before, Here}(space->regions, i, space->regions->count) &&
              regions_down{Pre, Here}(space->regions, i, space->regions->count); */
        /*@ assert went: \forall integer i; region == &space->regions->entries[i] ==>
              region_went{Pre, Here}(space->regions, i); */
    }
    space_unlock(space);
    return status;
}

enum status address_space_pin(struct address_space *space, uint64_t address, uint64_t bytes,
                              bool writable)
{
    enum status status = STATUS_OK;

    space_lock(space);
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
    space_unlock(space);
    return status;
}

void address_space_unpin(struct address_space *space, uint64_t address)
{
    space_lock(space);
    struct region *region = region_find(space->regions, address);
    ASSERT(region && region->pins > 0);
    region->pins--;
    space_unlock(space);
}

// -- looking up ---------------------------------------------------------------------------------

/*@
  requires \valid_read(space) && user_table(&space->table);
  requires \valid(mapping) && \separated(mapping, space);
  terminates \true;
  assigns *mapping;
  TRANSLATION_TOLD
*/
enum status address_space_translate_locked(struct address_space *space, uint64_t address,
                                           struct user_mapping *mapping)
{
    struct page_mapping leaf;

    if (!user_range(address, 1) || user_translate(&space->table, address, &leaf) != STATUS_OK ||
        !(leaf.permissions & PAGE_USER)) {
        return STATUS_FAULT;
    }
    /*@ assert frame: leaf.physical.value + (address - leaf.address) == frame_address(
          entry_at{Pre}(&space->table, address), level_at{Pre}(&space->table, address), address); */
    mapping->address.value = leaf.physical.value + (address - leaf.address);
    mapping->page_size = leaf.size;
    mapping->writable = (leaf.permissions & PAGE_WRITE) != 0;
    mapping->executable = (leaf.permissions & PAGE_EXECUTE) != 0;
    return STATUS_OK;
}

/*@
  requires \valid(space) && lock_free(&space->lock);
  requires user_table(&space->table) && space_apart(space);
  requires \valid(mapping) && \separated(mapping, space);
  terminates \true;
  assigns *mapping, space->lock.last, space->lock.turn;
  ensures usable: lock_free(&space->lock);
  TRANSLATION_TOLD
*/
enum status address_space_translate(struct address_space *space, uint64_t address,
                                    struct user_mapping *mapping)
{
    lock_acquire(&space->lock);
    //@ assert same: tables_same{Pre, Here}(&space->table);
    enum status status = address_space_translate_locked(space, address, mapping);
    lock_release(&space->lock);
    return status;
}
