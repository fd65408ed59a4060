// SPDX-License-Identifier: MIT
// Drives the page-table code and a plain array of pages in lock-step through random changes around
// a 1 GiB boundary. After each call the results agree, every page of the window translates alike,
// and errors have changed nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "arch/x86/paging/page_table.h"
#include "test/host/arch/page_arena.h"

#define WINDOW_PAGES 3072u
#define WINDOW_START ((1ull << 30) - WINDOW_PAGES / 2 * 4096ull) // 2 MiB aligned
#define STEPS        4000

struct model_page {
    bool mapped;
    uint64_t physical;
    uint32_t permissions;
    enum memory_type type;
};

static struct model_page model[WINDOW_PAGES];
static struct page_table table;
static uint64_t seed;

static uint64_t random_below(uint64_t limit)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (seed >> 33) % limit;
}

static void compare(void)
{
    for (unsigned i = 0; i < WINDOW_PAGES; i++) {
        uint64_t address = WINDOW_START + i * 4096ull;
        struct page_mapping mapping;
        enum status status = page_table_translate(&table, address, &mapping);
        assert_int_equal(status, model[i].mapped ? STATUS_OK : STATUS_NOT_FOUND);
        if (status == STATUS_OK) {
            assert_int_equal(mapping.physical.value + (address - mapping.address),
                             model[i].physical);
            assert_int_equal(mapping.permissions, model[i].permissions);
            assert_int_equal(mapping.type, model[i].type);
        }
    }
}

static unsigned count_mapped(unsigned first, unsigned count)
{
    unsigned mapped = 0;
    for (unsigned i = first; i < first + count; i++) {
        mapped += model[i].mapped;
    }
    return mapped;
}

// Half of the ranges are aligned so that large pages come into play.
static void random_range(unsigned *first, unsigned *count)
{
    if (random_below(2)) {
        *first = (unsigned)random_below(WINDOW_PAGES / 512) * 512;
        *count = 512 * (1 + (unsigned)random_below((WINDOW_PAGES - *first) / 512));
    } else {
        *first = (unsigned)random_below(WINDOW_PAGES);
        *count = 1 + (unsigned)random_below(WINDOW_PAGES - *first);
        *count = random_below(2) && *count > 8 ? 8 : *count;
    }
}

static void random_map(unsigned first, unsigned count, uint32_t permissions)
{
    uint64_t physical = random_below(2) ? random_below(64) << 21 : random_below(1 << 20) << 12;
    enum memory_type type = random_below(2) ? MEMORY_WRITE_BACK : MEMORY_UNCACHEABLE;
    enum status status = page_table_map(&table, WINDOW_START + first * 4096ull, hpa(physical),
                                        count * 4096ull, permissions, type, arena_source());
    if (count_mapped(first, count) != 0) {
        assert_int_equal(status, STATUS_BUSY);
    } else if (status != STATUS_QUOTA) {
        assert_int_equal(status, STATUS_OK);
        for (unsigned i = 0; i < count; i++) {
            model[first + i] = (struct model_page){true, physical + i * 4096ull, permissions, type};
        }
    }
}

static bool cuts_large_page(uint64_t boundary)
{
    struct page_mapping mapping;
    return page_table_translate(&table, boundary, &mapping) == STATUS_OK &&
           mapping.address != boundary;
}

static void random_unmap(unsigned first, unsigned count)
{
    uint64_t start = WINDOW_START + first * 4096ull, size = count * 4096ull;
    bool cut = cuts_large_page(start) || cuts_large_page(start + size);
    assert_int_equal(page_table_unmap(&table, start, size, arena_source()),
                     cut ? STATUS_INVALID : STATUS_OK);
    if (!cut) {
        memset(&model[first], 0, count * sizeof model[0]);
    }
}

static void run(enum page_format format)
{
    arena_reset();
    memset(model, 0, sizeof model);
    assert_int_equal(page_table_create(&table, format, PAGE_LEVEL_1G, arena_offset(), 1ull << 40,
                                       arena_source()),
                     STATUS_OK);
    for (int step = 0; step < STEPS; step++) {
        unsigned first, count;
        uint32_t permissions = PAGE_READ | (uint32_t)random_below(4) << 1;
        unsigned before = arena_taken();
        random_range(&first, &count);
        bool starve = random_below(4) == 0;
        arena_limit(starve ? before + (unsigned)random_below(3) : ARENA_PAGES - 1);
        if (random_below(2)) {
            random_unmap(first, count);
        } else {
            random_map(first, count, permissions);
            assert_true(count_mapped(first, count) != 0 || arena_taken() == before);
        }
        if (step % 4 == 0) {
            compare();
        }
    }
    arena_limit(ARENA_PAGES - 1);
    random_unmap(0, WINDOW_PAGES);
    compare();
    assert_int_equal(arena_taken(), 1); // the root alone is left
}

static void test_host_format(void **state)
{
    (void)state;
    seed = 1;
    run(PAGE_FORMAT_HOST);
}

static void test_ept_format(void **state)
{
    (void)state;
    seed = 2;
    run(PAGE_FORMAT_EPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_format),
        cmocka_unit_test(test_ept_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
