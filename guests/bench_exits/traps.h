// SPDX-License-Identifier: MIT
// Exceptions of the benchmark: an operation that this machine refuses is skipped, any other
// exception ends the run. One CPU, no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Loads an IDT whose handlers send #UD and #GP to trap_resume.
void traps_install(void);

// Where #UD and #GP continue; 0: they end the run. Set by the operation that may fault.
extern uintptr_t trap_resume;

// True when one has happened since the last call.
bool trap_taken(void);
