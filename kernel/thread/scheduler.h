// SPDX-License-Identifier: MIT
// The scheduler of one CPU: its run queue, its sleepers with a deadline, and its timer.
// Called by thread.c, the trap handlers and the idle loop of the same CPU, with interrupts off.
#pragma once

#include <stdint.h>
#include "kernel/thread/thread.h"

#define SCHEDULER_CPU_MAXIMUM 32u

struct scheduler {
    // Only its own CPU.
    struct thread *running;
    struct thread *idle; // runs when nobody is ready; in no queue
    struct thread *dead; // ended and switched away from; freed by the next thread
    struct run_queue ready;
    struct deadline_queue sleepers;
    uint64_t armed; // TSC the timer is set to; DEADLINE_NONE: off
    uint64_t switches;

    struct ticket_lock wake_lock;
    struct thread *woken; // guarded by wake_lock: threads woken by other CPUs
};

// Sets up this CPU's scheduler; the calling code becomes its idle thread. `slice` in TSC ticks.
void scheduler_init(uint64_t slice);

// Gives the CPU to the next ready thread (or idle). The running thread's state says where it goes:
// RUNNING: back to the run queue; SLEEPING: nowhere; DEAD: freed.
void scheduler_switch(void);

// Wakes sleepers whose deadline has passed, and threads that other CPUs woke.
void scheduler_run_due(void);

// Sets the timer to what scheduler_slice_end_tsc says, if that changed. Called before this CPU
// leaves for ring 3 or halts.
void scheduler_arm_timer(void);

// The handler of the timer interrupt and of the wake-up IPI (the end of interrupt is the caller's).
void scheduler_interrupt(void);

// The idle loop of this CPU.
NORETURN void scheduler_idle(void);
