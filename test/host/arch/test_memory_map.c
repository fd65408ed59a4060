// SPDX-License-Identifier: MIT
// Tests arch/x86/boot/memory_map.c: ordinary maps, overlaps, odd boundaries, and random maps
// against a page-by-page model.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "arch/x86/boot/memory_map.h"

#define NONE 99

static struct boot_information information;

static void add(uint64_t start, uint64_t end, enum boot_memory_kind kind)
{
    assert_int_equal(memory_map_add_bytes(&information, start, end - start, kind), STATUS_OK);
}

static void reset(void)
{
    memset(&information, 0, sizeof information);
}

static void check_order(void)
{
    for (uint32_t i = 0; i < information.memory_count; i++) {
        const struct boot_memory *region = &information.memory[i];
        assert_true(region->start < region->end);
        assert_int_equal((region->start | region->end) & 4095, 0);
        if (i != 0) {
            assert_true(region[-1].end <= region->start);
            assert_false(region[-1].end == region->start && region[-1].kind == region->kind);
        }
    }
}

static unsigned kind_at(uint64_t address)
{
    for (uint32_t i = 0; i < information.memory_count; i++) {
        if (address >= information.memory[i].start && address < information.memory[i].end) {
            return information.memory[i].kind;
        }
    }
    return NONE;
}

static void test_typical(void **state)
{
    (void)state;
    reset();
    add(0, 0x9fc00, BOOT_MEMORY_FREE);
    add(0x9fc00, 0xa0000, BOOT_MEMORY_FIRMWARE);
    add(0xf0000, 0x100000, BOOT_MEMORY_FIRMWARE);
    add(0x100000, 0x1ffe0000, BOOT_MEMORY_FREE);
    add(0x1ffe0000, 0x20000000, BOOT_MEMORY_FIRMWARE);
    add(0x200000, 0x201001, BOOT_MEMORY_MODULE);
    add(0x100000, 0x145678, BOOT_MEMORY_KERNEL);
    check_order();
    assert_int_equal(kind_at(0), BOOT_MEMORY_LOW);
    assert_int_equal(kind_at(0x9e000), BOOT_MEMORY_LOW);
    assert_int_equal(kind_at(0x9f000), BOOT_MEMORY_FIRMWARE);
    assert_int_equal(kind_at(0xa0000), NONE);
    assert_int_equal(kind_at(0x100000), BOOT_MEMORY_KERNEL);
    assert_int_equal(kind_at(0x145000), BOOT_MEMORY_KERNEL);
    assert_int_equal(kind_at(0x146000), BOOT_MEMORY_FREE);
    assert_int_equal(kind_at(0x201000), BOOT_MEMORY_MODULE);
    assert_int_equal(kind_at(0x202000), BOOT_MEMORY_FREE);
    assert_int_equal(kind_at(0x1ffe0000), BOOT_MEMORY_FIRMWARE);
}

static void test_carve(void **state)
{
    (void)state;
    reset();
    add(0x100000, 0x900000, BOOT_MEMORY_FREE);
    add(0x100000, 0x200000, BOOT_MEMORY_KERNEL);
    assert_int_equal(information.memory_count, 2);
    add(0x800000, 0x900000, BOOT_MEMORY_ARCH);
    add(0x700000, 0x800000, BOOT_MEMORY_ARCH);
    check_order();
    assert_int_equal(information.memory_count, 3);
    assert_int_equal(kind_at(0x6ff000), BOOT_MEMORY_FREE);
    assert_int_equal(kind_at(0x700000), BOOT_MEMORY_ARCH);
    add(0x300000, 0x400000, BOOT_MEMORY_ARCH);
    assert_int_equal(memory_map_add(&information, 0x600000, 0x500000, BOOT_MEMORY_ARCH),
                     STATUS_OK); // empty
    check_order();
    assert_int_equal(information.memory_count, 5);
}

