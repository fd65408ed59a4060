// SPDX-License-Identifier: MIT
// Which results of an instruction the manual defines, for the comparison of the emulator with the
// processor.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/emulate/decode.h"

// By how many bits a shift moves, as the processor masks it; `rcx` from before.
unsigned native_shift_count(const struct instruction *instruction, uint64_t rcx);

// SHLD or SHRD.
bool native_is_double_shift(const struct instruction *instruction);

// The flags that the manual defines after this instruction.
uint64_t native_defined_flags(const struct instruction *instruction, uint64_t rcx);
