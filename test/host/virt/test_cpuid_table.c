// SPDX-License-Identifier: MIT
// Tests the index of a VM's CPUID table against a search from the first entry to the last.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/virt/cpuid_table.h"

static struct cpuid_table table;

static const struct vm_cpuid_entry *search(size_t count, uint32_t leaf, uint32_t subleaf)
{
    for (size_t i = 0; i < count; i++) {
        const struct vm_cpuid_entry *entry = &table.entries[i];

        if (entry->leaf == leaf &&
            ((entry->flags & VM_CPUID_SUBLEAF) == 0 || entry->subleaf == subleaf)) {
            return entry;
        }
    }
    return NULL;
}

static void an_empty_table_has_nothing(void **state)
{
    (void)state;
    memset(&table, 0xff, sizeof(table));
    assert_int_equal(cpuid_table_build(&table, 0), STATUS_OK);
    assert_null(cpuid_table_find(&table, 0, 0));
    assert_null(cpuid_table_find(&table, UINT32_MAX, 0));
}

static void bad_tables_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    memset(&table, 0, sizeof(table));
    assert_int_equal(cpuid_table_build(&table, VM_CPUID_MAXIMUM + 1), STATUS_INVALID);
    table.entries[3].flags = 8;
    assert_int_equal(cpuid_table_build(&table, 4), STATUS_INVALID);
    assert_null(cpuid_table_find(&table, 0, 0));
}

static void finds_what_a_search_finds(void **state)
{
    static const uint32_t leaves[] = {0,          1,          4,          7,          0xd,
                                      0x4d,       0x15,       0x40000000, 0x40000001, 0x80000000,
                                      0x80000008, 0x8000000d, 0xc0000000, 0x1000000};

    (void)state;
    srand(1);
    for (unsigned round = 0; round < 300; round++) {
        size_t count = (size_t)rand() % (VM_CPUID_MAXIMUM + 1);

        for (size_t i = 0; i < count; i++) {
            table.entries[i] = (struct vm_cpuid_entry){
                .leaf = leaves[(size_t)rand() % (sizeof(leaves) / sizeof(leaves[0]))],
                .subleaf = (uint32_t)rand() % 4,
                .flags = (uint32_t)rand() % 8,
            };
        }
        assert_int_equal(cpuid_table_build(&table, count), STATUS_OK);
        for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
            for (uint32_t subleaf = 0; subleaf < 5; subleaf++) {
                assert_ptr_equal(cpuid_table_find(&table, leaves[i], subleaf),
                                 search(count, leaves[i], subleaf));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_has_nothing),
        cmocka_unit_test(bad_tables_are_refused_and_leave_nothing),
        cmocka_unit_test(finds_what_a_search_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
