// SPDX-License-Identifier: MIT
// The end of the machine: in order (machine_end) or because of a bug of ours (panic).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// Prints the message and the return addresses on the stack, then ends the run with status 70.
// Only for bugs of the kernel: no guest's or user's input leads here. What is proved never does.
/*@
  requires \false;
  terminates \true;
  assigns \nothing;
  exits \false;
*/
NORETURN void panic(const char *format, ...) PRINTF(1, 2);

// Prints "@status N" as the last line, and ends the run: through the emulator's exit ports when the
// kernel command line says so, else by halting.
NORETURN void run_end(uint32_t status);

// True when the kernel command line has `word`. False before kernel_main has seen it.
bool command_line_has(const char *word);
