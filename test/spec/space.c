// SPDX-License-Identifier: MIT
// Address spaces (space.h).
#include "test/spec/space.h"
#include <string.h>

#define PAGE        4096ull
#define BLOCK       (1ull << 21)
#define BLOCK_PAGES (BLOCK / PAGE)
#define WRITE_BACK  6u
#define NEW_FRAMES  UINT64_MAX // in place of an address: the kernel chooses them

// -- looking -------------------------------------------------------------------------------------

// The region that holds `address`; `count` when none does.
static uint32_t region_at(const struct spec_space *now, uint64_t address)
{
    uint32_t i = 0;

    while (i < now->count && (address < now->regions[i].start ||
                              address - now->regions[i].start >= now->regions[i].bytes)) {
        i++;
    }
    return i;
}

// True when [start, start + bytes) and `distance` on both sides hold nothing of any region. No sum
// here wraps: all is the user's, or has been refused.
static bool is_free(const struct spec_space *now, uint64_t start, uint64_t bytes, uint64_t distance)
{
    for (uint32_t i = 0; i < now->count; i++) {
        const struct spec_region *region = &now->regions[i];

        if (start < region->start + region->bytes + distance &&
            region->start < start + bytes + distance) {
            return false;
        }
    }
    return true;
}

static uint64_t up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) / alignment * alignment;
}

// The lowest place in the dynamic area with a page of distance to all regions: its beginning, or
// behind one of them. 0: there is none.
static uint64_t find_gap(const struct spec_space *now, uint64_t bytes, uint64_t alignment)
{
    uint64_t lowest = 0;

    for (uint32_t i = 0; i <= now->count; i++) {
        uint64_t start = SPEC_DYNAMIC_BASE;

        if (i < now->count) {
            start = up(now->regions[i].start + now->regions[i].bytes + PAGE, alignment);
        }
        if (start >= SPEC_DYNAMIC_BASE && start <= SPEC_DYNAMIC_END &&
            bytes <= SPEC_DYNAMIC_END - start && is_free(now, start, bytes, PAGE) &&
            (lowest == 0 || start < lowest)) {
            lowest = start;
        }
    }
    return lowest;
}

static uint32_t page_permissions(uint32_t permission)
{
    return SPEC_READ | SPEC_USER | (permission & SPEC_USER_WRITE ? SPEC_WRITE : 0) |
           (permission & SPEC_USER_EXECUTE ? SPEC_EXECUTE : 0);
}

// -- the invariant -------------------------------------------------------------------------------

// The leaves from *at on map the region, and no more; *at: behind them.
static bool is_mapped(const struct spec_space *space, const struct spec_region *region,
                      uint32_t *at)
{
    uint64_t mapped = 0;

    while (mapped < region->bytes && *at < space->table.count) {
        const struct spec_leaf *leaf = &space->table.leaves[*at];

        if (leaf->address != region->start + mapped ||
            leaf->permissions != page_permissions(region->permission)) {
            return false;
        }
        mapped += leaf->size;
        ++*at;
    }
    return mapped == region->bytes;
}

const char *spec_space_invariant(const struct spec_space *space)
{
    uint64_t frames = 0;
    uint64_t end = PAGE; // of the region before, or of the null page
    uint32_t leaf = 0;

    for (uint32_t i = 0; i < space->count; i++) {
        const struct spec_region *region = &space->regions[i];

        if (region->start < end || region->bytes == 0 ||
            region->start + region->bytes > SPEC_USER_END) {
            return "regions are sorted, apart from each other, and the user's";
        }
        if (!is_mapped(space, region, &leaf)) {
            return "a region is mapped throughout, with its permission";
        }
        end = region->start + region->bytes;
        frames += region->kind != SPEC_REGION_BORROWED ? region->bytes / PAGE : 0;
    }
    if (leaf != space->table.count) {
        return "nothing is mapped outside the regions";
    }
    return space->charged == 1 + table_pages_spec(&space->table) + frames
               ? NULL
               : "the charge is the list, the tables and the frames";
}

