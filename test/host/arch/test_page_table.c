// SPDX-License-Identifier: MIT
// Tests arch/x86/paging: encodings, refusals, page sizes, pruning and sharing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "arch/x86/paging/page_table.h"
#include "test/host/arch/page_arena.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define RW  (PAGE_READ | PAGE_WRITE)
#define RWX (RW | PAGE_EXECUTE)

static struct page_table table;

static void create(enum page_format format, enum page_level largest)
{
    arena_reset();
    assert_int_equal(
        page_table_create(&table, format, largest, arena_offset(), 1ull << 40, arena_source()),
        STATUS_OK);
}

static enum status map(uint64_t address, uint64_t physical, uint64_t size)
{
    return page_table_map(&table, address, hpa(physical), size, RW, MEMORY_WRITE_BACK,
                          arena_source());
}

static enum status map_typed(uint32_t permissions, enum memory_type type)
{
    return page_table_map(&table, 0x1000, hpa(0x1000), 0x1000, permissions, type, arena_source());
}

static struct page_mapping find(uint64_t address)
{
    struct page_mapping mapping;
    assert_int_equal(page_table_translate(&table, address, &mapping), STATUS_OK);
    return mapping;
}

static uint64_t raw_leaf(uint64_t address) // of a 4 KiB page
{
    uint64_t physical = table.root.value;
    for (int shift = 39; shift > 12; shift -= 9) {
        uint64_t *page = (uint64_t *)(arena_offset() + physical);
        physical = page[address >> shift & 511] & 0x000ffffffffff000;
    }
    return ((uint64_t *)(arena_offset() + physical))[address >> 12 & 511];
}

static void test_encodings(void **state)
{
    (void)state;
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
    assert_int_equal(map_typed(RWX, MEMORY_WRITE_BACK), STATUS_OK);
    assert_int_equal(raw_leaf(0x1000), 0x1000 | 7 | 6 << 3);
    assert_int_equal(page_table_ept_pointer(&table), table.root.value | 0x1e);
    create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
    assert_int_equal(map_typed(PAGE_READ | PAGE_USER, MEMORY_UNCACHEABLE), STATUS_OK);
    assert_int_equal(raw_leaf(0x1000), 1ull << 63 | 0x1000 | 0x7d);
}

static void test_memory_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 16; type++) {
        bool legal = type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
        create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
        assert_int_equal(map_typed(RW, (enum memory_type)type), legal ? STATUS_OK : STATUS_INVALID);
        if (legal) {
            assert_int_equal(find(0x1000).type, type);
        }
        create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
        bool unsupported = type == 1 || type == 5;
        enum status expected = unsupported ? STATUS_UNSUPPORTED : STATUS_INVALID;
        assert_int_equal(map_typed(RW, (enum memory_type)type),
                         legal && !unsupported ? STATUS_OK : expected);
    }
}

static void test_permissions(void **state)
{
    (void)state;
    for (uint32_t permissions = 0; permissions < 64; permissions++) {
        create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
        bool legal = (permissions & PAGE_READ) && permissions <= RWX;
        assert_int_equal(map_typed(permissions, MEMORY_WRITE_BACK),
                         legal ? STATUS_OK : STATUS_INVALID);
        create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
        legal = (permissions & PAGE_READ) && permissions < 32;
        assert_int_equal(map_typed(permissions, MEMORY_WRITE_BACK),
                         legal ? STATUS_OK : STATUS_INVALID);
        if (legal) {
            assert_int_equal(find(0x1000).permissions, permissions);
        }
    }
}

