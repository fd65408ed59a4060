// SPDX-License-Identifier: MIT
// The local APIC's timer, after the manual's "APIC Timer": one-shot, periodic and TSC-deadline. It
// counts the core crystal clock, which CPUID leaf 15H states. Nothing ticks: counts are computed
// from the clock when asked for, and the next expiry is a host TSC value.
#include "vmm/devices/local_apic.h"

#define TIMER_MODE     (3u << 17)
#define TIMER_PERIODIC (1u << 17)
#define TIMER_DEADLINE (2u << 17)

static uint32_t mode(const struct local_apic *apic)
{
    return apic->lvt[LVT_TIMER] & TIMER_MODE;
}

// Host ticks per count: the divide configuration's bits 3, 1 and 0 are an exponent, 7 being none.
static uint64_t ticks_per_step(const struct local_apic *apic)
{
    uint32_t exponent = ((apic->divide >> 1 & 4) | (apic->divide & 3)) + 1;
    return (uint64_t)apic->ticks_per_count << (exponent & 7);
}

static uint64_t period(const struct local_apic *apic)
{
    return apic->initial_count * ticks_per_step(apic);
}

static uint64_t later(uint64_t tsc, uint64_t ticks)
{
    uint64_t sum;
    return __builtin_add_overflow(tsc, ticks, &sum) ? CLOCK_NEVER : sum;
}

uint32_t local_apic_current_count(const struct local_apic *apic)
{
    if (apic->timer_due == CLOCK_NEVER || apic->initial_count == 0 || mode(apic) == TIMER_DEADLINE)
        return 0;
    uint64_t now = apic->clock->tsc;
    uint64_t elapsed = now > apic->timer_start ? now - apic->timer_start : 0;
    uint64_t steps = elapsed / ticks_per_step(apic);
    if (steps >= apic->initial_count && mode(apic) != TIMER_PERIODIC)
        return 0;
    return apic->initial_count - (uint32_t)(steps % apic->initial_count);
}

static void start(struct local_apic *apic)
{
    apic->timer_start = apic->clock->tsc;
    apic->timer_due =
        apic->initial_count != 0 ? later(apic->timer_start, period(apic)) : CLOCK_NEVER;
}

void local_apic_set_initial_count(struct local_apic *apic, uint32_t value)
{
    if (mode(apic) == TIMER_DEADLINE)
        return;
    apic->initial_count = value;
    start(apic);
}

// The count reached goes on at the new speed.
void local_apic_set_divide(struct local_apic *apic, uint32_t value)
{
    uint32_t count = local_apic_current_count(apic);
    apic->divide = value;
    if (count == 0)
        return;
    uint64_t done = (uint64_t)(apic->initial_count - count) * ticks_per_step(apic);
    apic->timer_start = apic->clock->tsc - done;
    apic->timer_due = later(apic->timer_start, period(apic));
}

void local_apic_set_timer_entry(struct local_apic *apic, uint32_t value)
{
    uint32_t before = mode(apic);
    apic->lvt[LVT_TIMER] = value;
    // Changing to or from TSC-deadline mode disarms the timer.
    if (before != mode(apic) && (before == TIMER_DEADLINE || mode(apic) == TIMER_DEADLINE)) {
        apic->timer_due = CLOCK_NEVER;
        apic->tsc_deadline = 0;
        apic->initial_count = 0;
    }
}

static void arm_deadline(struct local_apic *apic)
{
    uint64_t guest_now = apic->clock->tsc + apic->tsc_offset;
    uint64_t value = apic->tsc_deadline;
    if (value == 0)
        apic->timer_due = CLOCK_NEVER;
    else
        apic->timer_due =
            value > guest_now ? later(apic->clock->tsc, value - guest_now) : apic->clock->tsc;
}

void local_apic_set_deadline(struct local_apic *apic, uint64_t value)
{
    if (mode(apic) != TIMER_DEADLINE)
        return;
    apic->tsc_deadline = value;
    arm_deadline(apic);
}

void local_apic_set_tsc_offset(struct local_apic *apic, uint64_t offset)
{
    apic->tsc_offset = offset;
    if (apic->tsc_deadline != 0)
        arm_deadline(apic);
}

void local_apic_skip_time(struct local_apic *apic, uint64_t ticks, uint64_t offset)
{
    apic->tsc_offset = offset;
    apic->timer_start += ticks;
    if (apic->timer_due != CLOCK_NEVER)
        apic->timer_due = later(apic->timer_due, ticks);
}

// Periods that passed unseen are one interrupt, as on a processor that had interrupts off.
static void next_period(struct local_apic *apic)
{
    uint64_t length = period(apic);
    uint64_t passed = (apic->clock->tsc - apic->timer_start) / length;
    apic->timer_start += passed * length;
    apic->timer_due = later(apic->timer_start, length);
}

void local_apic_run_timer(struct local_apic *apic)
{
    uint32_t entry = apic->lvt[LVT_TIMER];
    if (apic->clock->tsc < apic->timer_due)
        return;
    if (mode(apic) == TIMER_PERIODIC) {
        next_period(apic);
    } else {
        apic->timer_due = CLOCK_NEVER;
        apic->tsc_deadline = 0;
    }
    if (!(entry & APIC_MASKED))
        local_apic_accept(apic, entry & 0xff, false);
}
