// SPDX-License-Identifier: MIT
// Conversions between TSC ticks and nanoseconds, exact in both directions, and the timer list.
#include "vmm/devices/clock.h"

#include <stddef.h>

#define CLOCK_HZ_MINIMUM 1000000ull
#define CLOCK_HZ_MAXIMUM 18000000000ull // NANOSECONDS times this still fits 64 bits

enum status clock_init(struct clock *clock, uint64_t start_tsc, uint64_t hz)
{
    if (hz < CLOCK_HZ_MINIMUM || hz > CLOCK_HZ_MAXIMUM)
        return STATUS_INVALID;
    *clock = (struct clock){
        .tsc = start_tsc,
        .start_tsc = start_tsc,
        .hz = hz,
        .earliest_tsc = CLOCK_NEVER,
        .earliest = CLOCK_NEVER,
    };
    return STATUS_OK;
}

// value * to / from, rounded down; the remainder's product must fit 64 bits.
static uint64_t scale(uint64_t value, uint64_t from, uint64_t to)
{
    return value / from * to + value % from * to / from;
}

// The same, rounded up.
static uint64_t scale_up(uint64_t value, uint64_t from, uint64_t to)
{
    uint64_t product = value % from * to;
    return value / from * to + product / from + (product % from != 0);
}

uint64_t clock_now(const struct clock *clock)
{
    return scale(clock->tsc - clock->start_tsc, clock->hz, NANOSECONDS);
}

uint64_t clock_now_ticks(const struct clock *clock, uint32_t hz)
{
    uint64_t passed = clock->tsc - clock->start_tsc;
    uint64_t nanoseconds = passed % clock->hz * NANOSECONDS / clock->hz; // of the last second
    return passed / clock->hz * hz + nanoseconds * hz / NANOSECONDS;
}

uint64_t clock_tick_of(const struct clock *clock, uint64_t nanoseconds)
{
    if (nanoseconds / NANOSECONDS >= (UINT64_MAX - clock->start_tsc) / clock->hz)
        return CLOCK_NEVER;
    return clock->start_tsc + scale_up(nanoseconds, NANOSECONDS, clock->hz);
}

uint64_t clock_to_ticks(uint64_t nanoseconds, uint32_t hz)
{
    return scale(nanoseconds, NANOSECONDS, hz);
}

uint64_t clock_from_ticks(uint64_t ticks, uint32_t hz)
{
    return scale_up(ticks, hz, NANOSECONDS);
}

enum status clock_add_timer(struct clock *clock, struct timer *timer, timer_expire_function *expire)
{
    if (clock->timer_count == TIMERS_MAXIMUM)
        return STATUS_NO_MEMORY;
    *timer = (struct timer){clock, expire, CLOCK_NEVER};
    clock->timer[clock->timer_count++] = timer;
    return STATUS_OK;
}

// The timer with the earliest deadline, or null when none is armed.
static struct timer *earliest_timer(const struct clock *clock)
{
    struct timer *earliest = NULL;
    for (unsigned i = 0; i < clock->timer_count; i++) {
        struct timer *timer = clock->timer[i];
        if (timer->deadline != CLOCK_NEVER && (!earliest || timer->deadline < earliest->deadline))
            earliest = timer;
    }
    return earliest;
}

// Brings the cached earliest deadline up to date.
static void refresh(struct clock *clock)
{
    const struct timer *timer = earliest_timer(clock);
    clock->earliest = timer ? timer->deadline : CLOCK_NEVER;
    clock->earliest_tsc = timer ? clock_tick_of(clock, timer->deadline) : CLOCK_NEVER;
}

void timer_set(struct timer *timer, uint64_t deadline)
{
    struct clock *clock = timer->clock;
    uint64_t before = timer->deadline;
    if (before == deadline)
        return;
    timer->deadline = deadline;
    if (before == clock->earliest || deadline < clock->earliest)
        refresh(clock);
}

void clock_run(struct clock *clock)
{
    uint64_t now = clock_now(clock);
    for (unsigned budget = 4 * TIMERS_MAXIMUM; budget > 0; budget--) {
        struct timer *timer = earliest_timer(clock);
        if (timer == NULL || timer->deadline > now)
            return;
        timer_stop(timer);
        timer->expire(timer, now);
    }
}

void clock_skip(struct clock *clock, uint64_t ticks)
{
    if (ticks > UINT64_MAX - clock->tsc)
        return;
    clock->start_tsc += ticks;
    clock->tsc += ticks;
    refresh(clock);
}
