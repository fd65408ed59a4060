// SPDX-License-Identifier: MIT
// Several virtual processors: one thread each, and one lock that a thread holds whenever it is not
// in the guest. So exit handlers and devices see one thread at a time, as without local APICs.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

struct monitor;
struct virtual_cpu;

// Event bits of the threads; LINK_EVENT_BIT is the boot processor's.
#define SMP_KICK_BIT 1u // look at the local APIC, the deadline, or a pause
#define SMP_LOCK_BIT 2u // the lock was given up

struct smp {
    _Atomic uint32_t held;    // 1: somebody has the lock
    _Atomic uint32_t waiters; // processors that sleep for it, a bit each
    // Guarded by the lock:
    uint64_t device_deadline; // host TSC that the boot processor looks after; others make it look
                              // again when theirs is earlier
    uint64_t tsc_offset;      // of all processors at the start
    uint64_t skipped;         // host ticks that pauses have hidden so far
    uint32_t kick;            // processors to be kicked before the lock is given up
    bool pausing;             // processors are to park
    bool ending;              // `ender` ends the VM: all others park for ever
    uint32_t ender;
    bool pic_pending; // the PIC's interrupt was told about
};

// Runs all processors; called by the process's first thread, which sleeps from then on.
NORETURN void smp_run(struct monitor *monitor);

// Makes the other processors stop outside of the guest, and lets them go on. The caller holds the
// lock, and does so again afterwards.
void smp_stop_others(struct virtual_cpu *cpu);
void smp_resume_others(struct virtual_cpu *cpu);

// The same for good: the VM ends. Of several that want to end it the first comes back.
void smp_end(struct virtual_cpu *cpu);

// Every processor's TSC is to be set back by `ticks`, each by its own thread.
void smp_hide_time(struct monitor *monitor, uint64_t ticks);
