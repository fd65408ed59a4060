// SPDX-License-Identifier: MIT
// Shares of the CPU: a simulated CPU runs threads that compute, sleep and wake at random; what each
// share got is compared with its weight, and what each thread waited with the bound of share.h.
#include "kernel/thread/share.h"
#include "test/host/kernel/kernel_test.h"

#define SLICE   1000u
#define THREADS 24u

struct worker {
    struct queue_node node; // first
    uint32_t share;
    uint32_t weight;
    bool ready;
    uint64_t ticks;  // that it ran
    uint64_t since;  // it waits since then
    uint64_t waited; // at the longest
};

static struct share_queue queue;
static struct worker workers[THREADS];
static uint64_t now;
static uint64_t longest_step; // that any worker ran beyond the end of its turn

static void begin_world(void)
{
    queue = (struct share_queue){0};
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.weight = SHARE_WEIGHT_DEFAULT};
    }
    now = 0;
    longest_step = 0;
}

static uint64_t turn_of(const struct worker *worker)
{
    return (uint64_t)SLICE * worker->weight / SHARE_WEIGHT_DEFAULT;
}

static void wake(struct worker *worker)
{
    worker->ready = true;
    worker->since = now;
    share_push(&queue, &queue.shares[worker->share], turn_of(worker), &worker->node);
}

// Runs the next worker for at most `step` ticks at once until its turn is over or, after `wish`
// ticks, it goes to sleep. Returns it; null: nobody is ready.
static struct worker *run_next(uint64_t step, uint64_t wish, bool sleeps)
{
    struct worker *worker = (struct worker *)share_pop(&queue);
    uint64_t ran = 0;

    if (!worker) {
        return NULL;
    }
    uint64_t budget = (uint64_t)queue.shares[worker->share].budget;
    assert_true((int64_t)budget > 0);
    worker->waited = now - worker->since > worker->waited ? now - worker->since : worker->waited;
    while (ran < budget && ran < wish) {
        ran += step;
    }
    if (ran > budget && ran - budget > longest_step) {
        longest_step = ran - budget;
    }
    now += ran;
    worker->ticks += ran;
    share_charge(&queue.shares[worker->share], ran);
    worker->ready = false;
    if (!sleeps) {
        wake(worker);
    }
    return worker;
}

// -- all of them always busy ----------------------------------------------------------------------

// What share i got in ticks for a weight of SHARE_WEIGHT_DEFAULT.
static int64_t fair_ticks(uint32_t share)
{
    uint64_t ticks = 0;
    uint32_t weight = 1;

    for (uint32_t i = 0; i < THREADS; i++) {
        if (workers[i].share == share && workers[i].ready) {
            ticks += workers[i].ticks;
            weight = workers[i].weight;
        }
    }
    return (int64_t)(ticks * SHARE_WEIGHT_DEFAULT / weight);
}

// One turn, and what a worker ran too long, in ticks for the default weight.
static int64_t tolerance(uint32_t weight)
{
    return (int64_t)(SLICE + longest_step * SHARE_WEIGHT_DEFAULT / weight);
}

static void check_fair(uint32_t shares, const uint32_t *weights)
{
    for (uint32_t i = 1; i < shares; i++) {
        int64_t difference = fair_ticks(i) - fair_ticks(0);
        int64_t bound = tolerance(weights[i]) + tolerance(weights[0]);

        assert_true(difference <= bound && difference >= -bound);
    }
}

static void test_busy_shares_get_their_weights(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t shares = 2 + next_random(&random) % 7;
        uint32_t weights[8];

        begin_world();
        for (uint32_t i = 0; i < shares; i++) {
            weights[i] = 1 + next_random(&random) % SHARE_WEIGHT_MAXIMUM;
        }
        for (uint32_t i = 0; i < THREADS; i++) { // some shares have many threads, some one
            workers[i].share = i < shares ? i : next_random(&random) % shares;
            workers[i].weight = weights[workers[i].share];
            wake(&workers[i]);
        }
        for (uint32_t i = 0; i < 3000; i++) {
            assert_non_null(run_next(1 + next_random(&random) % 700, UINT64_MAX, false));
            check_fair(shares, weights);
        }
    }
}

static void test_one_to_three(void **state)
{
    (void)state;
    begin_world();
    workers[1].share = 1;
    workers[1].weight = 300;
    wake(&workers[0]);
    wake(&workers[1]);
    for (uint32_t i = 0; i < 1000; i++) {
        run_next(7, UINT64_MAX, false);
    }
    assert_in_range(workers[1].ticks * 1000 / workers[0].ticks, 2990, 3010);
}

// -- sleepers -------------------------------------------------------------------------------------

