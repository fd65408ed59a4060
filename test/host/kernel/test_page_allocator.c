// SPDX-License-Identifier: MIT
// Tests kernel/memory/page_allocator.c on a buffer that stands for RAM from physical address 0.
#include "kernel_test.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/memory/page_allocator.h"

#define RAM_BYTES (16 * LARGE_PAGE_SIZE)

static struct page_allocator allocator;
static uint8_t *ram;

static int set_up(void **state)
{
    (void)state;
    ram = aligned_alloc(LARGE_PAGE_SIZE, RAM_BYTES);
    memset(ram, 0xa5, RAM_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(ram);
    return 0;
}

static void init_usual(void)
{
    // The first MiB and a hole in the middle are not RAM.
    const struct page_range usable[] = {
        {10 * LARGE_PAGE_SIZE, RAM_BYTES},
        {1 << 20, 8 * LARGE_PAGE_SIZE},
    };
    assert_int_equal(page_allocator_init(&allocator, usable, 2, ram), STATUS_OK);
}

static void test_init(void **state)
{
    (void)state;
    init_usual();
    uint64_t pages = 6 * 512 + 8 * 512 - 256;
    uint64_t taken = pages - allocator.total_pages;

    assert_true(taken > 0 && taken < 20);
    assert_int_equal(page_free_count(&allocator), allocator.total_pages);
    assert_int_equal(allocator.whole.length, 7 + 5);
    assert_int_equal(page_owner(&allocator, hpa(0)), PAGE_OWNER_RESERVED);
    assert_int_equal(page_owner(&allocator, hpa(9 * LARGE_PAGE_SIZE)), PAGE_OWNER_RESERVED);
    assert_int_equal(page_owner(&allocator, hpa(8 * LARGE_PAGE_SIZE)), PAGE_OWNER_RESERVED);
    assert_int_equal(page_owner(&allocator, hpa(1 << 20)), PAGE_OWNER_FREE);
    assert_int_equal(page_owner(&allocator, hpa(1ull << 50)), PAGE_OWNER_RESERVED);
}

static void test_init_refuses(void **state)
{
    const struct page_range reversed[] = {{0x5000, 0x4000}};
    const struct page_range odd[] = {{0x1000, 0x2800}};
    const struct page_range tiny[] = {{0x1000, 0x2000}, {0x3000, 0x3000}};
    (void)state;

    assert_int_equal(page_allocator_init(&allocator, reversed, 1, ram), STATUS_INVALID);
    assert_int_equal(page_allocator_init(&allocator, odd, 1, ram), STATUS_INVALID);
    assert_int_equal(page_allocator_init(&allocator, tiny, 2, ram), STATUS_NO_MEMORY);
    assert_int_equal(page_allocator_init(&allocator, tiny, 0, ram), STATUS_NO_MEMORY);
}

static void test_all_pages_once(void **state)
{
    static uint8_t seen[RAM_BYTES / PAGE_SIZE];
    uint64_t count = 0;
    hpa_t page;
    (void)state;

    init_usual();
    memset(seen, 0, sizeof(seen));
    while (page_allocate(&allocator, 7, PAGE_SIZE, PAGE_ZEROED, &page) == STATUS_OK) {
        assert_true(is_aligned(page.value, PAGE_SIZE) && page.value < RAM_BYTES);
        assert_int_equal(seen[page.value / PAGE_SIZE]++, 0);
        assert_int_equal(page_owner(&allocator, page), 7);
        assert_int_equal(ram[page.value], 0);
        assert_int_equal(ram[page.value + PAGE_SIZE - 1], 0);
        ram[page.value] = 0x5a;
        count++;
    }
    assert_int_equal(count, allocator.total_pages);
    assert_int_equal(page_free_count(&allocator), 0);
    for (uint64_t i = 0; i < RAM_BYTES / PAGE_SIZE; i++) {
        if (seen[i]) {
            assert_int_equal(page_free(&allocator, 7, hpa(i * PAGE_SIZE), PAGE_SIZE), STATUS_OK);
        }
    }
    assert_int_equal(page_free_count(&allocator), allocator.total_pages);
    assert_int_equal(allocator.whole.length, 12);
}

static void test_freed_page_is_zeroed(void **state)
{
    hpa_t page;
    (void)state;

    init_usual();
    assert_int_equal(page_allocate(&allocator, 1, PAGE_SIZE, PAGE_CONTENTS_KEPT, &page), STATUS_OK);
    memset(ram + page.value, 0xee, PAGE_SIZE);
    assert_int_equal(page_free(&allocator, 1, page, PAGE_SIZE), STATUS_OK);
    hpa_t again;
    assert_int_equal(page_allocate(&allocator, 2, PAGE_SIZE, PAGE_ZEROED, &again), STATUS_OK);
    assert_int_equal(again.value, page.value);
    for (uint32_t i = 0; i < PAGE_SIZE; i++) {
        assert_int_equal(ram[page.value + i], 0);
    }
}

static void test_large(void **state)
{
    hpa_t large;
    hpa_t small;
    (void)state;

    init_usual();
    uint64_t blocks = allocator.whole.length;
    assert_int_equal(page_allocate(&allocator, 3, LARGE_PAGE_SIZE, PAGE_ZEROED, &large), STATUS_OK);
    assert_true(is_aligned(large.value, LARGE_PAGE_SIZE));
    assert_int_equal(ram[large.value + LARGE_PAGE_SIZE - 1], 0);
    assert_int_equal(page_owner(&allocator, hpa(large.value + 5 * PAGE_SIZE)), 3);
    assert_int_equal(page_free(&allocator, 3, large, PAGE_SIZE), STATUS_INVALID);
    assert_int_equal(page_free(&allocator, 4, large, LARGE_PAGE_SIZE), STATUS_DENIED);
    assert_int_equal(page_free(&allocator, 3, hpa(large.value + PAGE_SIZE), LARGE_PAGE_SIZE),
                     STATUS_INVALID);
    assert_int_equal(page_free(&allocator, 3, large, LARGE_PAGE_SIZE), STATUS_OK);
    assert_int_equal(page_free(&allocator, 3, large, LARGE_PAGE_SIZE), STATUS_DENIED);
    assert_int_equal(allocator.whole.length, blocks);
    // Small pages come from broken blocks first.
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(page_allocate(&allocator, 3, PAGE_SIZE, PAGE_CONTENTS_KEPT, &small),
                         STATUS_OK);
    }
    assert_int_equal(allocator.whole.length, blocks);
}

