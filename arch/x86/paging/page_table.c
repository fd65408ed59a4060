// SPDX-License-Identifier: MIT
// The four-level walker and mapper; see page_table.h for the contract. A change checks the range
// first; mapping then makes the tables it needs, and only when all are there writes the leaves.
// The caller's lock guards the table.
#include "arch/x86/paging/page_table.h"
#include "arch/x86/paging/entry.h"
#include "kernel/lib/string.h"

#define LEVEL_TOP 3u

// One change on its way down the levels.
struct walk {
    struct page_table *table;
    uint32_t permissions;
    enum memory_type type;
    bool write_leaves; // else: make tables
    const struct page_source *source;
};

static uint64_t level_span(unsigned level)
{
    return PAGE_SIZE << (9 * level);
}

static unsigned level_index(uint64_t address, unsigned level)
{
    return (unsigned)(address >> (PAGE_SHIFT + 9 * level)) & 511;
}

static uint64_t *page_at(const struct page_table *table, uint64_t physical)
{
    return (uint64_t *)(table->direct_offset + physical);
}

// How much of [address, end) lies in the entry that covers `address`.
static uint64_t chunk_size(uint64_t address, uint64_t remaining, unsigned level)
{
    uint64_t room = level_span(level) - (address & (level_span(level) - 1));
    return remaining < room ? remaining : room;
}

static bool leaf_fits(const struct page_table *table, uint64_t address, uint64_t physical,
                      uint64_t chunk, unsigned level)
{
    return level <= (unsigned)table->largest && chunk == level_span(level) &&
           is_aligned(address | physical, level_span(level));
}

// Makes an empty table for an entry that is not present.
static enum status make_table(const struct page_table *table, uint64_t *entry, bool user,
                              const struct page_source *source)
{
    hpa_t page;
    enum status status = source->take(source->context, &page);
    if (status == STATUS_OK) {
        memset(page_at(table, page.value), 0, PAGE_SIZE);
        *entry = entry_table(table->format, page.value, user);
    }
    return status;
}

// One pass of page_table_map over a range in which nothing is mapped: makes the tables, or, where
// they exist, writes the leaves, which cannot fail.
static enum status map_pass(const struct walk *walk, uint64_t *entries, unsigned level,
                            uint64_t address, uint64_t physical, uint64_t size)
{
    const struct page_table *table = walk->table;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t *entry = &entries[level_index(address, level)];
        bool present = entry_present(table->format, *entry);
        if (!present && leaf_fits(table, address, physical, chunk, level)) {
            if (walk->write_leaves) {
                *entry = entry_leaf(table->format, physical, walk->permissions, walk->type, level);
            }
        } else {
            if (!present) {
                status = make_table(table, entry, address < UPPER_HALF_BASE, walk->source);
            }
            if (status == STATUS_OK) {
                status = map_pass(walk, page_at(table, entry_address(*entry)), level - 1, address,
                                  physical, chunk);
            }
        }
        address += chunk;
        physical += chunk;
        size -= chunk;
    }
    return status;
}

static bool table_is_empty(const struct page_table *table, const uint64_t *entries)
{
    for (unsigned i = 0; i < 512; i++) {
        if (entry_present(table->format, entries[i])) {
            return false;
        }
    }
    return true;
}

// Gives an empty table back. Top-level tables of the host's upper half are shared, so they stay.
static void prune(const struct page_table *table, uint64_t *entry, unsigned level, uint64_t address,
                  const struct page_source *source)
{
    uint64_t below = entry_address(*entry);
    bool shared =
        level == LEVEL_TOP && table->format == PAGE_FORMAT_HOST && address >= UPPER_HALF_BASE;
    if (!shared && table_is_empty(table, page_at(table, below))) {
        *entry = 0;
        source->give(source->context, hpa(below));
    }
}

// Clears the leaves of a range that cuts none, and gives empty tables back.
static void clear(const struct page_table *table, uint64_t *entries, unsigned level,
                  uint64_t address, uint64_t size, const struct page_source *source)
{
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t *entry = &entries[level_index(address, level)];
        if (entry_present(table->format, *entry)) {
            if (entry_is_leaf(*entry, level)) {
                *entry = 0;
            } else {
                clear(table, page_at(table, entry_address(*entry)), level - 1, address, chunk,
                      source);
                prune(table, entry, level, address, source);
            }
        }
        address += chunk;
        size -= chunk;
    }
}

static enum status check_range(const struct page_table *table, uint64_t address, uint64_t size)
{
    if (size == 0 || !is_aligned(address | size, PAGE_SIZE)) {
        return STATUS_INVALID;
    }
    if (table->format == PAGE_FORMAT_HOST && address >= UPPER_HALF_BASE) {
        return size - 1 <= UINT64_MAX - address ? STATUS_OK : STATUS_INVALID;
    }
    uint64_t limit = table->format == PAGE_FORMAT_HOST ? LOWER_HALF_LIMIT : EPT_LIMIT;
    return range_fits(address, size, limit) ? STATUS_OK : STATUS_INVALID;
}

