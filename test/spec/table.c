// SPDX-License-Identifier: MIT
// Page tables as sorted leaves (table.h).
#include "test/spec/table.h"
#include <string.h>

#define SIZE_4K       4096ull
#define SIZE_2M       (1ull << 21)
#define SIZE_1G       (1ull << 30)
#define TOP_SHIFT     39u
#define CANONICAL_END 0x0000800000000000ull // of the lower half
#define UPPER_HALF    0xffff800000000000ull

void spec_table_init(struct spec_table *table, enum spec_format format, uint64_t largest,
                     uint64_t physical_limit)
{
    *table =
        (struct spec_table){.format = format, .largest = largest, .physical_limit = physical_limit};
}

static uint32_t top_index(uint64_t address)
{
    return (uint32_t)(address >> TOP_SHIFT & 511);
}

// How many spans of 1 << `shift` bytes hold a leaf that is smaller.
static uint32_t spans(const struct spec_table *now, uint32_t shift)
{
    uint64_t span = 1ull << shift;
    uint32_t count = 0;
    uint64_t last = UINT64_MAX;

    for (uint32_t i = 0; i < now->count; i++) {
        const struct spec_leaf *leaf = &now->leaves[i];

        if (leaf->size < span && leaf->address >> shift != last) {
            last = leaf->address >> shift;
            count++;
        }
    }
    return count;
}

static uint32_t top_tables(const struct spec_table *now)
{
    bool there[512];
    uint32_t count = 0;

    memcpy(there, now->kept, sizeof(there));
    for (uint32_t i = 0; i < now->count; i++) {
        there[top_index(now->leaves[i].address)] = true;
    }
    for (uint32_t i = 0; i < 512; i++) {
        count += there[i];
    }
    return count;
}

uint32_t table_pages_spec(const struct spec_table *now)
{
    return 1 + top_tables(now) + spans(now, 30) + spans(now, 21);
}

static void begin(const struct spec_table *now, struct spec_table *next)
{
    if (next != now) {
        *next = *now;
    }
}

void table_reserve_spec(const struct spec_table *now, uint32_t index, struct spec_table *next)
{
    begin(now, next);
    next->kept[index] = true;
}

static bool in_space(const struct spec_table *now, uint64_t address, uint64_t size)
{
    if (size == 0 || (address | size) % SIZE_4K != 0) {
        return false;
    }
    uint64_t last = address + (size - 1);
    if (last < address) {
        return false;
    }
    if (now->format == SPEC_FORMAT_EPT) {
        return last >> 48 == 0;
    }
    return last < CANONICAL_END || address >= UPPER_HALF;
}

