// SPDX-License-Identifier: MIT
// The simulated processors behind the host tests' instructions.h: registers of each CPU, one clock,
// and ports that a test may answer.
#pragma once

#include <stdint.h>
#include "arch/x86/cpu/registers.h"

#define HOST_CPUS 8u

enum host_register {
    HOST_CR0,
    HOST_CR2,
    HOST_CR3,
    HOST_CR4,
    HOST_DR0,
    HOST_DR1,
    HOST_DR2,
    HOST_DR3,
    HOST_DR6,
    HOST_DR7,
    HOST_XCR0,
    HOST_REGISTER_COUNT
};

struct host_processor {
    uint64_t registers[HOST_REGISTER_COUNT];
    bool interrupts;        // RFLAGS.IF
    uint64_t invalidations; // of its translations
};

extern struct host_processor host_processors[HOST_CPUS];
extern uint32_t host_cpu; // which one runs
extern uint64_t host_tsc; // grows by one at each look

// What a test does with ports, at interrupt windows and at HLT. Null: ports read as all ones.
struct host_hooks {
    uint8_t (*port_read)(uint16_t port);
    void (*port_write)(uint16_t port, uint8_t value);
    void (*interrupt_window)(void);
    void (*wait_for_interrupt)(void);
    uint64_t (*msr_read)(uint32_t index);
    void (*msr_write)(uint32_t index, uint64_t value);
};
extern struct host_hooks host_hooks;
