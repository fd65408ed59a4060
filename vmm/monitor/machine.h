// SPDX-License-Identifier: MIT
// The state of one VM as its exit handlers see it, and the interface between the handlers and the
// run loop.
//
// A handler is pure: it reads the exit in the shared page, changes the page, the platform and this
// struct, and says how to go on. It makes no system call, so host tests, fuzzing and replay run
// the same code. One per virtual processor, used by its thread; the platform behind it is shared,
// and with several processors the run loop holds the VM's lock (smp.h).
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/message.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/devices/platform.h"
#include "vmm/monitor/exceptions.h"
#include "vmm/monitor/guest_access.h"
#include "vmm/monitor/random.h"

// How the run loop goes on after a handler.
enum outcome {
    OUTCOME_RESUME,  // enter the guest again where it is
    OUTCOME_ADVANCE, // move RIP past the instruction first
    OUTCOME_FETCH,   // fill the groups in machine.need, then call the handler again
    OUTCOME_STOP,    // the VM ends as machine.stop says
};

#define MACHINE_WHY           160u
#define MACHINE_MTRR_VARIABLE 8u // range registers
#define MACHINE_MTRR_COUNT    (2 * MACHINE_MTRR_VARIABLE + 11 + 1)

struct machine_stop {
    uint32_t reason; // enum end_reason
    uint32_t status; // enum run_status, or what the guest chose
    bool report;     // log the exit and the registers
    char why[MACHINE_WHY];
};

// What the processor offers, read once.
struct machine_features {
    uint64_t cr4_allowed;  // bits the guest may set
    uint64_t xcr0_allowed; // 0: no XSAVE
    uint64_t tsc_hz;
    unsigned physical_bits;
    uint32_t processors;  // with local APICs; 0: one processor at the PIC
    uint32_t leaf_one[4]; // CPUID leaf 1 without what differs between processors
};

// MSRs that are kept here because nothing else has them.
struct machine_msrs {
    uint64_t apic_base;
    uint64_t tsc_adjust;
    uint64_t misc_enable;
    uint64_t mcg_status;
    uint64_t mtrr[MACHINE_MTRR_COUNT];
};

struct machine_counts {
    uint64_t msr_refused; // accesses that got #GP
    uint64_t exits[EXIT_KIND_COUNT];
};

struct machine {
    struct vcpu_page *page;
    struct platform *platform;
    struct guest_memory *memory;
    struct guest_access access; // the emulator's way to memory and devices
    struct machine_features features;
    struct machine_msrs msrs;
    uint64_t cr8; // without a local APIC

    struct local_apic *apic;       // null: the processor is at the PIC
    const struct vcpu_page *reset; // with a local APIC: the registers after an INIT
    bool waiting;                  // for a start-up IPI
    bool handles_nmi;              // one was injected, and its IRET has not been seen

    uint32_t need;            // groups, OUTCOME_FETCH
    bool bad_state;           // the first HLT spoils the registers: CONFIG_INTERCEPT_BAD_STATE
    bool trap_due;            // RFLAGS.TF was set when an instruction was emulated
    struct machine_stop stop; // OUTCOME_STOP
    uint32_t refused[16];     // MSR numbers that were logged
    uint32_t refused_count;
    struct machine_counts counts;
    struct exception_trail exceptions;
    struct random_source random;

    void *log_context;
    void (*log)(void *context, const char *line); // null: nobody reads it
};

// Sets machine.stop and returns OUTCOME_STOP.
enum outcome machine_stop(struct machine *machine, uint32_t reason, uint32_t status, bool report,
                          const char *format, ...) PRINTF(5, 6);

// The guest halted with interrupts off, and nothing will wake it.
enum outcome machine_halted(struct machine *machine);

// One line for the host log.
void machine_log(struct machine *machine, const char *format, ...) PRINTF(2, 3);

// True when all `groups` are valid; else notes what is missing, for OUTCOME_FETCH.
static inline bool machine_has(struct machine *machine, uint32_t groups)
{
    machine->need = groups & ~machine->page->valid;
    return LIKELY(machine->need == 0);
}

// Ends the VM as a device asked. MACHINE_RUNS must have been excluded.
enum outcome machine_device_end(struct machine *machine);

// After an access to a device: goes on with `next`, or ends the VM if that is what the access did.
static inline enum outcome machine_after_access(struct machine *machine, enum outcome next)
{
    if (UNLIKELY(machine->platform->control.end != MACHINE_RUNS)) {
        return machine_device_end(machine);
    }
    return next;
}