static void test_ranges(void **state)
{
    (void)state;
    create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
    assert_int_equal(map(0x1001, 0, 0x1000), STATUS_INVALID);
    assert_int_equal(map(0x1000, 1, 0x1000), STATUS_INVALID);
    assert_int_equal(map(0x1000, 0, 0), STATUS_INVALID);
    assert_int_equal(map(0x1000, 0, 0x800), STATUS_INVALID);
    assert_int_equal(map(0x00007ffffffff000, 0, 0x2000), STATUS_INVALID);
    assert_int_equal(map(0x0000800000000000, 0, 0x1000), STATUS_INVALID);
    assert_int_equal(map(0xffff7ffffffff000, 0, 0x1000), STATUS_INVALID);
    assert_int_equal(map(0xfffffffffffff000, 0, 0x2000), STATUS_INVALID);
    assert_int_equal(map(0x1000, (1ull << 40) - 0x1000, 0x2000), STATUS_INVALID);
    assert_int_equal(arena_taken(), 1);
    assert_int_equal(map(0x00007ffffffff000, 0, 0x1000), STATUS_OK);
    assert_int_equal(map(0xffff800000000000, (1ull << 40) - 0x1000, 0x1000), STATUS_OK);
    assert_int_equal(map(0xfffffffffffff000, 0, 0x1000), STATUS_OK);
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
    assert_int_equal(map((1ull << 48) - 0x1000, 0, 0x2000), STATUS_INVALID);
    assert_int_equal(map((1ull << 48) - 0x1000, 0, 0x1000), STATUS_OK);
}

static void test_page_sizes(void **state)
{
    (void)state;
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_1G);
    assert_int_equal(map(GIB - 2 * MIB - 0x1000, 3 * GIB - 2 * MIB - 0x1000, 2 * GIB), STATUS_OK);
    assert_int_equal(find(GIB - 2 * MIB - 1).size, 0x1000);
    assert_int_equal(find(GIB - 1).size, 2 * MIB);
    assert_int_equal(find(GIB).size, GIB);
    assert_int_equal(find(2 * GIB + 123).physical.value, 4 * GIB);
    assert_int_equal(find(3 * GIB - 2 * MIB - 0x1001).size, 0x1000);
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
    assert_int_equal(map(0, 0, 2 * GIB), STATUS_OK);
    assert_int_equal(find(GIB).size, 2 * MIB);
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_1G);
    assert_int_equal(map(0, 0x1000, 4 * MIB), STATUS_OK); // never aligned together
    assert_int_equal(find(2 * MIB).size, 0x1000);
}

static void test_large_pages_stay_whole(void **state)
{
    (void)state;
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_1G);
    assert_int_equal(map(GIB - 2 * MIB, 0, GIB + 2 * MIB), STATUS_OK); // 2 MiB pages only
    assert_int_equal(map(4 * GIB, 0, 2 * GIB), STATUS_OK);
    unsigned before = arena_taken();
    static const uint64_t ranges[][2] = {
        {GIB + 0x1000, 2 * MIB},       {GIB, 2 * MIB - 0x1000},  {GIB - 0x1000, 0x1000},
        {4 * GIB + 2 * MIB, GIB},      {4 * GIB, GIB + 2 * MIB}, {3 * GIB, GIB + 0x1000},
        {5 * GIB + 0x1000, 512 * MIB},
    };
    for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        assert_int_equal(page_table_unmap(&table, ranges[i][0], ranges[i][1], arena_source()),
                         STATUS_INVALID);
    }
    assert_int_equal(arena_taken(), before);
    assert_int_equal(find(GIB).size, 2 * MIB);
    assert_int_equal(find(4 * GIB).size, GIB);
    assert_int_equal(page_table_unmap(&table, 5 * GIB, 4 * GIB, arena_source()), STATUS_OK);
    struct page_mapping mapping;
    assert_int_equal(page_table_translate(&table, 5 * GIB, &mapping), STATUS_NOT_FOUND);
    assert_int_equal(page_table_unmap(&table, 0, 8 * GIB, arena_source()), STATUS_OK);
    assert_int_equal(arena_taken(), 1);
}