static void test_edges(void **state)
{
    (void)state;
    reset();
    add(UINT64_MAX - 0x10000, UINT64_MAX, BOOT_MEMORY_FIRMWARE);
    add(UINT64_MAX - 0x10, UINT64_MAX, BOOT_MEMORY_FREE);
    add(0x100fff, 0x102001, BOOT_MEMORY_FREE);
    add(0x300001, 0x300fff, BOOT_MEMORY_FREE); // not a whole page
    add(0x400000, 0x400000, BOOT_MEMORY_FREE);
    add(0x600000, 0x600000, BOOT_MEMORY_KERNEL);
    check_order();
    assert_int_equal(kind_at(0x100000), NONE);
    assert_int_equal(kind_at(0x101000), BOOT_MEMORY_FREE);
    assert_int_equal(kind_at(0x102000), NONE);
    assert_int_equal(kind_at(0x300000), NONE);
    reset();
    for (uint64_t i = 0; i < BOOT_MEMORY_MAXIMUM; i++) {
        add(0x100000 + i * 0x2000, 0x101000 + i * 0x2000, BOOT_MEMORY_FREE);
    }
    add(0x100000, 0x100000, BOOT_MEMORY_KERNEL);
    assert_int_equal(information.memory_count, BOOT_MEMORY_MAXIMUM);
    assert_int_equal(memory_map_add(&information, 0x90000000, 0x90001000, BOOT_MEMORY_KERNEL),
                     STATUS_NO_MEMORY);
}

#define MODEL_PAGES 600u

static void paint_model(uint8_t *model, uint64_t first, uint64_t end, uint8_t kind)
{
    // The same order of usability, spelled out: free, low, firmware, module, kernel.
    static const uint8_t order[] = {BOOT_MEMORY_FREE, BOOT_MEMORY_LOW, BOOT_MEMORY_FIRMWARE,
                                    BOOT_MEMORY_MODULE, BOOT_MEMORY_KERNEL};
    for (uint64_t page = first; page < end; page++) {
        unsigned have = 0, want = 0;
        for (unsigned i = 0; i < sizeof order; i++) {
            have = order[i] == model[page] ? i : have;
            want = order[i] == kind ? i : want;
        }
        model[page] = model[page] == NONE || want > have ? kind : model[page];
    }
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        uint8_t model[MODEL_PAGES + 1];
        memset(model, NONE, sizeof model);
        reset();
        for (int i = 0; i < 12; i++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            uint64_t start = (seed >> 40) % (MODEL_PAGES * 4096ull);
            uint64_t size = (seed >> 20) % (MODEL_PAGES * 4096ull - start);
            uint64_t down = start / 4096, up = (start + 4095) / 4096;
            uint64_t end_down = (start + size) / 4096, end_up = (start + size + 4095) / 4096;
            if (i % 3 == 0) {
                add(start, start + size, BOOT_MEMORY_FIRMWARE);
                paint_model(model, down, end_up, BOOT_MEMORY_FIRMWARE);
            } else if (i % 3 == 1) {
                add(start, start + size, BOOT_MEMORY_FREE);
                paint_model(model, up, end_down < 256 ? end_down : 256, BOOT_MEMORY_LOW);
                paint_model(model, up > 256 ? up : 256, end_down, BOOT_MEMORY_FREE);
            } else if (i == 11) {
                add(down * 4096, down * 4096 + 0x1800, BOOT_MEMORY_MODULE);
                paint_model(model, down, down + 2 < MODEL_PAGES ? down + 2 : MODEL_PAGES,
                            BOOT_MEMORY_MODULE);
            }
        }
        add(0x100000, 0x104000, BOOT_MEMORY_KERNEL);
        paint_model(model, 256, 260, BOOT_MEMORY_KERNEL);
        check_order();
        for (uint64_t page = 0; page < MODEL_PAGES; page++) {
            assert_int_equal(kind_at(page * 4096), model[page]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),
        cmocka_unit_test(test_carve),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
