// SPDX-License-Identifier: MIT
// Tests kernel/memory/region_list.c against a plain array of pages.
#include "kernel_test.h"
#include <string.h>
#include "kernel/lib/address.h"
#include "kernel/memory/region_list.h"

#define BASE  0x100000ull
#define PAGES 400u

static struct region_list list;
static uint8_t model[PAGES]; // 1: some region covers this page

static struct region region_at(uint64_t page, uint64_t pages)
{
    return (struct region){BASE + page * PAGE_SIZE, pages * PAGE_SIZE, REGION_MEMORY, 0, 0};
}

static void test_find(void **state)
{
    (void)state;
    memset(&list, 0, sizeof(list));
    assert_null(region_find(&list, BASE));
    assert_true(region_insert(&list, region_at(4, 2)));
    assert_true(region_insert(&list, region_at(1, 1)));
    assert_null(region_find(&list, BASE));
    assert_null(region_find(&list, 0));
    assert_null(region_find(&list, UINT64_MAX));
    assert_ptr_equal(region_find(&list, BASE + 1 * PAGE_SIZE), &list.entries[0]);
    assert_null(region_find(&list, BASE + 2 * PAGE_SIZE));
    assert_ptr_equal(region_find(&list, BASE + 6 * PAGE_SIZE - 1), &list.entries[1]);
    assert_null(region_find(&list, BASE + 6 * PAGE_SIZE));
}

static void test_gap(void **state)
{
    uint64_t end = BASE + PAGES * PAGE_SIZE;
    (void)state;

    memset(&list, 0, sizeof(list));
    assert_int_equal(region_find_gap(&list, BASE, end, PAGE_SIZE, PAGE_SIZE), BASE);
    assert_true(region_insert(&list, region_at(0, 1)));
    // One page of distance on both sides.
    assert_int_equal(region_find_gap(&list, BASE, end, PAGE_SIZE, PAGE_SIZE), BASE + 2 * PAGE_SIZE);
    assert_true(region_insert(&list, region_at(4, 1)));
    assert_int_equal(region_find_gap(&list, BASE, end, PAGE_SIZE, PAGE_SIZE), BASE + 2 * PAGE_SIZE);
    assert_int_equal(region_find_gap(&list, BASE, end, 2 * PAGE_SIZE, PAGE_SIZE),
                     BASE + 6 * PAGE_SIZE);
    assert_int_equal(region_find_gap(&list, BASE, end, PAGE_SIZE, 0x10000), BASE + 0x10000);
    assert_int_equal(region_find_gap(&list, BASE, end, PAGES * PAGE_SIZE, PAGE_SIZE), 0);
    assert_int_equal(region_find_gap(&list, BASE, end, (PAGES - 6) * PAGE_SIZE, PAGE_SIZE),
                     BASE + 6 * PAGE_SIZE);
    assert_int_equal(region_find_gap(&list, BASE, end, (PAGES - 5) * PAGE_SIZE, PAGE_SIZE), 0);
}

static void test_full(void **state)
{
    (void)state;
    memset(&list, 0, sizeof(list));
    for (uint32_t i = 0; i < REGION_MAXIMUM; i++) {
        assert_true(region_insert(&list, region_at(2 * (REGION_MAXIMUM - i), 1)));
    }
    assert_false(region_insert(&list, region_at(0, 1)));
}

static bool model_is_free(uint64_t page, uint64_t pages)
{
    return memchr(&model[page], 1, pages) == NULL;
}

static void test_random(void **state)
{
    uint64_t seed = 5;
    (void)state;

    memset(&list, 0, sizeof(list));
    memset(model, 0, sizeof(model));
    for (uint32_t i = 0; i < 50000; i++) {
        uint64_t page = next_random(&seed) % (PAGES - 9);
        uint64_t pages = 1 + next_random(&seed) % 8;
        struct region *region = region_find(&list, BASE + page * PAGE_SIZE + i % PAGE_SIZE);

        assert_int_equal(region != NULL, model[page]);
        bool is_free = region_is_free(&list, BASE + page * PAGE_SIZE, pages * PAGE_SIZE);
        assert_int_equal(is_free, model_is_free(page, pages));
        if (is_free && region_insert(&list, region_at(page, pages))) {
            memset(&model[page], 1, pages);
        } else if (region) {
            memset(&model[(region->start - BASE) / PAGE_SIZE], 0, region->bytes / PAGE_SIZE);
            region_remove(&list, region);
        }
        for (uint64_t j = 1; j < list.count; j++) {
            assert_true(list.entries[j - 1].start < list.entries[j].start);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
