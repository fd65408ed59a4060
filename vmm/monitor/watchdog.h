// SPDX-License-Identifier: MIT
// Guests that make no progress: a processor that is found with interrupts off at the same few
// addresses, sample after sample, for a settable time; and processors that all halted with
// interrupts off, which nothing wakes again. Samples are taken by a timer of the platform's clock.
// Pure but for the kicks that the run loop passes on; guarded like the platform.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/status.h"
#include "vmm/devices/clock.h"

#define WATCHDOG_SAMPLES   16u // in the settable time
#define WATCHDOG_ADDRESSES 4u  // so many different ones count as a spin

// One processor, since it last did something else than spin.
struct watchdog_spin {
    uint32_t samples;
    uint32_t addresses;
    uint64_t rip[WATCHDOG_ADDRESSES];
    uint32_t seen[WATCHDOG_ADDRESSES]; // samples at each
    bool told;
};

struct watchdog {
    struct timer timer;
    uint64_t period; // nanoseconds between samples; 0: off
    bool due;        // samples are to be taken
};

// Starts the samples: a processor that spins for `seconds` is found. 0: never.
MUST_CHECK enum status watchdog_start(struct watchdog *watchdog, struct clock *clock,
                                      uint64_t seconds);

// One sample of a processor, whose page is as its last exit left it. True, once until the
// processor does something else: it has been spinning all the time.
bool watchdog_sample(struct watchdog_spin *spin, const struct vcpu_page *page);
