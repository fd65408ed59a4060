// SPDX-License-Identifier: MIT
// The MC146818 real-time clock with 128 bytes of CMOS memory. Its time is a start time given at
// initialisation plus the clock, so a run is repeatable. Flags are computed when register C is
// read; a timer is armed only while an interrupt that needs one is enabled.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/status.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

// Register numbers on the bus: 0 index (0x70), 1 data (0x71).
#define RTC_BYTES 128u

struct rtc {
    struct device device;
    struct interrupt_line irq;
    struct clock *clock;
    struct timer timer;
    int64_t base;     // seconds since 1970 at nanosecond `epoch`
    int64_t epoch;    // a full second began here, in clock nanoseconds
    uint64_t checked; // flags are up to date to here, in clock nanoseconds
    uint8_t index;
    uint8_t cmos[RTC_BYTES]; // registers and memory; time registers are valid while stopped
};

// `start_time`: seconds since 1970-01-01 UTC at nanosecond 0 of the clock. `memory_bytes`: RAM,
// for the memory-size bytes. A start before 1970 or after 9999 counts as 1970. STATUS_NO_MEMORY:
// the clock has no timer left.
MUST_CHECK enum status rtc_init(struct rtc *rtc, struct clock *clock, int64_t start_time,
                                uint64_t memory_bytes);
