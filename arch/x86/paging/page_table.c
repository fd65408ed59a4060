// SPDX-License-Identifier: MIT
// The four-level walker and mapper; see page_table.h for the contract. Every change runs in two
// passes over the range: the first counts the table pages it needs and refuses what it must, then
// the pages are taken, then the second pass writes. The caller's lock guards the table.
#include "arch/x86/paging/page_table.h"
#include "arch/x86/paging/entry.h"
#include "kernel/lib/string.h"

#define LEVEL_TOP 3u

// One change on its way down the levels.
struct walk {
    struct page_table *table;
    uint32_t permissions;
    enum memory_type type;
    uint64_t pages_needed;
    hpa_t pool; // taken pages, each pointing to the next through its first word; 0 ends
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

static hpa_t pool_pop(struct walk *walk)
{
    hpa_t page = walk->pool;
    walk->pool.value = *page_at(walk->table, page.value);
    return page;
}

static void pool_give_back(struct walk *walk)
{
    while (walk->pool.value != 0) {
        walk->source->give(walk->source->context, pool_pop(walk));
    }
}

static enum status pool_fill(struct walk *walk)
{
    for (uint64_t i = 0; i < walk->pages_needed; i++) {
        hpa_t page;
        enum status status = walk->source->take(walk->source->context, &page);
        if (status != STATUS_OK) {
            pool_give_back(walk);
            return status;
        }
        *page_at(walk->table, page.value) = walk->pool.value;
        walk->pool = page;
    }
    return STATUS_OK;
}

static uint64_t table_entry(const struct page_table *table, uint64_t physical, uint64_t address)
{
    return entry_table(table->format, physical, address < UPPER_HALF_BASE);
}

// The table below *entry, made from the pool when there is none.
static uint64_t *descend_making(struct walk *walk, uint64_t *entry, uint64_t address)
{
    const struct page_table *table = walk->table;
    if (!entry_present(table->format, *entry)) {
        hpa_t page = pool_pop(walk);
        memset(page_at(table, page.value), 0, PAGE_SIZE);
        *entry = table_entry(table, page.value, address);
    }
    return page_at(table, entry_address(*entry));
}

// First pass of map. `entries` is null below a table that does not exist yet.
static enum status map_plan(struct walk *walk, const uint64_t *entries, unsigned level,
                            uint64_t address, uint64_t physical, uint64_t size)
{
    enum page_format format = walk->table->format;
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t entry = entries ? entries[level_index(address, level)] : 0;
        bool present = entry_present(format, entry);
        if (present && entry_is_leaf(entry, level)) {
            return STATUS_BUSY;
        }
        if (present || !leaf_fits(walk->table, address, physical, chunk, level)) {
            walk->pages_needed += !present;
            const uint64_t *below = present ? page_at(walk->table, entry_address(entry)) : NULL;
            enum status status = level == 1 && !below
                                     ? STATUS_OK
                                     : map_plan(walk, below, level - 1, address, physical, chunk);
            if (status != STATUS_OK) {
                return status;
            }
        }
        address += chunk;
        physical += chunk;
        size -= chunk;
    }
    return STATUS_OK;
}

static void map_commit(struct walk *walk, uint64_t *entries, unsigned level, uint64_t address,
                       uint64_t physical, uint64_t size)
{
    enum page_format format = walk->table->format;
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t *entry = &entries[level_index(address, level)];
        if (!entry_present(format, *entry) &&
            leaf_fits(walk->table, address, physical, chunk, level)) {
            *entry = entry_leaf(format, physical, walk->permissions, walk->type, level);
        } else {
            map_commit(walk, descend_making(walk, entry, address), level - 1, address, physical,
                       chunk);
        }
        address += chunk;
        physical += chunk;
        size -= chunk;
    }
}

// First pass of unmap and protect: counts the splits; `holes` says whether holes are fine.
static enum status change_plan(struct walk *walk, const uint64_t *entries, unsigned level,
                               uint64_t address, uint64_t size, bool holes)
{
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t entry = entries[level_index(address, level)];
        enum status status = STATUS_OK;
        if (!entry_present(walk->table->format, entry)) {
            status = holes ? STATUS_OK : STATUS_NOT_FOUND;
        } else if (!entry_is_leaf(entry, level)) {
            status = change_plan(walk, page_at(walk->table, entry_address(entry)), level - 1,
                                 address, chunk, holes);
        } else if (chunk != level_span(level)) {
            // A 1 GiB leaf may need a second split at either end of the range.
            uint64_t end = address + chunk;
            walk->pages_needed += 1;
            if (level == 2) {
                bool first = !is_aligned(address, LARGE_PAGE_SIZE);
                bool last = !is_aligned(end, LARGE_PAGE_SIZE);
                bool same =
                    align_down(address, LARGE_PAGE_SIZE) == align_down(end - 1, LARGE_PAGE_SIZE);
                walk->pages_needed += same ? (first || last) : first + last;
            }
        }
        if (status != STATUS_OK) {
            return status;
        }
        address += chunk;
        size -= chunk;
    }
    return STATUS_OK;
}

