// SPDX-License-Identifier: MIT
// The specification of what a vCPU's entry does with its event, its windows and its interrupt
// shadow: a pending event is injected once, and is never lost.
#pragma once

#include "test/spec/rule.h"

#define SPEC_EVENT_VALID   (1u << 31)
#define SPEC_EVENT_ERROR   (1u << 11)
#define SPEC_SHADOW        3u // blocking by STI and by MOV SS
#define SPEC_NMI_BLOCKED   (1u << 3)
#define SPEC_TRAP_FLAG     (1ull << 8)
#define SPEC_RESUME_FLAG   (1ull << 16)
#define SPEC_WINDOW        (1u << 2) // of the primary controls
#define SPEC_NMI_WINDOW    (1u << 22)
#define SPEC_MACHINE_CHECK (1u << 18) // of the exception bitmap: always the host's

struct spec_event {
    uint32_t word; // 0: none
    uint32_t error_code;
    uint32_t length;
};

struct spec_vcpu {
    struct spec_event pending;
    bool window; // an exit is wanted as soon as an interrupt, an NMI can be taken
    bool nmi_window;
    uint32_t exceptions; // that exit
    uint64_t rip;
    uint64_t rflags;
    uint32_t interruptibility;
    bool single_step; // a debug exception is pending
};

// What the processor is given.
struct spec_entry {
    struct spec_event injected;
    uint32_t windows; // bits of the primary controls
    uint32_t exceptions;
};

// What it answers: it refuses the entry, or exits, perhaps in the middle of an event's delivery.
struct spec_answer {
    bool refused;
    struct spec_event interrupted; // as the processor reports it
    uint32_t length; // of the instruction that exits and is the monitor's to do; 0: another exit
};

// Whether an instruction that exits is stepped over at once, `now` being the state at the exit: it
// is unless that would take more than moving RIP.
bool vcpu_advances_spec(const struct spec_vcpu *now, const struct spec_answer *answer);

// `dr6`, `dr7`, `lstar`: what is to be loaded with the entry. `late`: the deadline has passed.
enum spec_rule vcpu_enter_spec(const struct spec_vcpu *now, uint64_t dr6, uint64_t dr7,
                               uint64_t lstar, bool late, const struct spec_answer *answer,
                               struct spec_vcpu *next, struct spec_entry *entry);

// The guest goes on behind an instruction of `length` bytes.
void vcpu_skip_spec(const struct spec_vcpu *now, uint32_t length, struct spec_vcpu *next);
