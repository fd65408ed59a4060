// SPDX-License-Identifier: MIT
// Lock-step: arch/x86/paging and the specification of page tables, in both formats, with leaves up
// to 4 KiB, 2 MiB and 1 GiB, around boundaries of all levels and with too little memory for tables.
#include <string.h>
#include "arch/x86/paging/page_table.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/table.h"

#define ARENA_PAGES 160u
#define MANY        (ARENA_PAGES - 1)

static struct page_table table;
static struct spec_table spec;

// -- where table pages come from ------------------------------------------------------------------

static uint8_t memory[ARENA_PAGES][PAGE_SIZE] ALIGNED(4096);
static uint8_t snapshot[ARENA_PAGES][PAGE_SIZE];
static bool taken[ARENA_PAGES];
static uint32_t taken_count;
static uint32_t limit;

static enum status take(void *context, hpa_t *page)
{
    (void)context;
    if (taken_count >= limit) {
        return STATUS_QUOTA;
    }
    for (uint32_t i = 1; i < ARENA_PAGES; i++) { // physical address 0 is never given out
        if (!taken[i]) {
            taken[i] = true;
            taken_count++;
            memset(memory[i], 0xa5, PAGE_SIZE);
            *page = hpa(i * PAGE_SIZE);
            return STATUS_OK;
        }
    }
    return STATUS_QUOTA;
}

static void give(void *context, hpa_t page)
{
    uint64_t index = page.value / PAGE_SIZE;

    (void)context;
    if (page.value % PAGE_SIZE != 0 || index >= ARENA_PAGES || !taken[index]) {
        lockstep_fail("a page was given back that was not taken");
    }
    taken[index] = false;
    taken_count--;
}

static const struct page_source source = {take, give, NULL};

static void keep_snapshot(void)
{
    for (uint32_t i = 0; i < ARENA_PAGES; i++) {
        if (taken[i]) {
            memcpy(snapshot[i], memory[i], PAGE_SIZE);
        }
    }
}

static void check_untouched(const char *what)
{
    for (uint32_t i = 0; i < ARENA_PAGES; i++) {
        if (taken[i] && memcmp(snapshot[i], memory[i], PAGE_SIZE) != 0) {
            lockstep_fail("%s: was refused and changed a table", what);
        }
    }
}

// -- comparing ----------------------------------------------------------------------------------

static void compare_leaf(const struct page_mapping *mapping, const struct spec_leaf *leaf)
{
    lockstep_equal("address", mapping->address, leaf->address);
    lockstep_equal("size", mapping->size, leaf->size);
    lockstep_equal("physical", mapping->physical.value, leaf->physical);
    lockstep_equal("permissions", mapping->permissions, leaf->permissions);
    lockstep_equal("type", mapping->type, leaf->type);
}

// The half, or for EPT the whole, that an address lies in: its first address and its last.
struct half {
    uint64_t first;
    uint64_t last;
};

static struct half half_of(uint64_t address)
{
    if (spec.format == SPEC_FORMAT_EPT) {
        return (struct half){0, (1ull << 48) - 1};
    }
    return address >> 47 != 0 ? (struct half){0xffff800000000000ull, UINT64_MAX}
                              : (struct half){0, (1ull << 47) - 1};
}

// In [first, last) of one half are the leaves of the specification and no others.
static void compare_range(uint64_t first, uint64_t last)
{
    struct page_mapping mapping;
    struct spec_leaf leaf;

    while (table_next_spec(&spec, first, last, &leaf) == SPEC_ALLOWED) {
        if (page_table_next(&table, first, last, &mapping) != STATUS_OK) {
            lockstep_fail("the leaf at 0x%lx is missing", leaf.address);
        }
        compare_leaf(&mapping, &leaf);
        first = leaf.address + leaf.size;
        if (first - 1 >= last) {
            return;
        }
    }
    if (page_table_next(&table, first, last, &mapping) == STATUS_OK) {
        lockstep_fail("a leaf at 0x%lx is there that should not be", mapping.address);
    }
}