// Replaces a leaf by a table of 512 leaves one level below that map the same.
static void split_leaf(struct walk *walk, uint64_t *entry, unsigned level, uint64_t address)
{
    enum page_format format = walk->table->format;
    hpa_t page = pool_pop(walk);
    uint64_t *below = page_at(walk->table, page.value);
    uint64_t physical = entry_leaf_address(*entry, level);
    uint32_t permissions = entry_permissions(format, *entry);
    enum memory_type type = entry_type(format, *entry);
    for (unsigned i = 0; i < 512; i++) {
        below[i] =
            entry_leaf(format, physical + i * level_span(level - 1), permissions, type, level - 1);
    }
    *entry = table_entry(walk->table, page.value, address);
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
static void prune(struct walk *walk, uint64_t *entry, unsigned level, uint64_t address)
{
    const struct page_table *table = walk->table;
    uint64_t below = entry_address(*entry);
    bool shared =
        level == LEVEL_TOP && table->format == PAGE_FORMAT_HOST && address >= UPPER_HALF_BASE;
    if (!shared && table_is_empty(table, page_at(table, below))) {
        *entry = 0;
        walk->source->give(walk->source->context, hpa(below));
    }
}

// Second pass of unmap (permissions 0) and protect.
static void change_commit(struct walk *walk, uint64_t *entries, unsigned level, uint64_t address,
                          uint64_t size)
{
    enum page_format format = walk->table->format;
    while (size != 0) {
        uint64_t chunk = chunk_size(address, size, level);
        uint64_t *entry = &entries[level_index(address, level)];
        bool leaf = entry_is_leaf(*entry, level);
        if (!entry_present(format, *entry)) {
            // a hole
        } else if (leaf && chunk == level_span(level)) {
            *entry = walk->permissions == 0
                         ? 0
                         : entry_leaf(format, entry_leaf_address(*entry, level), walk->permissions,
                                      entry_type(format, *entry), level);
        } else {
            if (leaf) {
                split_leaf(walk, entry, level, address);
            }
            change_commit(walk, page_at(walk->table, entry_address(*entry)), level - 1, address,
                          chunk);
            if (walk->permissions == 0) {
                prune(walk, entry, level, address);
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

enum status page_table_map(struct page_table *table, uint64_t address, hpa_t physical,
                           uint64_t size, uint32_t permissions, enum memory_type type,
                           const struct page_source *source)
{
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
    struct walk walk = {table, permissions, type, 0, {0}, source};
    uint64_t *root = page_at(table, table->root.value);
    status = map_plan(&walk, root, LEVEL_TOP, address, physical.value, size);
    if (status == STATUS_OK) {
        status = pool_fill(&walk);
    }
    if (status == STATUS_OK) {
        map_commit(&walk, root, LEVEL_TOP, address, physical.value, size);
    }
    return status;
}

static enum status change(struct page_table *table, uint64_t address, uint64_t size,
                          uint32_t permissions, const struct page_source *source)
{
    enum status status = check_range(table, address, size);
    if (status != STATUS_OK) {
        return status;
    }
    struct walk walk = {table, permissions, MEMORY_WRITE_BACK, 0, {0}, source};
    uint64_t *root = page_at(table, table->root.value);
    status = change_plan(&walk, root, LEVEL_TOP, address, size, permissions == 0);
    if (status == STATUS_OK) {
        status = pool_fill(&walk);
    }
    if (status == STATUS_OK) {
        change_commit(&walk, root, LEVEL_TOP, address, size);
    }
    return status;
}

enum status page_table_unmap(struct page_table *table, uint64_t address, uint64_t size,
                             const struct page_source *source)
{
    return change(table, address, size, 0, source);
}

enum status page_table_protect(struct page_table *table, uint64_t address, uint64_t size,
                               uint32_t permissions, const struct page_source *source)
{
    enum status status = entry_check(table->format, permissions, MEMORY_WRITE_BACK);
    return status == STATUS_OK ? change(table, address, size, permissions, source) : status;
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

void page_table_destroy(struct page_table *table, unsigned first, unsigned last,
                        const struct page_source *source)
{
    uint64_t *root = page_at(table, table->root.value);
    for (unsigned i = first; i < last; i++) {
        free_below(table, &root[i], LEVEL_TOP, source);
        root[i] = 0;
    }
    if (first == 0 && last == 512) {
        source->give(source->context, table->root);
        table->root = hpa(0);
    }
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
    hpa_t page;
    if (entry_present(table->format, *entry)) {
        return STATUS_OK;
    }
    enum status status = source->take(source->context, &page);
    if (status != STATUS_OK) {
        return status;
    }
    memset(page_at(table, page.value), 0, PAGE_SIZE);
    *entry = entry_table(table->format, page.value, index < 256);
    return STATUS_OK;
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
