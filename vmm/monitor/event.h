// SPDX-License-Identifier: MIT
// Events for the guest: exceptions that handlers raise, and interrupts from the platform. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/monitor/machine.h"

#define VECTOR_DEBUG        1u
#define VECTOR_NMI          2u
#define VECTOR_UNDEFINED    6u
#define VECTOR_DOUBLE_FAULT 8u
#define VECTOR_TASK         10u // #TS
#define VECTOR_NOT_PRESENT  11u
#define VECTOR_STACK        12u
#define VECTOR_PROTECTION   13u
#define VECTOR_PAGE         14u

// Raises a hardware exception at the present RIP. The event slot must be free: an exit that
// interrupted the delivery of an event is not an instruction's.
void event_raise(struct machine *machine, unsigned vector);
void event_raise_error(struct machine *machine, unsigned vector, uint32_t error_code);

// #GP(0) and #UD, the usual answers, as handlers return them.
enum outcome event_protection(struct machine *machine);
enum outcome event_undefined(struct machine *machine);

// What the emulator or a walk of the guest's tables found, as handlers return it.
enum outcome event_raise_fault(struct machine *machine, const struct emulate_fault *fault);

// Raises the debug trap of a single step over an emulated instruction. Needs VCPU_GROUP_DEBUG.
void event_raise_step(struct machine *machine);

// Injects the platform's interrupt if the guest can take one now, wakes it from HLT, or asks for
// the window. Called before each entry.
void event_deliver_interrupt(struct machine *machine);

// The same for a processor with a local APIC, NMIs included. One that waits for a start-up IPI
// takes nothing.
void event_deliver_to_processor(struct machine *machine);

// Tells the processor of the local APIC's mode and of the interrupts in the virtual-APIC page.
// After every change of IA32_APIC_BASE; the rest is done here.
void event_load_apic(struct machine *machine);

// INIT and start-up IPIs that the local APIC has received: the registers after them. An INIT makes
// the processor wait, and a start-up IPI counts only while it does.
void event_take_start_up(struct machine *machine);