// A thread that wakes waits for one turn of each other share, and what it owes, at most; nobody is
// forgotten.
static void test_nobody_waits_longer_than_a_round(void **state)
{
    uint64_t random = 2;
    uint64_t round = 0;

    (void)state;
    begin_world();
    for (uint32_t i = 0; i < 8; i++) { // one thread each, so that a share's wait is the thread's
        workers[i].share = i;
        workers[i].weight = 50 + 50 * i;
        round += turn_of(&workers[i]) + 100;
        wake(&workers[i]);
    }
    for (uint32_t i = 0; i < 200000; i++) {
        struct worker *sleeper = &workers[next_random(&random) % 8];

        if (!run_next(1 + next_random(&random) % 100, 1 + next_random(&random) % 5000,
                      next_random(&random) % 2)) {
            now += 10;
        }
        if (!sleeper->ready) {
            wake(sleeper);
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_true(workers[i].ticks > 0);
        assert_true(workers[i].waited <= round);
    }
}

// Who slept gets no more than its share afterwards: time is not saved up.
static void test_sleep_earns_nothing(void **state)
{
    (void)state;
    begin_world();
    workers[1].share = 1;
    wake(&workers[0]);
    for (uint32_t i = 0; i < 100; i++) {
        run_next(10, UINT64_MAX, false);
    }
    uint64_t before = workers[0].ticks;
    wake(&workers[1]);
    for (uint32_t i = 0; i < 100; i++) {
        run_next(10, UINT64_MAX, false);
    }
    assert_in_range(workers[1].ticks, workers[0].ticks - before - 2 * SLICE,
                    workers[0].ticks - before + 2 * SLICE);
}

// -- the rest -------------------------------------------------------------------------------------

static void test_urgent_threads_go_first(void **state)
{
    (void)state;
    begin_world();
    workers[1].share = SHARE_URGENT;
    wake(&workers[0]);
    assert_true(share_waits(&queue, 0));
    assert_false(share_waits(&queue, 1));
    wake(&workers[1]);
    assert_true(share_waits(&queue, 1));
    assert_ptr_equal(run_next(1, 5, true), &workers[1]);
    assert_ptr_equal(run_next(1, 5, true), &workers[0]);
    assert_null(run_next(1, 5, true));
}

// A thread that another priority interrupted goes on with what was left of its share's turn.
static void test_an_interrupted_turn_goes_on(void **state)
{
    (void)state;
    begin_world();
    workers[1].share = 1;
    wake(&workers[0]);
    wake(&workers[1]);
    assert_ptr_equal(run_next(100, 300, false), &workers[0]);
    assert_ptr_equal(share_pop(&queue), &workers[0].node);
    assert_int_equal(queue.shares[0].budget, SLICE - 300);
    share_charge(&queue.shares[0], 10);
    wake(&workers[0]);
    share_end_turn(&queue.shares[0]); // a yield
    assert_ptr_equal(share_pop(&queue), &workers[1].node);
}

static void test_renewed_turn_owes_nothing(void **state)
{
    (void)state;
    begin_world();
    wake(&workers[0]);
    assert_ptr_equal(share_pop(&queue), &workers[0].node);
    share_charge(&queue.shares[0], 1000000);
    share_renew(&queue.shares[0]);
    assert_int_equal(queue.shares[0].budget, SLICE);
}

// -- handing over ---------------------------------------------------------------------------------

static void assert_same_shares(const struct share_queue *left, const struct share_queue *right,
                               uint32_t count)
{
    assert_int_equal(left->holder ? left->holder - left->shares : -1,
                     right->holder ? right->holder - right->shares : -1);
    assert_null(left->turns.head);
    for (uint32_t i = 0; i < count; i++) {
        const struct share *a = &left->shares[i == 0 ? SHARE_URGENT : i];
        const struct share *b = &right->shares[i == 0 ? SHARE_URGENT : i];

        assert_int_equal(a->budget, b->budget);
        assert_int_equal(a->turn_ticks, b->turn_ticks);
        assert_null(a->ready.head);
        assert_null(b->ready.head);
    }
}

// The running thread of `from` wakes the only other one, of `to`, and sleeps: as a scheduler does
// it.
static void wake_and_switch(struct share *from, uint64_t ticks, struct share *to, uint64_t turn)
{
    struct queue_node node = {0};

    share_charge(from, ticks);
    if (from->budget <= 0) {
        share_renew(from); // it had the CPU to itself
    }
    share_push(&queue, to, turn, &node);
    assert_ptr_equal(share_pop(&queue), &node);
}

static void test_handing_over_is_waking_and_switching(void **state)
{
    static struct share_queue other;
    uint64_t random = 7;
    const uint32_t shares = 4;

    (void)state;
    begin_world();
    other = queue;
    for (uint32_t i = 0; i < shares; i++) {
        queue.shares[i == 0 ? SHARE_URGENT : i].turn_ticks = SLICE;
        other.shares[i == 0 ? SHARE_URGENT : i].turn_ticks = SLICE;
    }
    for (uint32_t round = 0; round < 100000; round++) {
        uint32_t from = next_random(&random) % shares;
        uint32_t to = next_random(&random) % shares;
        uint64_t ticks = next_random(&random) % (3 * SLICE);
        uint64_t turn = 1 + next_random(&random) % (2 * SLICE);

        from = from == 0 ? SHARE_URGENT : from;
        to = to == 0 ? SHARE_URGENT : to;
        wake_and_switch(&queue.shares[from], ticks, &queue.shares[to], turn);
        share_hand_over(&other, &other.shares[from], ticks, &other.shares[to], turn);
        assert_same_shares(&queue, &other, shares);
        share_charge(&queue.shares[to], turn * 2); // so that some owe ticks
        share_charge(&other.shares[to], turn * 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_busy_shares_get_their_weights),
        cmocka_unit_test(test_one_to_three),
        cmocka_unit_test(test_nobody_waits_longer_than_a_round),
        cmocka_unit_test(test_sleep_earns_nothing),
        cmocka_unit_test(test_urgent_threads_go_first),
        cmocka_unit_test(test_an_interrupted_turn_goes_on),
        cmocka_unit_test(test_renewed_turn_owes_nothing),
        cmocka_unit_test(test_handing_over_is_waking_and_switching),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