// -- adding --------------------------------------------------------------------------------------

static void begin(const struct spec_space *now, struct spec_space *next)
{
    if (next != now) {
        *next = *now;
    }
}

enum spec_rule space_init_spec(const struct spec_supply *supply, uint64_t physical_limit,
                               struct spec_space *next)
{
    if (supply->quota < 2) {
        return SPACE_INIT_QUOTA;
    }
    next->count = 0;
    next->charged = 2;
    spec_table_init(&next->table, SPEC_FORMAT_HOST, BLOCK, physical_limit);
    return SPEC_ALLOWED;
}

static void insert(struct spec_space *next, struct spec_region region)
{
    uint32_t at = 0;

    while (at < next->count && next->regions[at].start < region.start) {
        at++;
    }
    memmove(&next->regions[at + 1], &next->regions[at],
            (next->count - at) * sizeof(next->regions[0]));
    next->regions[at] = region;
    next->count++;
}

// Maps [start, start + bytes) of the region if `quota` pays for the tables and, where `frames` is
// NEW_FRAMES, for the frames. *pages: what it takes.
static enum spec_rule map(struct spec_space *next, const struct spec_region *region, uint64_t bytes,
                          uint64_t frames, uint64_t quota, uint64_t *pages)
{
    bool own = frames == NEW_FRAMES;
    // Leaves are as large as the virtual alignment lets them be where the kernel chooses frames.
    uint64_t physical = own ? region->start % BLOCK : frames;
    uint64_t own_pages = own ? bytes / PAGE : 0;

    *pages = 0;
    if (bytes == 0) {
        return SPEC_ALLOWED;
    }
    if (own_pages > quota) {
        return SPACE_QUOTA;
    }
    uint64_t before = table_pages_spec(&next->table);
    enum spec_rule rule =
        table_map_spec(&next->table, region->start, physical, bytes,
                       page_permissions(region->permission), WRITE_BACK, UINT32_MAX, &next->table);
    if (rule != SPEC_ALLOWED) {
        return rule == TABLE_PHYSICAL ? SPACE_PHYSICAL : rule;
    }
    *pages = own_pages + table_pages_spec(&next->table) - before;
    if (*pages <= quota) {
        return SPEC_ALLOWED;
    }
    (void)table_unmap_spec(&next->table, region->start, bytes, &next->table);
    return SPACE_QUOTA;
}

// How many of the region's bytes can be filled before a block of 2 MiB is missing.
static uint64_t filled(const struct spec_region *region, uint64_t blocks)
{
    uint64_t first = up(region->start, BLOCK);
    uint64_t end = (region->start + region->bytes) / BLOCK * BLOCK;

    return first < end && (end - first) / BLOCK > blocks ? first + blocks * BLOCK - region->start
                                                         : region->bytes;
}

// Fills the region from its start on: each page is paid for before it is looked for.
static enum spec_rule fill(struct spec_space *next, const struct spec_region *region,
                           const struct spec_supply *supply, uint64_t *pages)
{
    uint64_t bytes = filled(region, supply->blocks);
    enum spec_rule rule = map(next, region, bytes, NEW_FRAMES, supply->quota, pages);

    if (rule != SPEC_ALLOWED || bytes == region->bytes) {
        return rule;
    }
    if (bytes > 0) {
        (void)table_unmap_spec(&next->table, region->start, bytes, &next->table);
    }
    return supply->quota - *pages < BLOCK_PAGES ? SPACE_QUOTA : SPACE_BLOCKS;
}

static enum spec_rule add(const struct spec_space *now, const struct spec_supply *supply,
                          const struct spec_region *region, uint64_t frames,
                          struct spec_space *next)
{
    uint64_t pages;

    if (now->count == SPEC_REGIONS) {
        return SPACE_ROOM;
    }
    begin(now, next);
    enum spec_rule rule = frames == NEW_FRAMES
                              ? fill(next, region, supply, &pages)
                              : map(next, region, region->bytes, frames, supply->quota, &pages);
    if (rule == SPEC_ALLOWED) {
        insert(next, *region);
        next->charged += pages;
    }
    return rule;
}

