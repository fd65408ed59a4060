// SPDX-License-Identifier: MIT
// One test for whichever lock it is linked with, with real threads: mutual exclusion, first come
// first served, and a lock that is as good as new after it was contended.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "kernel/lock/lock.h"

#define THREADS 8u
#define ROUNDS  15000u

// -- mutual exclusion -----------------------------------------------------------------------------

static struct shared {
    struct lock lock;
    uint64_t counter; // guarded by lock, and not atomic
    uint64_t mirror;
    uint64_t torn;   // times that both differed
    uint32_t inside; // holders at the moment
    uint32_t crowded;
} shared = {.lock = LOCK_INITIAL(LOCK_CHANNEL)};

static void step(uint32_t thread, uint32_t round)
{
    lock_acquire(&shared.lock);
    shared.crowded += shared.inside++ != 0;
    shared.torn += shared.counter != shared.mirror;
    shared.counter++;
    if ((thread + round) % 1024 == 0) {
        sched_yield(); // others come while it is held
    }
    shared.mirror++;
    shared.inside--;
    lock_release(&shared.lock);
}

static void *hammer(void *argument)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        step((uint32_t)(uintptr_t)argument, i);
    }
    return NULL;
}

static void test_mutual_exclusion(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, (void *)i), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(shared.counter, (uint64_t)THREADS * ROUNDS);
    assert_int_equal(shared.mirror, shared.counter);
    assert_int_equal(shared.torn, 0);
    assert_int_equal(shared.crowded, 0);
}

// -- order ----------------------------------------------------------------------------------------

static struct line {
    struct lock lock;
    uint32_t order[THREADS]; // guarded by lock
    uint32_t served;
} line = {.lock = LOCK_INITIAL(LOCK_CHANNEL)};

static void *queue_up(void *argument)
{
    lock_acquire(&line.lock);
    line.order[line.served++] = (uint32_t)(uintptr_t)argument;
    lock_release(&line.lock);
    return NULL;
}

// Starts thread i and returns when it stands in line, which changes `last` in both locks.
static pthread_t queue_thread(uintptr_t i)
{
    uint64_t before = atomic_load(&line.lock.last);
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, queue_up, (void *)i), 0);
    while (atomic_load(&line.lock.last) == before) {
        sched_yield();
    }
    return thread;
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        pthread_t threads[THREADS];

        line.served = 0;
        lock_acquire(&line.lock);
        for (uintptr_t i = 0; i < THREADS; i++) {
            threads[i] = queue_thread(i);
        }
        assert_int_equal(line.served, 0);
        lock_release(&line.lock);
        for (uint32_t i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        for (uint32_t i = 0; i < THREADS; i++) {
            assert_int_equal(line.order[i], i);
        }
    }
}

// -- a chain: each releases while another one comes -----------------------------------------------

static struct relay {
    struct lock locks[2];
    uint64_t passes[2]; // each guarded by its lock
} relay = {.locks = {LOCK_INITIAL(LOCK_CHANNEL), LOCK_INITIAL(LOCK_VM)}};

static void *nest(void *argument)
{
    (void)argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        lock_acquire(&relay.locks[0]);
        lock_acquire(&relay.locks[1]);
        relay.passes[0]++;
        lock_release(&relay.locks[0]); // not the one taken last
        relay.passes[1]++;
        lock_release(&relay.locks[1]);
    }
    return NULL;
}

static void test_two_locks_released_in_any_order(void **state)
{
    pthread_t threads[3];

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, nest, NULL), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(relay.passes[0], 3 * ROUNDS);
    assert_int_equal(relay.passes[1], 3 * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutual_exclusion),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_two_locks_released_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
