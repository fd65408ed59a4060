// SPDX-License-Identifier: MIT
// The checks that the kernel runs on itself when its command line says "selftest".
#pragma once

// Starts the thread that runs them, prints "PASS name" or "FAIL name: got, want" lines to the log,
// and ends the run with status 0 or 1.
void selftest_start(void);
