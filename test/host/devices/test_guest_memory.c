// SPDX-License-Identifier: MIT
// Guest memory: what may be added, and that no access leaves the ranges.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "vmm/devices/guest_memory.h"

static uint8_t low[0x1000], high[0x1000], rom[0x1000];

// low at 0x1000, high right behind it, rom after a hole of 0x1000.
static struct guest_memory make(void)
{
    struct guest_memory memory;
    guest_memory_init(&memory);
    memset(low, 1, sizeof(low));
    memset(high, 2, sizeof(high));
    memset(rom, 3, sizeof(rom));
    // out of order on purpose
    assert_int_equal(guest_memory_add(&memory, gpa(0x4000), 0x1000, rom, true), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(0x1000), 0x1000, low, false), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(0x2000), 0x1000, high, false), STATUS_OK);
    return memory;
}

static void refuses_bad_ranges(void **state)
{
    (void)state;
    struct guest_memory memory = make();
    static const struct {
        uint64_t start, size;
    } bad[] = {{0x8000, 0},         {0x1800, 0x10},  {0x800, 0x801},
               {0x1fff, 1},         {0x0, 0x10000},  {0x4fff, 1},
               {0x3fff, 2},         {UINT64_MAX, 2}, {UINT64_MAX - 0xfff, 0x1001},
               {0x8000, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(guest_memory_add(&memory, gpa(bad[i].start), bad[i].size, low, false),
                         STATUS_INVALID);
    assert_int_equal(guest_memory_add(&memory, gpa(0x8000), 16, NULL, false), STATUS_INVALID);
    assert_int_equal(memory.count, 3);
    assert_int_equal(guest_memory_total(&memory), 0x3000);
    assert_int_equal(guest_memory_add(&memory, gpa(0), 0x1000, low, false), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(0x3000), 0x1000, low, false), STATUS_OK);
    for (unsigned i = 5; i < GUEST_MEMORY_RANGES; i++)
        assert_int_equal(guest_memory_add(&memory, gpa(0x10000 * i), 1, low, false), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(0x100000), 1, low, false), STATUS_NO_MEMORY);
    for (unsigned i = 1; i < memory.count; i++)
        assert_true(memory.range[i - 1].start < memory.range[i].start);
}

static void pointers_stay_inside_one_range(void **state)
{
    (void)state;
    struct guest_memory memory = make();
    assert_ptr_equal(guest_memory_pointer(&memory, gpa(0x1000), 0x1000), low);
    assert_ptr_equal(guest_memory_pointer(&memory, gpa(0x2fff), 1), high + 0xfff);
    assert_null(guest_memory_pointer(&memory, gpa(0x1fff), 2));
    assert_null(guest_memory_pointer(&memory, gpa(0xfff), 1));
    assert_null(guest_memory_pointer(&memory, gpa(0x3000), 1));
    assert_null(guest_memory_pointer(&memory, gpa(0x1000), 0));
    assert_null(guest_memory_pointer(&memory, gpa(0x1800), UINT64_MAX));
    assert_null(guest_memory_pointer(&memory, gpa(UINT64_MAX), 1));
}

static void copies_span_neighbours(void **state)
{
    (void)state;
    struct guest_memory memory = make();
    uint8_t bytes[4] = {0xa, 0xb, 0xc, 0xd};
    uint8_t back[6];
    assert_int_equal(guest_memory_write(&memory, gpa(0x1ffe), bytes, 4), STATUS_OK);
    assert_int_equal(low[0xfff], 0xb);
    assert_int_equal(high[0], 0xc);
    assert_int_equal(guest_memory_read(&memory, gpa(0x1ffd), back, 6), STATUS_OK);
    assert_memory_equal(back, ((uint8_t[]){1, 0xa, 0xb, 0xc, 0xd, 2}), 6);
    assert_int_equal(guest_memory_fill(&memory, gpa(0x1fff), 0xee, 2), STATUS_OK);
    assert_int_equal(low[0xfff], 0xee);
    assert_int_equal(high[0], 0xee);
    assert_int_equal(high[1], 0xd);
    assert_true(guest_memory_covers(&memory, gpa(0x1000), 0x2000));
    assert_false(guest_memory_covers(&memory, gpa(0x1000), 0x2001));
    assert_true(guest_memory_covers(&memory, gpa(0x9000), 0));
    assert_false(guest_memory_covers(&memory, gpa(0x1000), UINT64_MAX));
}

static void failing_copies_change_nothing(void **state)
{
    (void)state;
    struct guest_memory memory = make();
    uint8_t bytes[0x20];
    memset(bytes, 0x55, sizeof(bytes));
    assert_int_equal(guest_memory_write(&memory, gpa(0x2ff0), bytes, 0x11), STATUS_FAULT);
    assert_int_equal(high[0xff0], 2);
    assert_int_equal(guest_memory_fill(&memory, gpa(0x2ff0), 9, 0x11), STATUS_FAULT);
    assert_int_equal(high[0xff0], 2);
    assert_int_equal(guest_memory_write(&memory, gpa(0x4000), bytes, 1), STATUS_FAULT);
    assert_int_equal(guest_memory_fill(&memory, gpa(0x4000), 9, 1), STATUS_FAULT);
    assert_int_equal(rom[0], 3);
    assert_int_equal(guest_memory_read(&memory, gpa(0x4000), bytes, 1), STATUS_OK);
    assert_int_equal(bytes[0], 3);
    bytes[0] = 0x55;
    assert_int_equal(guest_memory_read(&memory, gpa(0x2fff), bytes, 2), STATUS_FAULT);
    assert_int_equal(bytes[0], 0x55);
    assert_int_equal(guest_memory_read(&memory, gpa(UINT64_MAX), bytes, 2), STATUS_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_ranges),
        cmocka_unit_test(pointers_stay_inside_one_range),
        cmocka_unit_test(copies_span_neighbours),
        cmocka_unit_test(failing_copies_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
