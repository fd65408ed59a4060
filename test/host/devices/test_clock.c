// SPDX-License-Identifier: MIT
// Exact time conversions and the timer list.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "vmm/devices/clock.h"

static const uint64_t rates[] = {1000000,    3579545,    99999999,   100000000,
                                 1000000000, 2394454119, 5000000001, 18000000000};

static void refuses_absurd_rates(void **state)
{
    (void)state;
    struct clock clock;
    assert_int_equal(clock_init(&clock, 0, 0), STATUS_INVALID);
    assert_int_equal(clock_init(&clock, 0, 999999), STATUS_INVALID);
    assert_int_equal(clock_init(&clock, 0, 18000000001), STATUS_INVALID);
}

// The deadline's tick is the first at which the clock has reached it.
static void ticks_and_nanoseconds_agree(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        struct clock clock;
        assert_int_equal(clock_init(&clock, 777, rates[i]), STATUS_OK);
        for (unsigned n = 0; n < 20000; n++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            uint64_t nanoseconds = random >> (14 + n % 50); // up to two weeks
            uint64_t tick = clock_tick_of(&clock, nanoseconds);
            clock.tsc = tick;
            assert_true(clock_now(&clock) >= nanoseconds);
            clock.tsc = tick - 1;
            assert_true(tick == 777 || clock_now(&clock) < nanoseconds);
        }
    }
}

static void oscillator_ticks_round_trip(void **state)
{
    (void)state;
    static const uint32_t oscillators[] = {32768, 1193182, 3579545, 1000000000};
    for (size_t i = 0; i < ARRAY_COUNT(oscillators); i++) {
        uint32_t hz = oscillators[i];
        for (uint64_t ticks = 1; ticks < 1ull << 45; ticks = ticks * 3 + 1) {
            uint64_t at = clock_from_ticks(ticks, hz);
            assert_int_equal(clock_to_ticks(at, hz), ticks);
            assert_int_equal(clock_to_ticks(at - 1, hz), ticks - 1);
        }
    }
    // Half a century, where a product without the split would overflow.
    assert_int_equal(clock_to_ticks(1600000000ull * NANOSECONDS, 1193182), 1600000000ull * 1193182);
}

static void far_deadlines_never_come(void **state)
{
    (void)state;
    struct clock clock;
    assert_int_equal(clock_init(&clock, 1000, 5000000000), STATUS_OK);
    assert_int_equal(clock_tick_of(&clock, CLOCK_NEVER), CLOCK_NEVER);
    assert_int_equal(clock_tick_of(&clock, UINT64_MAX / 2), CLOCK_NEVER);
    assert_int_equal(clock_tick_of(&clock, 1), 1005);
}

static void time_does_not_run_backwards(void **state)
{
    (void)state;
    struct clock clock;
    assert_int_equal(clock_init(&clock, 1000, 1000000000), STATUS_OK);
    clock_set(&clock, 500);
    assert_int_equal(clock_now(&clock), 0);
    clock_set(&clock, 3000);
    clock_set(&clock, 2000);
    assert_int_equal(clock_now(&clock), 2000);
}

struct probe {
    struct timer timer;
    unsigned order, count;
    uint64_t rearm;
};
static unsigned calls;

static void expired(struct timer *timer, uint64_t now)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    assert_true(timer->deadline == CLOCK_NEVER);
    assert_true(now > 0);
    probe->order = ++calls;
    probe->count++;
    if (probe->rearm)
        timer_set(timer, probe->rearm);
}

static void timers_expire_in_order(void **state)
{
    (void)state;
    struct clock clock;
    struct probe a = {.count = 0}, b = {.count = 0}, c = {.count = 0};
    calls = 0;
    assert_int_equal(clock_init(&clock, 0, 1000000000), STATUS_OK);
    assert_int_equal(clock_add_timer(&clock, &a.timer, expired), STATUS_OK);
    assert_int_equal(clock_add_timer(&clock, &b.timer, expired), STATUS_OK);
    assert_int_equal(clock_add_timer(&clock, &c.timer, expired), STATUS_OK);
    assert_false(clock_is_due(&clock));
    timer_set(&a.timer, 300);
    timer_set(&b.timer, 100);
    timer_set(&c.timer, 200);
    assert_int_equal(clock.earliest_tsc, 100);
    timer_stop(&b.timer);
    assert_int_equal(clock.earliest_tsc, 200);
    timer_set(&b.timer, 250);
    clock_set(&clock, 199);
    assert_false(clock_is_due(&clock));
    clock_set(&clock, 260);
    assert_true(clock_is_due(&clock));
    clock_run(&clock);
    assert_int_equal(c.order, 1);
    assert_int_equal(b.order, 2);
    assert_int_equal(a.count, 0);
    assert_int_equal(clock.earliest_tsc, 300);
    clock_skip(&clock, 1000); // 40 ns later in its own time is 1300 now
    assert_int_equal(clock_now(&clock), 260);
    assert_int_equal(clock.earliest_tsc, 1300);
}

static void a_timer_stuck_in_the_past_is_bounded(void **state)
{
    (void)state;
    struct clock clock;
    struct probe stuck = {.rearm = 1};
    assert_int_equal(clock_init(&clock, 0, 1000000000), STATUS_OK);
    assert_int_equal(clock_add_timer(&clock, &stuck.timer, expired), STATUS_OK);
    timer_set(&stuck.timer, 1);
    clock_set(&clock, 1000);
    clock_run(&clock);
    assert_in_range(stuck.count, 1, 4 * TIMERS_MAXIMUM);
}

static void timers_are_limited(void **state)
{
    (void)state;
    struct clock clock;
    struct timer timers[TIMERS_MAXIMUM + 1];
    assert_int_equal(clock_init(&clock, 0, 1000000000), STATUS_OK);
    for (unsigned i = 0; i < TIMERS_MAXIMUM; i++)
        assert_int_equal(clock_add_timer(&clock, &timers[i], expired), STATUS_OK);
    assert_int_equal(clock_add_timer(&clock, &timers[TIMERS_MAXIMUM], expired), STATUS_NO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_absurd_rates),
        cmocka_unit_test(ticks_and_nanoseconds_agree),
        cmocka_unit_test(oscillator_ticks_round_trip),
        cmocka_unit_test(far_deadlines_never_come),
        cmocka_unit_test(time_does_not_run_backwards),
        cmocka_unit_test(timers_expire_in_order),
        cmocka_unit_test(a_timer_stuck_in_the_past_is_bounded),
        cmocka_unit_test(timers_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
