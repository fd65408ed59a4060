// SPDX-License-Identifier: MIT
// The plainest possible output on COM1 and COM2, for what goes wrong before the kernel's own serial
// driver is there. Polled with a bound, so that an absent port costs little. No lock.
#pragma once

#include "kernel/lib/compiler.h"

// Sends the text to both ports; LF goes out as CR LF.
void early_print(const char *text);

// Prints "Gatehouse cannot start: ", the reason and a line end, then halts.
NORETURN void early_fail(const char *reason);
