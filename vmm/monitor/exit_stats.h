// SPDX-License-Identifier: MIT
// Statistics of VM exits: by reason, and by what was touched (port, MSR, CPUID leaf, page). Filled
// by the observer (observe.h), printed by exit_report.c. Pure; one thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/exit_log.h"
#include "kernel/lib/compiler.h"

#define EXIT_REASONS  80u   // basic reasons; the last row holds all above
#define EXIT_SUBJECTS 1024u // a power of two; of all reasons

// A histogram from which the median is read: exact below 1024 ticks, else within 1/16.
#define HISTOGRAM_EXACT   1024u
#define HISTOGRAM_STEPS   16u
#define HISTOGRAM_OCTAVES 22u // of the ticks, which have 32 bits
#define HISTOGRAM_BUCKETS (HISTOGRAM_EXACT + HISTOGRAM_STEPS * HISTOGRAM_OCTAVES)

// The same, coarser, for each subject: exact below 32 ticks, else within 1/8.
#define SUBJECT_EXACT   32u
#define SUBJECT_STEPS   8u
#define SUBJECT_OCTAVES 27u
#define SUBJECT_BUCKETS (SUBJECT_EXACT + SUBJECT_STEPS * SUBJECT_OCTAVES)

struct exit_reason_stats {
    uint64_t count;
    uint64_t in_kernel;                    // of them never seen by the monitor
    uint64_t kernel_ticks;                 // spent on all of them
    uint64_t monitor_ticks;                // the same
    uint32_t histogram[HISTOGRAM_BUCKETS]; // of kernel and monitor together
};

struct exit_subject {
    uint64_t key;   // basic reason in 63:56, then the port, MSR, leaf, page number, APIC register
    uint64_t count; // 0: this slot is free
    uint64_t in_kernel;
    uint64_t ticks; // of kernel and monitor together
    uint32_t histogram[SUBJECT_BUCKETS];
};

struct exit_stats {
    uint64_t count;
    uint64_t subjects_lost; // exits whose subject found no slot
    struct exit_reason_stats reasons[EXIT_REASONS];
    struct exit_subject subjects[EXIT_SUBJECTS];
};

// Where the ticks between the first vcpu_run and now went.
struct exit_slices {
    uint64_t elapsed;
    uint64_t guest;   // in the guest, with what the hardware takes to enter and leave
    uint64_t kernel;  // in the kernel on this VM's behalf
    uint64_t monitor; // in the monitor
    uint64_t halted;  // the guest was in HLT and nothing was due
    uint64_t other;   // the CPU ran other threads, or the monitor waited for the console
    uint64_t logging; // taking records, counting and sending them
};

// Adds one exit to zeroed statistics.
void exit_stats_add(struct exit_stats *stats, const struct exit_entry *entry);

// Median of kernel and monitor ticks of a reason; 0 where there is none.
uint64_t exit_stats_median(const struct exit_stats *stats, uint32_t reason);

// The same of a subject.
uint64_t exit_subject_median(const struct exit_subject *subject);

// The subjects of a reason by falling ticks: the one after `before`, null for the first. Null:
// there are no more. Ties fall by key.
const struct exit_subject *exit_stats_next(const struct exit_stats *stats, uint32_t reason,
                                           const struct exit_subject *before);

static inline uint64_t exit_subject_value(const struct exit_subject *subject)
{
    return subject->key & (UINT64_MAX >> 8);
}

// Intel's name of a basic exit reason; "reserved" for others.
const char *exit_reason_name(uint32_t reason);

// The tables as text, lines end in LF, at most `rows` subjects of each reason. `slices`: of `vcpus`
// processors. Returns the bytes written; lines that find no room are left out whole.
size_t exit_report(const struct exit_stats *stats, const struct exit_slices *slices, unsigned vcpus,
                   unsigned rows, char *buffer, size_t size);
