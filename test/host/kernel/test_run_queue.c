// SPDX-License-Identifier: MIT
// Tests kernel/thread/run_queue.c: order, priorities, removal from the middle, deadlines.
#include "kernel_test.h"
#include <string.h>
#include "kernel/thread/run_queue.h"

static void test_queue_order(void **state)
{
    struct queue queue = {0};
    struct queue_node nodes[4] = {0};
    (void)state;

    assert_null(queue_pop(&queue));
    for (uint32_t i = 0; i < 4; i++) {
        queue_push(&queue, &nodes[i]);
    }
    queue_remove(&nodes[1]);
    queue_remove(&nodes[1]);
    assert_int_equal(queue.length, 3);
    assert_ptr_equal(queue_pop(&queue), &nodes[0]);
    queue_remove(&nodes[3]);
    queue_push(&queue, &nodes[1]);
    assert_ptr_equal(queue_pop(&queue), &nodes[2]);
    assert_ptr_equal(queue_pop(&queue), &nodes[1]);
    assert_null(queue_pop(&queue));
    assert_int_equal(queue.length, 0);
    assert_null(nodes[2].queue);
}

static void test_priorities(void **state)
{
    struct run_queue queue = {0};
    struct queue_node low[2] = {0};
    struct queue_node high[2] = {0};
    (void)state;

    assert_null(run_queue_pop(&queue));
    assert_false(run_queue_has(&queue, 0));
    run_queue_push(&queue, &low[0], 0);
    assert_true(run_queue_has(&queue, 0));
    assert_false(run_queue_has(&queue, 1));
    assert_false(run_queue_has(&queue, 2));
    run_queue_push(&queue, &high[0], 1);
    run_queue_push(&queue, &low[1], 0);
    run_queue_push(&queue, &high[1], 1);
    assert_true(run_queue_has(&queue, 1));
    assert_ptr_equal(run_queue_pop(&queue), &high[0]);
    assert_ptr_equal(run_queue_pop(&queue), &high[1]);
    assert_ptr_equal(run_queue_pop(&queue), &low[0]);
    assert_ptr_equal(run_queue_pop(&queue), &low[1]);
    assert_null(run_queue_pop(&queue));
}

static void test_deadlines(void **state)
{
    struct deadline_queue queue = {0};
    struct deadline_node nodes[4] = {0};
    (void)state;

    assert_int_equal(deadline_queue_next(&queue), DEADLINE_NONE);
    assert_null(deadline_queue_pop_due(&queue, DEADLINE_NONE));
    deadline_queue_insert(&queue, &nodes[0], 50);
    deadline_queue_insert(&queue, &nodes[1], 10);
    deadline_queue_insert(&queue, &nodes[2], 50);
    deadline_queue_insert(&queue, &nodes[3], 30);
    assert_int_equal(deadline_queue_next(&queue), 10);
    assert_null(deadline_queue_pop_due(&queue, 9));
    assert_ptr_equal(deadline_queue_pop_due(&queue, 10), &nodes[1]);
    deadline_queue_remove(&queue, &nodes[3]);
    deadline_queue_remove(&queue, &nodes[3]);
    assert_ptr_equal(deadline_queue_pop_due(&queue, 1000), &nodes[0]);
    assert_ptr_equal(deadline_queue_pop_due(&queue, 1000), &nodes[2]);
    assert_null(deadline_queue_pop_due(&queue, 1000));
    assert_false(nodes[2].queued);
}

#define NODES 50u

static void test_deadlines_random(void **state)
{
    struct deadline_queue queue = {0};
    struct deadline_node nodes[NODES] = {0};
    uint64_t seed = 3;
    uint64_t now = 0;
    uint32_t queued = 0;
    (void)state;

    for (uint32_t i = 0; i < 30000; i++) {
        struct deadline_node *node = &nodes[next_random(&seed) % NODES];

        if (!node->queued) {
            deadline_queue_insert(&queue, node, now + next_random(&seed) % 100);
            queued++;
        } else if (next_random(&seed) % 4 == 0) {
            deadline_queue_remove(&queue, node);
            queued--;
        }
        now += next_random(&seed) % 5;
        uint64_t last = 0;
        while ((node = deadline_queue_pop_due(&queue, now)) != NULL) {
            queued--;
        }
        uint32_t counted = 0;
        for (const struct deadline_node *each = queue.first; each; each = each->next) {
            assert_true(each->deadline > now && each->deadline >= last);
            last = each->deadline;
            counted++;
        }
        assert_int_equal(counted, queued);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_order),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_deadlines_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
