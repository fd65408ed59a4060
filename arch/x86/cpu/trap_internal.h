// SPDX-License-Identifier: MIT
// What the entry assembly and trap.c share.
#pragma once

#include <stdint.h>
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/trap.h"

// Called by trap_entry.asm for every trap; returning resumes at the frame.
void trap_dispatch(struct trap_frame *frame);

// Called by trap_entry.asm on the debug stack: the frame to go on with.
struct trap_frame *trap_debug_frame(struct trap_frame *frame);

// Read by system_call.asm.
extern const system_call_function *system_call_table;
extern uint64_t system_call_count;