static void test_refusals(void **state)
{
    hpa_t page;
    (void)state;

    init_usual();
    assert_int_equal(page_allocate(&allocator, PAGE_OWNER_FREE, PAGE_SIZE, PAGE_ZEROED, &page),
                     STATUS_INVALID);
    assert_int_equal(page_allocate(&allocator, PAGE_OWNER_RESERVED, PAGE_SIZE, PAGE_ZEROED, &page),
                     STATUS_INVALID);
    assert_int_equal(page_allocate(&allocator, PAGE_OWNER_KERNEL, PAGE_SIZE, PAGE_ZEROED, &page),
                     STATUS_OK);
    assert_int_equal(page_free(&allocator, 1, page, PAGE_SIZE), STATUS_DENIED);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_KERNEL, hpa(page.value + 1), PAGE_SIZE),
                     STATUS_INVALID);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_KERNEL, hpa(1ull << 45), PAGE_SIZE),
                     STATUS_INVALID);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_KERNEL, page, PAGE_SIZE), STATUS_OK);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_KERNEL, page, PAGE_SIZE), STATUS_DENIED);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_FREE, page, PAGE_SIZE), STATUS_INVALID);
    assert_int_equal(page_free(&allocator, PAGE_OWNER_RESERVED, hpa(0), PAGE_SIZE), STATUS_INVALID);
}

struct held {
    hpa_t page;
    uint32_t owner;
    bool large;
};

static void release(const struct held *held)
{
    assert_int_equal(page_owner(&allocator, held->page), held->owner);
    if (held->large) {
        assert_int_equal(page_free(&allocator, held->owner, held->page, LARGE_PAGE_SIZE),
                         STATUS_OK);
    } else {
        assert_int_equal(page_free(&allocator, held->owner, held->page, PAGE_SIZE), STATUS_OK);
    }
}

static void test_random(void **state)
{
    static struct held held[4096];
    uint32_t count = 0;
    uint64_t pages = 0;
    uint64_t seed = 99;
    (void)state;

    init_usual();
    for (uint32_t i = 0; i < 60000; i++) {
        struct held each = {.owner = next_random(&seed) % 9, .large = next_random(&seed) % 64 == 0};

        if (next_random(&seed) % 100 < 52 && count < 4096) {
            enum status status = each.large ? page_allocate(&allocator, each.owner, LARGE_PAGE_SIZE,
                                                            PAGE_CONTENTS_KEPT, &each.page)
                                            : page_allocate(&allocator, each.owner, PAGE_SIZE,
                                                            PAGE_CONTENTS_KEPT, &each.page);
            if (status == STATUS_OK) {
                held[count++] = each;
                pages += each.large ? 512 : 1;
            }
        } else if (count > 0) {
            uint32_t which = next_random(&seed) % count;

            pages -= held[which].large ? 512 : 1;
            release(&held[which]);
            held[which] = held[--count];
        }
        assert_int_equal(page_free_count(&allocator), allocator.total_pages - pages);
    }
    while (count > 0) {
        release(&held[--count]);
    }
    assert_int_equal(allocator.whole.length, 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),           cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_all_pages_once), cmocka_unit_test(test_freed_page_is_zeroed),
        cmocka_unit_test(test_large),          cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
