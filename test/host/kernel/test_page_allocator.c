// SPDX-License-Identifier: MIT
// Tests how the page allocator takes over RAM, on a buffer that stands for RAM from physical
// address 0. What it does then is tested in lock-step with its specification.
#include "kernel_test.h"
#include <stdlib.h>
#include <string.h>
#include "kernel/core/processors.h"
#include "kernel/memory/page_allocator.h"

#define RAM_BYTES (16 * LARGE_PAGE_SIZE)

static struct page_allocator allocator;
static uint8_t *ram;

// None of them keeps pages.
uint32_t processor_count(void)
{
    return 0;
}

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
    assert_int_equal(allocator.whole, 7 + 5);
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
    const struct page_range tiny[] = {{0x1000, 0x2000}, {RAM_BYTES - PAGE_SIZE, RAM_BYTES}};
    (void)state;

    assert_int_equal(page_allocator_init(&allocator, reversed, 1, ram), STATUS_INVALID);
    assert_int_equal(page_allocator_init(&allocator, odd, 1, ram), STATUS_INVALID);
    assert_int_equal(page_allocator_init(&allocator, tiny, 2, ram), STATUS_NO_MEMORY);
    assert_int_equal(page_allocator_init(&allocator, tiny, 0, ram), STATUS_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