// What lies within a few pages of [address, address + size).
static void compare_near(uint64_t address, uint64_t size)
{
    struct half half = half_of(address);
    uint64_t margin = 20 * PAGE_SIZE;
    uint64_t first = address - half.first > margin ? address - margin : half.first;
    uint64_t left = half.last - address;

    if (address >= half.first && address <= half.last) {
        compare_range(first & ~PAGE_MASK, left > size + margin && size + margin > size
                                              ? address + size + margin
                                              : half.last);
    }
    lockstep_equal("table pages", taken_count, table_pages_spec(&spec));
}

static void compare_all(void)
{
    compare_near(0, UINT64_MAX);
    if (spec.format == SPEC_FORMAT_HOST) {
        compare_near(0xffff800000000000ull, UINT64_MAX);
    }
}

// -- choosing -------------------------------------------------------------------------------------

// Boundaries of all levels, the ends of both halves and of EPT's space.
static uint64_t any_address(void)
{
    static const uint64_t corners[] = {
        1ull << 30,
        1ull << 30,
        1ull << 31,
        1ull << 39,
        0,
        (1ull << 47) - (1ull << 30),
        0xffff800000000000ull,
        0ull - (1ull << 30),
        (1ull << 48) - (1ull << 30),
        0x0000800000000000ull,
    };
    uint64_t corner = corners[lockstep_below(ARRAY_COUNT(corners))];

    switch (lockstep_below(10)) {
    case 0:
    case 1:
        return corner;
    case 2:
        return corner - (1ull << 21) * lockstep_below(3);
    case 3:
    case 4:
        return corner + (1ull << 21) * lockstep_below(6);
    case 5:
        return lockstep_chance(10) ? corner + lockstep_below(4096) : corner;
    default:
        return corner + (uint64_t)(int64_t)((int32_t)lockstep_below(1536) - 768) * 4096;
    }
}

static uint64_t any_size(void)
{
    uint64_t largest = spec.largest;

    switch (lockstep_below(12)) {
    case 0:
        return largest == HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE * (1 + lockstep_below(2)) : PAGE_SIZE;
    case 1:
    case 2:
    case 3:
        return largest == PAGE_SIZE ? PAGE_SIZE : LARGE_PAGE_SIZE * (1 + lockstep_below(3));
    case 4:
        return lockstep_boundary(0) * PAGE_SIZE;
    case 5:
        return PAGE_SIZE * lockstep_below(700);
    case 6:
        return lockstep_chance(10) ? lockstep_below(9000) : PAGE_SIZE;
    default:
        return PAGE_SIZE * (1 + lockstep_below(8));
    }
}

static uint64_t any_physical(uint64_t address)
{
    switch (lockstep_below(8)) {
    case 0:
        return lockstep_below(1 << 20) * PAGE_SIZE;
    case 1:
        return spec.physical_limit - PAGE_SIZE * lockstep_below(8);
    case 2:
        return lockstep_chance(20) ? lockstep_random() : 0;
    default: // as far from a large page's start as the address
        return (lockstep_below(64) * HUGE_PAGE_SIZE + address % HUGE_PAGE_SIZE) %
               spec.physical_limit;
    }
}

static uint32_t any_permissions(void)
{
    uint32_t all = spec.format == SPEC_FORMAT_EPT ? 8 : 32;

    return lockstep_chance(95) ? PAGE_READ | lockstep_below(all) : lockstep_below(64);
}

// -- operations -----------------------------------------------------------------------------------

// More leaves than are worth the time.
static bool too_much(uint64_t address, uint64_t physical, uint64_t size)
{
    uint64_t leaves = table_leaves_spec(&spec, address, physical, size);

    return leaves > 64 && (leaves > 600 || spec.count > 200 || lockstep_chance(95));
}

static void map(void)
{
    uint64_t address = any_address();
    uint64_t size = any_size();
    uint64_t physical = any_physical(address);
    uint32_t permissions = any_permissions();
    uint32_t type = lockstep_chance(90) ? MEMORY_WRITE_BACK : lockstep_below(8);

    if (too_much(address, physical, size)) {
        return;
    }
    limit = lockstep_chance(85) ? MANY : taken_count + lockstep_below(4);
    uint32_t pages = limit - taken_count;
    enum status status = page_table_map(&table, address, hpa(physical), size, permissions,
                                        (enum memory_type)type, &source);
    enum spec_rule rule =
        table_map_spec(&spec, address, physical, size, permissions, type, pages, &spec);
    limit = MANY;
    lockstep_same("map", rule, status);
    if (status != STATUS_OK) {
        check_untouched("map");
    }
    compare_near(address, size);
}