enum spec_rule space_allocate_spec(const struct spec_space *now, const struct spec_supply *supply,
                                   uint64_t bytes, uint32_t permission, struct spec_space *next,
                                   uint64_t *address)
{
    if (bytes == 0 || bytes > SPEC_DYNAMIC_END - SPEC_DYNAMIC_BASE) {
        return SPACE_SIZE;
    }
    struct spec_region region = {0, up(bytes, PAGE), SPEC_REGION_MEMORY, permission, 0};
    region.start = find_gap(now, region.bytes, region.bytes >= BLOCK ? BLOCK : PAGE);
    if (region.start == 0) {
        return SPACE_GAP;
    }
    enum spec_rule rule = add(now, supply, &region, NEW_FRAMES, next);
    if (rule == SPEC_ALLOWED) {
        *address = region.start;
    }
    return rule;
}

enum spec_rule space_allocate_at_spec(const struct spec_space *now,
                                      const struct spec_supply *supply, uint64_t address,
                                      uint64_t bytes, uint32_t permission, struct spec_space *next)
{
    const struct spec_region region = {address, bytes, SPEC_REGION_PROGRAM, permission, 0};

    if (address == 0 || bytes == 0 || (address | bytes) % PAGE != 0 || address > SPEC_USER_END ||
        bytes > SPEC_USER_END - address) {
        return SPACE_AT_RANGE;
    }
    return is_free(now, address, bytes, 0) ? add(now, supply, &region, NEW_FRAMES, next)
                                           : SPACE_AT_BUSY;
}

enum spec_rule space_map_borrowed_spec(const struct spec_space *now,
                                       const struct spec_supply *supply, uint64_t frames,
                                       uint64_t bytes, uint32_t permission, struct spec_space *next,
                                       uint64_t *address)
{
    struct spec_region region = {0, bytes, SPEC_REGION_BORROWED, permission, 0};

    if (bytes == 0 || (frames | bytes) % PAGE != 0) {
        return SPACE_BORROWED;
    }
    region.start = bytes <= SPEC_DYNAMIC_END ? find_gap(now, bytes, PAGE) : 0;
    if (region.start == 0) {
        return SPACE_GAP;
    }
    enum spec_rule rule = add(now, supply, &region, frames, next);
    if (rule == SPEC_ALLOWED) {
        *address = region.start;
    }
    return rule;
}

void space_frame_spec(struct spec_space *space, uint8_t *ram, uint64_t address, uint64_t frame)
{
    for (uint32_t i = 0; i < space->table.count; i++) {
        struct spec_leaf *leaf = &space->table.leaves[i];

        if (leaf->address == address) {
            leaf->physical = frame;
            memset(ram + frame, 0, leaf->size);
        }
    }
}

// -- taking away and pinning ---------------------------------------------------------------------

enum spec_rule space_destroy_spec(const struct spec_space *now, struct spec_space *next)
{
    for (uint32_t i = 0; i < now->count; i++) {
        if (now->regions[i].pins != 0) {
            return SPACE_DESTROY_PINS;
        }
    }
    next->count = 0;
    next->charged = 0;
    next->table.count = 0;
    return SPEC_ALLOWED;
}

enum spec_rule space_free_spec(const struct spec_space *now, uint64_t address, uint64_t bytes,
                               uint32_t kind, struct spec_space *next)
{
    uint32_t at = region_at(now, address);

    if (at == now->count || now->regions[at].start != address || bytes > now->regions[at].bytes ||
        up(bytes, PAGE) != now->regions[at].bytes) {
        return SPACE_FREE_REGION;
    }
    const struct spec_region region = now->regions[at];
    if (region.kind != kind) {
        return SPACE_FREE_KIND;
    }
    if (region.pins != 0) {
        return SPACE_FREE_PINS;
    }
    begin(now, next);
    uint64_t tables = table_pages_spec(&next->table);
    (void)table_unmap_spec(&next->table, address, region.bytes, &next->table);
    next->charged -= tables - table_pages_spec(&next->table);
    next->charged -= kind != SPEC_REGION_BORROWED ? region.bytes / PAGE : 0;
    next->count--;
    memmove(&next->regions[at], &next->regions[at + 1],
            (next->count - at) * sizeof(next->regions[0]));
    return SPEC_ALLOWED;
}

