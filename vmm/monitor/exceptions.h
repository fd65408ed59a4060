// SPDX-License-Identifier: MIT
// The chain of exceptions that a guest got last, for the report when it dies: those that handlers
// raise, and all others while exceptions are intercepted. Pure; used by the vCPU's thread.
#pragma once

#include <stdint.h>
#include "kernel/abi/vcpu.h"

#define EXCEPTION_TRAIL 16u // notes kept

// What became of an exception.
enum exception_result {
    EXCEPTION_DELIVERED,
    EXCEPTION_DOUBLE_FAULT, // it came while another was delivered: together a double fault
    EXCEPTION_SHUTDOWN,     // the third in a row: triple fault
    EXCEPTION_RAISED,       // the monitor raised it for an instruction that it handled
};

struct exception_note {
    uint64_t rip;
    uint64_t address;    // of a page fault
    uint32_t word;       // as vcpu_event.word
    uint32_t error_code; // where `word` says that there is one
    uint32_t during;     // vcpu_event.word of the event that was being delivered; 0: none
    uint32_t result;     // enum exception_result
};

struct exception_trail {
    uint64_t total; // exceptions so far; note i is at [i % EXCEPTION_TRAIL]
    struct exception_note note[EXCEPTION_TRAIL];
};

// "Interrupt 8: Double Fault Exception": what comes of an exception, given as vcpu_event.word,
// while the event `during` is delivered (0: none).
enum exception_result exception_compose(uint32_t during, uint32_t word);

void exception_note(struct exception_trail *trail, const struct exception_note *note);

// "#GP(0x33)" and the like. Writes at most `size` bytes.
void exception_name(uint32_t word, uint32_t error_code, char *text, unsigned size);
