// SPDX-License-Identifier: MIT
// Tests kernel/ipc/channel_slot.c: the protocol of PRIMITIVES.md on one slot.
#include "kernel_test.h"
#include "kernel/ipc/channel_slot.h"

static void test_send_and_receive(void **state)
{
    struct channel_slot slot = {0};
    uint32_t count = 77;
    (void)state;

    assert_int_equal(channel_slot_peek(&slot, 4096, &count), STATUS_EMPTY);
    assert_true(channel_slot_claim(&slot));
    assert_false(channel_slot_claim(&slot));
    assert_int_equal(channel_slot_peek(&slot, 4096, &count), STATUS_EMPTY);
    assert_int_equal(count, 77);
    channel_slot_store(&slot, 12);
    assert_false(channel_slot_claim(&slot));
    assert_int_equal(channel_slot_peek(&slot, 12, &count), STATUS_OK);
    assert_int_equal(count, 12);
    channel_slot_finish(&slot, false);
    assert_int_equal(channel_slot_peek(&slot, 4096, &count), STATUS_EMPTY);
    assert_true(channel_slot_claim(&slot));
}

static void test_small_buffer_keeps_message(void **state)
{
    struct channel_slot slot = {.busy = 1, .count = 100};
    uint32_t count = 77;
    (void)state;

    assert_int_equal(channel_slot_peek(&slot, 99, &count), STATUS_TOO_SMALL);
    assert_int_equal(channel_slot_peek(&slot, 0, &count), STATUS_TOO_SMALL);
    assert_int_equal(count, 77);
    assert_int_equal(slot.count, 100);
    assert_int_equal(slot.busy, 1);
}

static void test_hand_over_stays_busy(void **state)
{
    struct channel_slot slot = {.busy = 1, .count = 100};
    uint32_t count;
    (void)state;

    channel_slot_finish(&slot, true);
    assert_int_equal(slot.busy, 1);
    assert_false(channel_slot_claim(&slot)); // nobody gets in between
    assert_int_equal(channel_slot_peek(&slot, 4096, &count), STATUS_EMPTY);
    channel_slot_store(&slot, 5);
    assert_int_equal(channel_slot_peek(&slot, 4096, &count), STATUS_OK);
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_send_and_receive),
        cmocka_unit_test(test_small_buffer_keeps_message),
        cmocka_unit_test(test_hand_over_stays_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
