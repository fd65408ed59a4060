// SPDX-License-Identifier: MIT
// Stopping all CPUs at the end of the machine, by NMI: they may have interrupts off, or run a
// guest. One CPU ends the machine: the first that asks. Takes no lock, since a stopped CPU may hold
// any.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include "arch/x86/cpu/trap.h"

// True on the CPU that may end the machine, however often it asks; false on all others.
bool stop_claim(void);

// For the CPU that ends the machine: stops the others. Waits 100 ms at most for those that do not
// answer.
void stop_others(void);

// For another one that panics at the same time: keeps its message for the report and halts.
NORETURN void stop_here(const char *format, va_list arguments);

// Called by the NMI handler: if the machine is ending, keeps what this CPU was doing, and halts.
void stop_answer(const struct trap_frame *frame);

// Prints, CPU by CPU, what the stopped ones were doing, if there are any.
void stop_report(void);
