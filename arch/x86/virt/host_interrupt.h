// SPDX-License-Identifier: MIT
// Hands host interrupts, NMIs and machine checks that ended a guest's run to the host's own
// handlers, as if they had arrived now. Called by kernel/vm with interrupts off. No lock.
#pragma once

#include <stdint.h>

// An interrupt (vector 32 to 255) that the interrupt controller has already been told is taken.
void host_interrupt(uint32_t vector);

void host_nmi(void);
void host_machine_check(void);
