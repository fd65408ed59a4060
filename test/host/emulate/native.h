// SPDX-License-Identifier: MIT
// The emulator against the processor, for the test and the fuzzer: an instance of a supported
// instruction runs natively and emulated, in 64-bit mode, from the same registers, flags and
// memory. Everything the manual defines must come out the same.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "test/host/emulate/random.h"

enum native_outcome {
    NATIVE_NONE, // no instruction came of it
    NATIVE_SAME,
    NATIVE_DIFFERS, // reported on standard error
};

// Maps code and data. -1: the addresses are taken.
int native_set_up(void);

// Takes the signal of divide errors, which cmocka takes for each test. -1: it cannot.
int native_catch_divide_errors(void);

// Whether the operation (enum operation) cannot be run here natively.
bool native_lacks(unsigned operation);

// Random contents for the data.
void native_fill(struct random *random);

// Makes an instance of the instruction whose opcode is `number` (of enum opcode_map, 256 each) and
// runs it both ways. *operation: enum operation, unless NATIVE_NONE.
enum native_outcome native_try(struct random *random, unsigned number, unsigned *operation);
