// SPDX-License-Identifier: MIT
// The benchmark's local APIC, in x2APIC mode. One CPU, no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Turns x2APIC mode on and installs the handlers. False: this processor has none.
bool apic_start(void);

// Each measures one run of its operation, in ticks. Interrupts are on in those that take one.
uint32_t measure_x2apic_eoi(void);
uint32_t measure_x2apic_self_ipi(void);
uint32_t measure_tsc_deadline(void);
// Ticks from the deadline to the first instruction of the handler, the processor being in HLT.
uint32_t measure_halt_wake(void);
