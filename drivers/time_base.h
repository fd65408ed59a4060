// SPDX-License-Identifier: MIT
// The machine's clock: the frequencies of the TSC and of the local APIC timer, measured against PIT
// channel 2; CPUID's figures replace a measurement that they confirm, and stand in for a missing
// PIT. Set once at boot, constant afterwards.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Measures (20 to 80 ms, interrupts off) and tells local_apic. STATUS_TIMEOUT: the PIT does not
// count and CPUID states no frequency.
MUST_CHECK enum status time_base_calibrate(void);

uint64_t time_base_tsc_hz(void);

// Converts a duration of at most 1000 s to TSC ticks.
uint64_t time_base_microseconds(uint64_t microseconds);
