// SPDX-License-Identifier: MIT
// Calls of the lock-step test of VMs: who makes them, what has to come of them, and the calls about
// VMs themselves (guest_calls.c).
#pragma once

#include "test/host/lockstep/guest_world.h"
#include "test/host/lockstep/lockstep.h"

#define UNMAPPED 0x100000ull

// Who acts.
extern uint32_t cpu;
extern uint32_t self; // thread of the monitor
extern struct program *program;
extern struct spec_guests next; // what the specification says, before it is known to be so
extern uint64_t quota;          // before the call

enum status call_status(void);
bool has_ended(uint32_t monitor);

// Lets the caller's CPU run until the call is over, or its thread sleeps as the halted vCPU `core`
// (SPEC_NONE: it runs none).
void settle(uint32_t core);

// Makes a call that neither sleeps nor runs a guest.
void call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

// The call gave what `rule` says, and `result` where it was allowed. Compares all.
void expect(const char *what, enum spec_rule rule, uint64_t result);

// A handle, mostly one of that kind.
uint64_t any_handle(uint32_t kind);

typedef void step_function(void);
step_function make_guest, set_cpuid, set_msrs, set_ports, set_intercepts, ask_statistics;
