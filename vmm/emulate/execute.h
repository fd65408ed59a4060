// SPDX-License-Identifier: MIT
// Execution of a decoded instruction. Internal to the emulator: emulate.c calls it.
#pragma once

#include "vmm/emulate/operand.h"

// Executes emulation->instruction, all but RIP. False: the outcome is recorded in the result. A
// string instruction with iterations left sets the outcome EMULATE_AGAIN and returns true.
bool execute(struct emulation *emulation) MUST_CHECK;

// The string instructions' part.
bool execute_string(struct emulation *emulation) MUST_CHECK;

// BSF, BSR, TZCNT, LZCNT and POPCNT.
bool execute_scan(struct emulation *emulation) MUST_CHECK;

// SHLD and SHRD.
bool execute_double_shift(struct emulation *emulation) MUST_CHECK;
