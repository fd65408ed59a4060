// SPDX-License-Identifier: MIT
// The specification of traps: which handler an exception or an interrupt of the host reaches, what
// the local APIC is told, what is kept as trap information, and where the CPU goes on.
#pragma once

#include "test/spec/rule.h"

#define SPEC_SERIAL_PORTS 2u

// Vectors that the kernel gives out.
enum spec_vector {
    SPEC_VECTOR_DEBUG = 1,
    SPEC_VECTOR_NMI = 2,
    SPEC_VECTOR_NO_FPU = 7,
    SPEC_VECTOR_DOUBLE_FAULT = 8,
    SPEC_VECTOR_PAGE_FAULT = 14,
    SPEC_VECTOR_MACHINE_CHECK = 18,
    SPEC_VECTOR_EXCEPTIONS = 32,
    SPEC_VECTOR_SERIAL = 0x40, // + port
    SPEC_VECTOR_WAKE = 0xf0,
    SPEC_VECTOR_TIMER = 0xf1,
    SPEC_VECTOR_SPURIOUS = 0xff,
};

enum spec_handler {
    SPEC_HANDLER_NONE,   // nothing is done
    SPEC_HANDLER_TIMER,  // sleepers that are due are woken, and who was posted; the timer is off
    SPEC_HANDLER_WAKE,   // the same, but for the timer
    SPEC_HANDLER_SERIAL, // of `port`
    SPEC_HANDLER_WARN,   // nobody asked for this interrupt
    SPEC_HANDLER_NMI,    // stops this CPU if the machine ends, and drops translations if asked to
    SPEC_HANDLER_FPU,    // the thread gets the FPU
    SPEC_HANDLER_END,    // of the process
    SPEC_HANDLER_STEP,   // a single step into the kernel's entry: it is not stepped
};

struct spec_trap {
    uint64_t vector;
    bool from_user;
    bool at_entry; // RIP is at the kernel's entry for system calls
    bool at_leave; // RIP is between the last two instructions of its end
    uint64_t rip;
    uint64_t cr2;
};

struct spec_trap_state { // of a CPU
    bool user;
    uint64_t fault_address;
    uint64_t return_address;
};

struct spec_trap_effect {
    enum spec_handler handler;
    uint32_t port;
    bool ended;   // the local APIC is told that the interrupt is over
    bool again;   // the CPU goes on one instruction earlier, with interrupts off
    bool unsteps; // and without TF
};

// True when the kernel has use for the vector, an interrupt's.
bool spec_vector_known(uint64_t vector);

enum spec_rule trap_spec(const struct spec_trap_state *now, const struct spec_trap *trap,
                         struct spec_trap_state *next, struct spec_trap_effect *effect);
