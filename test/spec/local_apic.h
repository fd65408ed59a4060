// SPDX-License-Identifier: MIT
// The specification of a CPU's local APIC as the kernel drives it: what its registers hold, which
// commands left it, and when its timer fires.
#pragma once

#include "test/spec/rule.h"

#define SPEC_APIC_NEVER UINT64_MAX

struct spec_apic { // "Local APIC Register Address Map"
    bool x2apic;   // else its registers are in memory
    bool deadline; // the timer goes by the TSC, else it counts
    bool calibrated;
    uint8_t spurious_vector, timer_vector;
    uint64_t ticks_per_tsc; // of a timer that counts: 32.32 fixed point

    uint64_t base; // IA32_APIC_BASE
    uint32_t task_priority, spurious, timer, lint0, lint1, error, divide;
    uint32_t initial;      // count of the timer
    uint64_t tsc_deadline; // 0: not armed
    uint64_t command;      // the last, with the receiver in its upper half
    uint64_t commands;     // that were sent
    uint64_t ends;         // of interrupts
};

enum spec_apic_command { SPEC_APIC_NMI = 4, SPEC_APIC_INIT = 5, SPEC_APIC_START = 6 };

// `offered`: the processor has x2APIC; `mapped`: its registers in memory could be mapped.
enum spec_rule apic_initialize_spec(const struct spec_apic *now, bool offered, uint8_t spurious,
                                    uint8_t timer, bool mapped, struct spec_apic *next);
// Each other CPU.
void apic_start_spec(const struct spec_apic *now, struct spec_apic *next);
void apic_end_of_interrupt_spec(const struct spec_apic *now, struct spec_apic *next);
// Sends `vector` to another CPU; with a kind, an NMI, INIT or start-up at the page `vector`.
void apic_send_spec(const struct spec_apic *now, uint32_t receiver, uint32_t kind, uint32_t vector,
                    struct spec_apic *next);
void apic_calibrated_spec(const struct spec_apic *now, bool has_deadline, uint64_t tsc_hz,
                          uint64_t timer_hz, struct spec_apic *next);
// The timer fires when the TSC, which is `tsc` now, reaches `when`; SPEC_APIC_NEVER: not.
void apic_timer_spec(const struct spec_apic *now, uint64_t when, uint64_t tsc,
                     struct spec_apic *next);
void apic_count_spec(const struct spec_apic *now, struct spec_apic *next);