static void unmap(void)
{
    uint64_t address = any_address();
    uint64_t size = any_size();

    if (spec.count != 0 && lockstep_chance(60)) {
        const struct spec_leaf *leaf = &spec.leaves[lockstep_below(spec.count)];

        address = leaf->address;
        size = lockstep_chance(50) ? leaf->size * (1 + lockstep_below(40)) : PAGE_SIZE;
    }
    enum status status = page_table_unmap(&table, address, size, &source);
    lockstep_same("unmap", table_unmap_spec(&spec, address, size, &spec), status);
    if (status != STATUS_OK) {
        check_untouched("unmap");
    }
    compare_near(address, size);
}

static void look(void)
{
    uint64_t address = any_address() + lockstep_below(PAGE_SIZE);
    uint64_t end = lockstep_chance(50) ? UINT64_MAX : address + any_size();
    struct page_mapping mapping;
    struct spec_leaf leaf = {0};

    enum status status = page_table_translate(&table, address, &mapping);
    lockstep_same("translate", table_translate_spec(&spec, address, &leaf), status);
    if (status == STATUS_OK) {
        compare_leaf(&mapping, &leaf);
    }
    // next looks in one half, from a page's start on.
    struct half half = half_of(address);
    if (address < half.first || address > half.last) {
        return;
    }
    address -= address % PAGE_SIZE;
    end = end > half.last || end < address ? half.last : end;
    status = page_table_next(&table, address, end, &mapping);
    lockstep_same("next", table_next_spec(&spec, address, end, &leaf), status);
    if (status == STATUS_OK) {
        compare_leaf(&mapping, &leaf);
    }
    check_untouched("look");
}

static void step(void)
{
    keep_snapshot();
    switch (lockstep_below(5)) {
    case 0:
    case 1:
        map();
        break;
    case 2:
    case 3:
        unmap();
        break;
    default:
        look();
        break;
    }
}

// -- beginning and end ----------------------------------------------------------------------------

static void start(enum page_format format, enum page_level largest)
{
    uint64_t physical_limit = 1ull << (36 + lockstep_below(17));

    limit = MANY;
    if (page_table_create(&table, format, largest, (uintptr_t)memory, physical_limit, &source) !=
        STATUS_OK) {
        lockstep_fail("no table");
    }
    spec_table_init(&spec, format == PAGE_FORMAT_EPT ? SPEC_FORMAT_EPT : SPEC_FORMAT_HOST,
                    PAGE_SIZE << (9 * (unsigned)largest), physical_limit);
    if (format == PAGE_FORMAT_HOST) { // as the kernel does at boot: all spaces share these
        static const unsigned shared[] = {256, 511};

        for (unsigned i = 0; i < ARRAY_COUNT(shared); i++) {
            lockstep_same("reserve", SPEC_ALLOWED, page_table_reserve(&table, shared[i], &source));
            table_reserve_spec(&spec, shared[i], &spec);
        }
    }
    compare_all();
}

// All that was taken comes back, but for what the host's upper half shares.
static void finish(void)
{
    struct half half = half_of(0);

    page_table_destroy(&table, &source);
    lockstep_same("destroy", table_unmap_spec(&spec, half.first, half.last + 1, &spec), STATUS_OK);
    lockstep_equal("pages still taken", taken_count, table_pages_spec(&spec) - 1);
    memset(taken, 0, sizeof(taken));
    taken_count = 0;
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_TABLE};

    lockstep_begin(argc, argv, "page tables and EPT", 120000);
    for (uint64_t i = 0; lockstep_more(); i++) {
        start(i % 2 == 0 ? PAGE_FORMAT_HOST : PAGE_FORMAT_EPT, (enum page_level)(i / 2 % 3));
        for (uint32_t k = 0; k < 3000; k++) {
            step();
            if (k % 64 == 0) {
                compare_all();
            }
        }
        finish();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
