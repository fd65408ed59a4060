// SPDX-License-Identifier: MIT
// The device fuzzer's entry, shared by the fuzzing engine and the repeatable random test.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Runs one machine through the accesses that `data` encodes and checks its invariants after each;
// a broken invariant aborts. Returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
