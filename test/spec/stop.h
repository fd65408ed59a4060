// SPDX-License-Identifier: MIT
// The specification of the end of the machine: one CPU ends it, the first that asks; all others
// stop, and what each was doing is told.
#pragma once

#include "test/spec/rule.h"

#define SPEC_STOP_CPUS    4u
#define SPEC_STOP_MESSAGE 199u // bytes of a panic that are kept

struct spec_stopped { // of a CPU
    bool stopping;    // by a panic of its own
    bool stopped;
    bool user; // it was in ring 3
    uint64_t rip;
    char message[SPEC_STOP_MESSAGE + 1];
};

struct spec_stop {
    uint32_t ender; // SPEC_NONE: the machine goes on
    struct spec_stopped cpus[SPEC_STOP_CPUS];
};

// What a CPU was doing, for the report.
struct spec_doing {
    bool guest;
    bool idle;
    uint32_t thread;
    const char *process;                    // null: the kernel's
    const char *trap;                       // the last one of ring 3
    uint64_t fault_address, return_address; // 0: there was none
};

enum spec_rule stop_claim_spec(const struct spec_stop *now, uint32_t cpu, struct spec_stop *next);
// An NMI on the CPU. True: it halts.
bool stop_answer_spec(const struct spec_stop *now, uint32_t cpu, uint64_t rip, bool user,
                      struct spec_stop *next);
// Another CPU panics meanwhile, and halts.
void stop_here_spec(const struct spec_stop *now, uint32_t cpu, const char *message, uint64_t rip,
                    struct spec_stop *next);
// CPUs that the ender sends an NMI, as bits: those that have not stopped.
uint32_t stop_others_spec(const struct spec_stop *now);

// The lines about a CPU. Returns their length, at most `size`.
uint32_t stop_report_spec(const struct spec_stop *now, uint32_t cpu, const struct spec_doing *doing,
                          char *text, uint32_t size);