// A guest may not write what the program may not, nor what is somebody else's.
static bool may_be_pinned(const struct spec_region *region, bool writable)
{
    if (region->kind == SPEC_REGION_PROGRAM) {
        return false;
    }
    return !writable ||
           (region->kind == SPEC_REGION_MEMORY && (region->permission & SPEC_USER_WRITE) != 0);
}

enum spec_rule space_pin_spec(const struct spec_space *now, uint64_t address, uint64_t bytes,
                              bool writable, struct spec_space *next)
{
    uint32_t at = region_at(now, address);
    const struct spec_region *region = &now->regions[at];

    if (at == now->count || bytes > region->start + region->bytes - address) {
        return SPACE_PIN_REGION;
    }
    if (!may_be_pinned(region, writable)) {
        return SPACE_PIN_KIND;
    }
    if (region->pins == UINT32_MAX) {
        return SPACE_PIN_COUNT;
    }
    begin(now, next);
    next->regions[at].pins++;
    return SPEC_ALLOWED;
}

enum spec_rule space_unpin_spec(const struct spec_space *now, uint64_t address,
                                struct spec_space *next)
{
    uint32_t at = region_at(now, address);

    if (at == now->count || now->regions[at].pins == 0) {
        return SPACE_UNPIN;
    }
    begin(now, next);
    next->regions[at].pins--;
    return SPEC_ALLOWED;
}

// -- bytes ---------------------------------------------------------------------------------------

enum spec_rule space_translate_spec(const struct spec_space *now, uint64_t address,
                                    struct spec_leaf *leaf)
{
    return table_translate_spec(&now->table, address, leaf) == SPEC_ALLOWED ? SPEC_ALLOWED
                                                                            : SPACE_TRANSLATE;
}

enum spec_rule user_range_spec(const struct spec_space *now, uint64_t address, uint64_t size,
                               bool writable)
{
    if (address > SPEC_USER_END || size > SPEC_USER_END - address) {
        return COPY_USER;
    }
    for (uint64_t end = address + size; address < end;) {
        uint32_t at = region_at(now, address);

        if (at == now->count) {
            return COPY_MAPPED;
        }
        if (writable && (now->regions[at].permission & SPEC_USER_WRITE) == 0) {
            return COPY_WRITABLE;
        }
        address = now->regions[at].start + now->regions[at].bytes;
    }
    return SPEC_ALLOWED;
}

// Where a mapped address is in physical memory.
static uint64_t physical(const struct spec_space *now, uint64_t address)
{
    struct spec_leaf leaf = {0};

    (void)table_translate_spec(&now->table, address, &leaf);
    return leaf.physical + (address - leaf.address);
}

enum spec_rule copy_from_user_spec(const struct spec_space *now, const uint8_t *ram,
                                   uint64_t address, uint64_t size, uint8_t *bytes)
{
    enum spec_rule rule = user_range_spec(now, address, size, false);

    for (uint64_t i = 0; rule == SPEC_ALLOWED && i < size; i++) {
        bytes[i] = ram[physical(now, address + i)];
    }
    return rule;
}

enum spec_rule copy_to_user_spec(const struct spec_space *now, uint64_t address, uint64_t size,
                                 bool writable, const uint8_t *bytes, uint8_t *ram)
{
    enum spec_rule rule = user_range_spec(now, address, size, writable);

    for (uint64_t i = 0; rule == SPEC_ALLOWED && i < size; i++) {
        ram[physical(now, address + i)] = bytes[i];
    }
    return rule;
}
