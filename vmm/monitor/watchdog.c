// SPDX-License-Identifier: MIT
// Looking for guests that make no progress. See watchdog.h.
#include "vmm/monitor/watchdog.h"

#include "kernel/lib/compiler.h"
#include "vmm/monitor/event.h"

static void timer_expired(struct timer *timer, uint64_t now)
{
    struct watchdog *watchdog = CONTAINER_OF(timer, struct watchdog, timer);

    watchdog->due = true;
    timer_set(timer, now + watchdog->period);
}

enum status watchdog_start(struct watchdog *watchdog, struct clock *clock, uint64_t seconds)
{
    *watchdog = (struct watchdog){.period = seconds * (NANOSECONDS / WATCHDOG_SAMPLES)};
    if (watchdog->period == 0) {
        return STATUS_OK;
    }
    enum status status = clock_add_timer(clock, &watchdog->timer, timer_expired);
    if (status == STATUS_OK) {
        timer_set(&watchdog->timer, watchdog->period);
    }
    return status;
}

// Counts a sample at `rip`; false: it is one address too many.
static bool add_address(struct watchdog_spin *spin, uint64_t rip)
{
    for (uint32_t i = 0; i < spin->addresses; i++) {
        if (spin->rip[i] == rip) {
            spin->seen[i]++;
            return true;
        }
    }
    if (spin->addresses == WATCHDOG_ADDRESSES) {
        return false;
    }
    spin->rip[spin->addresses] = rip;
    spin->seen[spin->addresses++] = 1;
    return true;
}

bool watchdog_sample(struct watchdog_spin *spin, const struct vcpu_page *page)
{
    if (page->halted || (page->rflags & RFLAGS_IF) || !add_address(spin, page->rip)) {
        *spin = (struct watchdog_spin){0};
        return false;
    }
    spin->samples++;
    if (spin->samples < WATCHDOG_SAMPLES || spin->told) {
        return false;
    }
    spin->told = true;
    return true;
}
