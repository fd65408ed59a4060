// SPDX-License-Identifier: MIT
// Tests kernel/process/handle_table.c.
#include "kernel_test.h"
#include "kernel/process/handle_table.h"

static void test_add_get_remove(void **state)
{
    static struct handle_table table;
    struct handle handle;
    uint32_t number = 99;
    int object;
    (void)state;

    assert_int_equal(handle_table_get(&table, 0, HANDLE_CHANNEL, &handle), STATUS_NOT_FOUND);
    assert_int_equal(handle_table_add(&table, (struct handle){HANDLE_CHANNEL, {&object}}, &number),
                     STATUS_OK);
    assert_int_equal(number, 0);
    assert_int_equal(handle_table_get(&table, 0, HANDLE_VM, &handle), STATUS_DENIED);
    assert_int_equal(handle_table_get(&table, 0, HANDLE_NONE, &handle), STATUS_DENIED);
    assert_int_equal(handle_table_get(&table, 0, HANDLE_CHANNEL, &handle), STATUS_OK);
    assert_ptr_equal(handle.object, &object);
    assert_int_equal(handle_table_get(&table, 1, HANDLE_NONE, &handle), STATUS_NOT_FOUND);
    assert_int_equal(handle_table_remove(&table, 0, &handle), STATUS_OK);
    assert_ptr_equal(handle.object, &object);
    assert_int_equal(handle_table_remove(&table, 0, &handle), STATUS_NOT_FOUND);
}

static void test_wild_numbers(void **state)
{
    static struct handle_table table;
    static const uint64_t numbers[] = {HANDLE_MAXIMUM, 1ull << 32, UINT64_MAX, INT64_MAX};
    struct handle handle = {HANDLE_VM, {.value = 1}};
    uint32_t number;
    (void)state;

    for (uint32_t i = 0; i < HANDLE_MAXIMUM; i++) {
        assert_int_equal(handle_table_add(&table, handle, &number), STATUS_OK);
    }
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(handle_table_get(&table, numbers[i], HANDLE_VM, &handle),
                         STATUS_NOT_FOUND);
        assert_int_equal(handle_table_remove(&table, numbers[i], &handle), STATUS_NOT_FOUND);
    }
}

static void test_full_and_lowest(void **state)
{
    static struct handle_table table;
    struct handle handle = {HANDLE_MODULE, {.value = 3}};
    uint32_t number = 99;
    (void)state;

    for (uint32_t i = 0; i < HANDLE_MAXIMUM; i++) {
        assert_int_equal(handle_table_add(&table, handle, &number), STATUS_OK);
        assert_int_equal(number, i);
    }
    assert_int_equal(handle_table_add(&table, handle, &number), STATUS_NO_MEMORY);
    assert_int_equal(handle_table_remove(&table, 17, &handle), STATUS_OK);
    assert_int_equal(handle_table_remove(&table, 5, &handle), STATUS_OK);
    assert_int_equal(handle_table_add(&table, handle, &number), STATUS_OK);
    assert_int_equal(number, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_get_remove),
        cmocka_unit_test(test_wild_numbers),
        cmocka_unit_test(test_full_and_lowest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