// The first leaf that ends after `address`; `count` when there is none.
static uint32_t first_after(const struct spec_table *now, uint64_t address)
{
    uint32_t low = 0;
    uint32_t high = now->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (now->leaves[middle].address + (now->leaves[middle].size - 1) >= address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static uint64_t leaf_size(const struct spec_table *now, uint64_t address, uint64_t physical,
                          uint64_t left)
{
    static const uint64_t sizes[] = {SIZE_1G, SIZE_2M};

    for (uint32_t i = 0; i < 2; i++) {
        if (sizes[i] <= now->largest && (address | physical) % sizes[i] == 0 && left >= sizes[i]) {
            return sizes[i];
        }
    }
    return SIZE_4K;
}

uint64_t table_leaves_spec(const struct spec_table *now, uint64_t address, uint64_t physical,
                           uint64_t size)
{
    uint64_t count = 0;

    for (uint64_t done = 0; done < size && count <= SPEC_LEAVES; count++) {
        done += leaf_size(now, address + done, physical + done, size - done);
    }
    return count;
}

static enum spec_rule map_check(const struct spec_table *now, uint64_t address, uint64_t physical,
                                uint64_t size, uint32_t permissions, uint32_t type)
{
    uint32_t allowed = SPEC_READ | SPEC_WRITE | SPEC_EXECUTE |
                       (now->format == SPEC_FORMAT_HOST ? SPEC_USER | SPEC_GLOBAL : 0u);

    if (!in_space(now, address, size)) {
        return TABLE_RANGE;
    }
    if ((permissions & SPEC_READ) == 0 || (permissions & ~allowed) != 0) {
        return TABLE_PERMISSION;
    }
    if (type > 6 || type == 2 || type == 3) {
        return TABLE_TYPE;
    }
    if (now->format == SPEC_FORMAT_HOST && (type == 1 || type == 5)) {
        return TABLE_TYPE_HOST;
    }
    if (physical % SIZE_4K != 0 || physical > now->physical_limit ||
        size > now->physical_limit - physical) {
        return TABLE_PHYSICAL;
    }
    uint32_t at = first_after(now, address);
    bool busy = at < now->count && now->leaves[at].address <= address + (size - 1);
    return busy ? TABLE_BUSY : SPEC_ALLOWED;
}

static void add_leaves(struct spec_table *table, uint64_t address, struct spec_leaf leaf,
                       uint64_t size)
{
    uint32_t at = first_after(table, address);
    uint32_t behind = table->count - at;
    uint64_t count = table_leaves_spec(table, address, leaf.physical, size);

    memmove(&table->leaves[at + count], &table->leaves[at], behind * sizeof(leaf));
    table->count += (uint32_t)count;
    for (uint64_t done = 0; done < size; done += table->leaves[at++].size) {
        struct spec_leaf *next = &table->leaves[at];

        *next = leaf;
        next->address = address + done;
        next->physical = leaf.physical + done;
        next->size = leaf_size(table, next->address, next->physical, size - done);
    }
}

static void remove_leaves(struct spec_table *table, uint64_t address, uint64_t size)
{
    uint32_t from = first_after(table, address);
    uint32_t to = from;

    while (to < table->count && table->leaves[to].address - address < size) {
        to++;
    }
    memmove(&table->leaves[from], &table->leaves[to],
            (table->count - to) * sizeof(table->leaves[0]));
    table->count -= to - from;
}

enum spec_rule table_map_spec(const struct spec_table *now, uint64_t address, uint64_t physical,
                              uint64_t size, uint32_t permissions, uint32_t type, uint32_t pages,
                              struct spec_table *next)
{
    const struct spec_leaf leaf = {address, 0, physical, permissions, type};
    enum spec_rule rule = map_check(now, address, physical, size, permissions, type);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    uint32_t before = table_pages_spec(now);
    begin(now, next);
    add_leaves(next, address, leaf, size);
    if (table_pages_spec(next) - before > pages) {
        remove_leaves(next, address, size); // what was free before: *next is as it was
        return TABLE_TABLES;
    }
    return SPEC_ALLOWED;
}

// True when a leaf begins before `boundary` and goes on after it.
static bool cut_at(const struct spec_table *now, uint64_t boundary)
{
    uint32_t at = first_after(now, boundary);

    return at < now->count && now->leaves[at].address < boundary;
}

enum spec_rule table_unmap_spec(const struct spec_table *now, uint64_t address, uint64_t size,
                                struct spec_table *next)
{
    if (!in_space(now, address, size)) {
        return UNMAP_RANGE;
    }
    if (cut_at(now, address) || (address + size != 0 && cut_at(now, address + size))) {
        return UNMAP_CUT;
    }
    begin(now, next);
    remove_leaves(next, address, size);
    return SPEC_ALLOWED;
}

enum spec_rule table_next_spec(const struct spec_table *now, uint64_t address, uint64_t limit,
                               struct spec_leaf *leaf)
{
    uint32_t at = first_after(now, address);

    if (address >= limit || at == now->count || now->leaves[at].address >= limit) {
        return NEXT_MAPPED;
    }
    *leaf = now->leaves[at];
    return SPEC_ALLOWED;
}

enum spec_rule table_translate_spec(const struct spec_table *now, uint64_t address,
                                    struct spec_leaf *leaf)
{
    uint32_t at = first_after(now, address);

    if (at == now->count || now->leaves[at].address > address) {
        return TRANSLATE_MAPPED;
    }
    *leaf = now->leaves[at];
    return SPEC_ALLOWED;
}
