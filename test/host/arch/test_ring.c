// SPDX-License-Identifier: MIT
// Tests drivers/ring.c: the console ring's 511 characters, the loss of the oldest, and random use
// against a plain queue.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "drivers/ring.h"

static void test_console_ring(void **state)
{
    (void)state;
    uint8_t slots[512];
    struct ring ring;
    ring_initialize(&ring, slots, sizeof slots);
    assert_int_equal(ring_pop(&ring), -1);
    assert_int_equal(ring_count(&ring), 0);
    for (unsigned i = 0; i < 511; i++) {
        ring_push_over(&ring, (uint8_t)i);
    }
    assert_int_equal(ring.dropped, 0);
    assert_int_equal(ring_count(&ring), 511);
    assert_false(ring_push(&ring, 9));
    ring_push_over(&ring, 0xaa);
    assert_int_equal(ring.dropped, 1);
    assert_int_equal(ring_count(&ring), 511);
    for (unsigned i = 1; i < 511; i++) {
        assert_int_equal(ring_pop(&ring), i & 0xff);
    }
    assert_int_equal(ring_pop(&ring), 0xaa);
    assert_int_equal(ring_pop(&ring), -1);
}

static void test_against_queue(void **state)
{
    (void)state;
    uint8_t slots[5];
    uint8_t queue[4];
    unsigned count = 0;
    uint64_t dropped = 0;
    struct ring ring;
    ring_initialize(&ring, slots, sizeof slots);
    srand(1);
    for (int step = 0; step < 100000; step++) {
        uint8_t byte = (uint8_t)rand();
        switch (rand() % 3) {
        case 0:
            assert_int_equal(ring_push(&ring, byte), count < 4);
            if (count < 4) {
                queue[count++] = byte;
            }
            break;
        case 1:
            ring_push_over(&ring, byte);
            if (count == 4) {
                memmove(queue, queue + 1, 3);
                count--;
                dropped++;
            }
            queue[count++] = byte;
            break;
        default:
            assert_int_equal(ring_pop(&ring), count != 0 ? queue[0] : -1);
            if (count != 0) {
                memmove(queue, queue + 1, --count);
            }
            break;
        }
        assert_int_equal(ring_count(&ring), count);
        assert_int_equal(ring.dropped, dropped);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_console_ring),
        cmocka_unit_test(test_against_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
