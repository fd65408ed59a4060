// SPDX-License-Identifier: MIT
// Time as devices see it: nanoseconds since the VM started, taken from a TSC value that the monitor
// stores, and the timers that devices arm. Nothing here reads the processor's TSC, so host tests
// and replays drive time themselves. Owned by struct platform; one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define NANOSECONDS    1000000000ull
#define CLOCK_NEVER    UINT64_MAX // a deadline that does not come
#define TIMERS_MAXIMUM 8u

struct clock;
struct timer;

// Called when `now` (nanoseconds) has reached the deadline. The timer is disarmed; it may re-arm.
typedef void timer_expire_function(struct timer *timer, uint64_t now);

struct timer {
    struct clock *clock;
    timer_expire_function *expire;
    uint64_t deadline; // nanoseconds; CLOCK_NEVER: not armed
};

struct clock {
    uint64_t tsc;          // now, in TSC ticks; stored by clock_set
    uint64_t start_tsc;    // the tick of nanosecond 0
    uint64_t hz;           // TSC ticks per second
    uint64_t earliest_tsc; // tick of the earliest deadline; CLOCK_NEVER: none
    uint64_t earliest;     // the same in nanoseconds
    struct timer *timer[TIMERS_MAXIMUM];
    unsigned timer_count;
};

// Starts the clock at nanosecond 0. `start_tsc` in ticks, `hz` in ticks per second. STATUS_INVALID:
// hz is below 1 MHz or above 18 GHz (nanosecond arithmetic is exact between).
MUST_CHECK enum status clock_init(struct clock *clock, uint64_t start_tsc, uint64_t hz);

// Registers a timer, not armed. There are TIMERS_MAXIMUM; the wiring is fixed at build time.
// STATUS_NO_MEMORY: all are taken.
MUST_CHECK enum status clock_add_timer(struct clock *clock, struct timer *timer,
                                       timer_expire_function *expire);

// Sets now, in TSC ticks. A value before the present one is ignored: time does not run backwards.
static inline void clock_set(struct clock *clock, uint64_t tsc)
{
    if (LIKELY(tsc > clock->tsc))
        clock->tsc = tsc;
}

// Now, in nanoseconds since the start, rounded down.
uint64_t clock_now(const struct clock *clock);

// clock_to_ticks(clock_now(clock), hz), in fewer steps.
uint64_t clock_now_ticks(const struct clock *clock, uint32_t hz);

// The first TSC tick at which clock_now() is at least `nanoseconds`; CLOCK_NEVER if beyond 2^64.
uint64_t clock_tick_of(const struct clock *clock, uint64_t nanoseconds);

// Arms `timer` for `deadline` (nanoseconds; CLOCK_NEVER disarms; the past is allowed).
void timer_set(struct timer *timer, uint64_t deadline);

static inline void timer_stop(struct timer *timer)
{
    timer_set(timer, CLOCK_NEVER);
}

// True when a timer's deadline has been reached: then call clock_run.
static inline bool clock_is_due(const struct clock *clock)
{
    return clock->tsc >= clock->earliest_tsc;
}

// Expires every timer whose deadline has been reached, earliest first, each at most a bounded
// number of times, so that a timer which re-arms itself in the past cannot hold the caller.
void clock_run(struct clock *clock);

// Moves the start by `ticks`: the VM did not see them pass (it was paused).
void clock_skip(struct clock *clock, uint64_t ticks);

// `nanoseconds` in periods of a `hz` oscillator, rounded down, and the first nanosecond at which
// `ticks` periods have passed. hz up to 4 GHz; neither overflows before the result does.
uint64_t clock_to_ticks(uint64_t nanoseconds, uint32_t hz);
uint64_t clock_from_ticks(uint64_t ticks, uint32_t hz);