static void test_errors_change_nothing(void **state)
{
    (void)state;
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_2M);
    assert_int_equal(map(0x5000, 0x5000, 0x1000), STATUS_OK);
    unsigned before = arena_taken();
    assert_int_equal(map(0x1000, 0x1000, 0x8000), STATUS_BUSY);
    assert_int_equal(map(0, 0, GIB), STATUS_BUSY);
    assert_int_equal(find(0x5000).permissions, RW);
    struct page_mapping mapping;
    assert_int_equal(page_table_translate(&table, 0x1000, &mapping), STATUS_NOT_FOUND);
    arena_limit(before + 2);
    assert_int_equal(map(512 * GIB, 0, 0x1000), STATUS_QUOTA);
    assert_int_equal(arena_taken(), before);
    assert_int_equal(page_table_translate(&table, 512 * GIB, &mapping), STATUS_NOT_FOUND);
    arena_limit(before + 3);
    assert_int_equal(map(512 * GIB, 0, 0x1000), STATUS_OK);
    arena_limit(0);
    assert_int_equal(page_table_create(&table, PAGE_FORMAT_EPT, PAGE_LEVEL_2M, arena_offset(), 1,
                                       arena_source()),
                     STATUS_QUOTA);
}

static void test_next(void **state)
{
    (void)state;
    struct page_mapping mapping;
    create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
    assert_int_equal(page_table_next(&table, 0, 1ull << 47, &mapping), STATUS_NOT_FOUND);
    assert_int_equal(map(0x3000, 0, 0x1000), STATUS_OK);
    assert_int_equal(map(700 * GIB, 2 * MIB, 2 * MIB), STATUS_OK);
    assert_int_equal(page_table_next(&table, 0, 1ull << 47, &mapping), STATUS_OK);
    assert_int_equal(mapping.address, 0x3000);
    assert_int_equal(page_table_next(&table, 0x4000, 1ull << 47, &mapping), STATUS_OK);
    assert_int_equal(mapping.address, 700 * GIB);
    assert_int_equal(page_table_next(&table, 0x4000, 700 * GIB, &mapping), STATUS_NOT_FOUND);
    assert_int_equal(map(0xfffffffffffff000, 0, 0x1000), STATUS_OK);
    assert_int_equal(page_table_next(&table, 0xffff800000000000, UINT64_MAX, &mapping), STATUS_OK);
    assert_int_equal(mapping.address, 0xfffffffffffff000);
}

static void test_upper_half(void **state)
{
    (void)state;
    struct page_table process;
    create(PAGE_FORMAT_HOST, PAGE_LEVEL_2M);
    assert_int_equal(page_table_reserve(&table, 300, arena_source()), STATUS_OK);
    assert_int_equal(page_table_reserve(&table, 300, arena_source()), STATUS_OK);
    assert_int_equal(arena_taken(), 2);
    assert_int_equal(page_table_create(&process, PAGE_FORMAT_HOST, PAGE_LEVEL_2M, arena_offset(),
                                       1ull << 40, arena_source()),
                     STATUS_OK);
    page_table_share_upper(&process, &table);
    uint64_t address = 0xffff000000000000ull | 300ull << 39;
    assert_int_equal(map(address, 0x1000, 0x1000), STATUS_OK);
    struct page_mapping mapping; // mapped in one, seen in both
    assert_int_equal(page_table_translate(&process, address, &mapping), STATUS_OK);
    assert_int_equal(page_table_unmap(&table, address, 0x1000, arena_source()), STATUS_OK);
    assert_int_equal(page_table_translate(&process, address, &mapping), STATUS_NOT_FOUND);
    assert_int_equal(arena_taken(), 3); // the shared table stays

    assert_int_equal(
        page_table_map(&process, 0x1000, hpa(0), 0x1000, RW, MEMORY_WRITE_BACK, arena_source()),
        STATUS_OK);
    page_table_destroy(&process, arena_source());
    assert_int_equal(arena_taken(), 2); // what it shared stays with the other
    assert_int_equal(page_table_reserve(&table, 300, arena_source()), STATUS_OK);
    assert_int_equal(arena_taken(), 2);
    create(PAGE_FORMAT_EPT, PAGE_LEVEL_1G);
    assert_int_equal(map(0x1000, 0, 2 * GIB), STATUS_OK);
    assert_int_equal(map(511 * 512 * GIB, 0, GIB), STATUS_OK);
    page_table_destroy(&table, arena_source());
    assert_int_equal(arena_taken(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_memory_types),
        cmocka_unit_test(test_permissions),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_page_sizes),
        cmocka_unit_test(test_large_pages_stay_whole),
        cmocka_unit_test(test_errors_change_nothing),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_upper_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
