// SPDX-License-Identifier: MIT
// The pure half of the link to the console process: batches of output, the queue of input.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "test/host/monitor/machine_fixture.h"

static void test_output_batch(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (unsigned i = 0; i < LINK_OUTPUT_BATCH; i++) {
        assert_int_equal(fixture->link.flush_at == 0, 0);
        link_output(&fixture->link, (uint8_t)i);
    }
    assert_int_equal(fixture->link.flush_at, 0);
    for (unsigned i = 0; i < MESSAGE_MAXIMUM; i++) {
        link_output(&fixture->link, (uint8_t)i);
    }
    assert_int_equal(fixture->link.output.header.length, MESSAGE_MAXIMUM);
    assert_int_equal(fixture->link.output_lost, LINK_OUTPUT_BATCH);
    free(fixture);
}

static void test_link_input(void **state)
{
    struct fixture *fixture = fixture_new();
    struct link_message message = {{MESSAGE_INPUT, 3}, "abc"};

    (void)state;
    assert_int_equal(link_input(&fixture->link, true), -1);
    link_take(&fixture->link, &message);
    assert_true(fixture->link.input_arrived);
    assert_int_equal(link_input(&fixture->link, false), 'a');
    assert_int_equal(link_input(&fixture->link, true), 'a');
    assert_false(fixture->link.consumed_due);
    assert_int_equal(link_input(&fixture->link, true), 'b');
    assert_int_equal(link_input(&fixture->link, true), 'c');
    assert_true(fixture->link.consumed_due);
    assert_int_equal(fixture->link.consumed, 3);
    message.header.type = MESSAGE_PAUSE;
    link_take(&fixture->link, &message);
    assert_true(fixture->link.paused);
    message.header.type = MESSAGE_RESUME;
    link_take(&fixture->link, &message);
    assert_false(fixture->link.paused);
    message.header.type = MESSAGE_STOP;
    link_take(&fixture->link, &message);
    assert_true(fixture->link.stop_wanted);
    message.header.type = 999;
    link_take(&fixture->link, &message);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_batch),
        cmocka_unit_test(test_link_input),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
