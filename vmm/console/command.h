// SPDX-License-Identifier: MIT
// What the person at the terminal types: bytes for the foreground VM, and escape commands.
#pragma once

#include "vmm/console/console.h"

// Takes `length` typed bytes.
void command_take_input(struct console *console, const uint8_t *bytes, size_t length);

// Asks all VMs to end; none is made anew.
void command_end_run(struct console *console);