// Fills in the leaf in force at `address`, or, without one, *skip: the bytes to the next candidate.
static enum status look_up(const struct page_table *table, uint64_t address,
                           struct page_mapping *mapping, uint64_t *skip)
{
    uint64_t physical = table->root.value;
    for (unsigned level = LEVEL_TOP;; level--) {
        uint64_t entry = page_at(table, physical)[level_index(address, level)];
        uint64_t span = level_span(level);
        if (!entry_present(table->format, entry)) {
            *skip = span - (address & (span - 1));
            return STATUS_NOT_FOUND;
        }
        if (entry_is_leaf(entry, level)) {
            *mapping = (struct page_mapping){
                align_down(address, span), span, hpa(entry_leaf_address(entry, level)),
                entry_permissions(table->format, entry), entry_type(table->format, entry)};
            return STATUS_OK;
        }
        physical = entry_address(entry);
    }
}

// True when a leaf begins before `boundary` and ends after it.
static bool cuts_leaf(const struct page_table *table, uint64_t boundary)
{
    struct page_mapping mapping;
    uint64_t skip;
    return look_up(table, boundary, &mapping, &skip) == STATUS_OK && mapping.address != boundary;
}

static enum status check_map(const struct page_table *table, uint64_t address, hpa_t physical,
                             uint64_t size, uint32_t permissions, enum memory_type type)
{
    struct page_mapping mapping;
    enum status status = check_range(table, address, size);
    if (status == STATUS_OK) {
        status = entry_check(table->format, permissions, type);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!is_aligned(physical.value, PAGE_SIZE) ||
        !range_fits(physical.value, size, table->physical_limit)) {
        return STATUS_INVALID;
    }
    // The last address, since the end of the upper half is 0.
    return page_table_next(table, address, address + (size - 1), &mapping) == STATUS_OK
               ? STATUS_BUSY
               : STATUS_OK;
}

enum status page_table_map(struct page_table *table, uint64_t address, hpa_t physical,
                           uint64_t size, uint32_t permissions, enum memory_type type,
                           const struct page_source *source)
{
    enum status status = check_map(table, address, physical, size, permissions, type);
    if (status != STATUS_OK) {
        return status;
    }
    struct walk walk = {table, permissions, type, false, source};
    uint64_t *root = page_at(table, table->root.value);
    status = map_pass(&walk, root, LEVEL_TOP, address, physical.value, size);
    if (status != STATUS_OK) {
        clear(table, root, LEVEL_TOP, address, size, source); // only tables are there
        return status;
    }
    walk.write_leaves = true;
    return map_pass(&walk, root, LEVEL_TOP, address, physical.value, size);
}

enum status page_table_unmap(struct page_table *table, uint64_t address, uint64_t size,
                             const struct page_source *source)
{
    enum status status = check_range(table, address, size);
    if (status != STATUS_OK) {
        return status;
    }
    if (cuts_leaf(table, address) || cuts_leaf(table, address + size)) {
        return STATUS_INVALID;
    }
    clear(table, page_at(table, table->root.value), LEVEL_TOP, address, size, source);
    return STATUS_OK;
}

enum status page_table_create(struct page_table *table, enum page_format format,
                              enum page_level largest, uintptr_t direct_offset,
                              uint64_t physical_limit, const struct page_source *source)
{
    hpa_t root;
    enum status status = source->take(source->context, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *table = (struct page_table){root, direct_offset, physical_limit, format, largest};
    memset(page_at(table, root.value), 0, PAGE_SIZE);
    return STATUS_OK;
}

static void free_below(struct page_table *table, uint64_t *entry, unsigned level,
                       const struct page_source *source)
{
    if (!entry_present(table->format, *entry) || entry_is_leaf(*entry, level)) {
        return;
    }
    uint64_t *below = page_at(table, entry_address(*entry));
    for (unsigned i = 0; level > 1 && i < 512; i++) {
        free_below(table, &below[i], level - 1, source);
    }
    source->give(source->context, hpa(entry_address(*entry)));
}

void page_table_destroy(struct page_table *table, const struct page_source *source)
{
    uint64_t *root = page_at(table, table->root.value);
    unsigned owned = table->format == PAGE_FORMAT_HOST ? 256 : 512;
    for (unsigned i = 0; i < owned; i++) {
        free_below(table, &root[i], LEVEL_TOP, source);
    }
    source->give(source->context, table->root);
}

void page_table_share_upper(struct page_table *table, const struct page_table *from)
{
    memcpy(page_at(table, table->root.value) + 256, page_at(from, from->root.value) + 256,
           256 * sizeof(uint64_t));
}

enum status page_table_reserve(struct page_table *table, unsigned index,
                               const struct page_source *source)
{
    uint64_t *entry = &page_at(table, table->root.value)[index];
    return entry_present(table->format, *entry) ? STATUS_OK
                                                : make_table(table, entry, index < 256, source);
}

enum status page_table_translate(const struct page_table *table, uint64_t address,
                                 struct page_mapping *mapping)
{
    uint64_t skip;
    if (check_range(table, align_down(address, PAGE_SIZE), PAGE_SIZE) != STATUS_OK) {
        return STATUS_NOT_FOUND;
    }
    return look_up(table, address, mapping, &skip);
}

enum status page_table_next(const struct page_table *table, uint64_t address, uint64_t limit,
                            struct page_mapping *mapping)
{
    while (address < limit) {
        uint64_t skip;
        if (look_up(table, address, mapping, &skip) == STATUS_OK) {
            return STATUS_OK;
        }
        if (skip > UINT64_MAX - address) {
            break;
        }
        address += skip;
    }
    return STATUS_NOT_FOUND;
}
