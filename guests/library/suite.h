// SPDX-License-Identifier: MIT
// Checks of a test kernel: a line "PASS name", "FAIL name: got ..., want ..." or "SKIP name: why"
// each, and the end through port 0xf4: value 0 where none failed, else 1. For 32-bit and 64-bit
// kernels; one CPU.
#pragma once

#include "guests/library/guest.h"

// The command line of the kernel, "" when the loader gave none. Call before the checks.
void suite_begin(uint32_t magic, uintptr_t information);

// True when `word` is one of the command line's words.
bool suite_has_word(const char *word);

// True on a machine of its own: the word "native" was given.
bool suite_is_native(void);

// True when the subject is to run: no subject, or this one, was named on the command line as
// "only=NAME".
bool suite_wants(const char *subject);

void check(const char *name, uint64_t got, uint64_t want);

// A check that cannot be made here, and why.
void skip(const char *name, const char *why);

// Prints how many passed, failed and were skipped, and ends the machine.
NORETURN void suite_end(void);
