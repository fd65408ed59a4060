// SPDX-License-Identifier: MIT
// Execution of a decoded instruction. Internal to the emulator: emulate.c calls it.
#pragma once

#include "vmm/emulate/operand.h"

// Executes emulation->instruction, all but RIP. False: the outcome is recorded in the result. A
// string instruction with iterations left sets the outcome EMULATE_AGAIN and returns true.
bool execute(struct emulation *emulation) MUST_CHECK;

// The string instructions' part.
bool execute_string(struct emulation *emulation) MUST_CHECK;
