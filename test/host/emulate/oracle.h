// SPDX-License-Identifier: MIT
// The decoder against Zydis, for the test and the fuzzer: both agree on validity, length,
// operation, sizes, and every part of the operands.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/emulate/decode.h"

// Decodes 15 bytes as code of `mode` bits. False where decoder and oracle disagree, having said how
// on standard error.
bool oracle_compare(const uint8_t bytes[15], unsigned mode, enum decode_outcome *outcome);
