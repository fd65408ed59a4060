// SPDX-License-Identifier: MIT
// The bookkeeping of checked builds: what a CPU may take, what it holds, and how long it did.
#include "kernel/lock/lock_order.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct lock tree = LOCK_INITIAL(LOCK_PROCESS_TREE);
static struct lock channel = LOCK_INITIAL(LOCK_CHANNEL);
static struct lock other_channel = LOCK_INITIAL(LOCK_CHANNEL);
static struct lock log_lock = LOCK_INITIAL(LOCK_LOG);

static void test_ranks_rise(void **state)
{
    struct lock_watch watch = {0};

    (void)state;
    assert_true(lock_watch_allows(&watch, &channel));
    lock_watch_own(&watch, &channel, 3, 100);
    assert_int_equal(channel.holder, 3);
    assert_false(lock_watch_allows(&watch, &tree));          // a smaller rank
    assert_false(lock_watch_allows(&watch, &other_channel)); // the same rank
    assert_false(lock_watch_allows(&watch, &channel));       // the same lock
    assert_true(lock_watch_allows(&watch, &log_lock));
    assert_true(lock_watch_release(&watch, &channel, 100));
    assert_int_equal(channel.holder, 0);
    assert_true(lock_watch_allows(&watch, &tree));
}

static void test_a_lock_without_rank(void **state)
{
    struct lock_watch watch = {0};
    struct lock zeroed = {0};
    struct lock beyond = {.rank = LOCK_RANK_COUNT};

    (void)state;
    assert_false(lock_watch_allows(&watch, &zeroed));
    assert_false(lock_watch_allows(&watch, &beyond));
}

static void test_release_in_any_order(void **state)
{
    struct lock_watch watch = {0};

    (void)state;
    lock_watch_own(&watch, &tree, 1, 10);
    lock_watch_own(&watch, &channel, 1, 20);
    lock_watch_own(&watch, &log_lock, 1, 30);
    assert_true(lock_watch_release(&watch, &channel, 45));
    assert_false(lock_watch_release(&watch, &channel, 46)); // not held any more
    assert_false(lock_watch_allows(&watch, &channel));      // log is still held
    assert_true(lock_watch_release(&watch, &log_lock, 40));
    assert_true(lock_watch_allows(&watch, &channel));
    assert_true(lock_watch_release(&watch, &tree, 1010));
    assert_int_equal(watch.held_count, 0);
    assert_int_equal(watch.longest[LOCK_CHANNEL], 25);
    assert_int_equal(watch.longest[LOCK_LOG], 10);
    assert_int_equal(watch.longest[LOCK_PROCESS_TREE], 1000);
}

static void test_the_longest_hold_stays(void **state)
{
    struct lock_watch watch = {0};
    static const uint64_t holds[] = {5, 70, 20};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        lock_watch_own(&watch, &channel, 1, 1000);
        assert_true(lock_watch_release(&watch, &channel, 1000 + holds[i]));
    }
    assert_int_equal(watch.longest[LOCK_CHANNEL], 70);
    assert_int_equal(watch.count[LOCK_CHANNEL], 3);
    assert_int_equal(watch.count[LOCK_VM], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_rise),
        cmocka_unit_test(test_a_lock_without_rank),
        cmocka_unit_test(test_release_in_any_order),
        cmocka_unit_test(test_the_longest_hold_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
