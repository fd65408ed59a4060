// SPDX-License-Identifier: MIT
// The scheduler of one CPU: its run queue, its sleepers with a deadline, and its timer.
// Called by thread.c, the trap hooks and the idle loop of the same CPU, with interrupts off.
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/memory/container.h"
#include "kernel/thread/share.h"
#include "kernel/thread/thread.h"
#include "kernel/thread/wake_queue.h"

enum scheduler_attention {
    ATTENTION_YIELD = 1u << 0, // somebody of a higher priority is ready, or the thread was killed
    ATTENTION_TIMER = 1u << 1, // the timer may have to be set anew
};

struct scheduler {
    // Only its own CPU.
    struct thread *running;
    struct thread *dead; // ended and switched away from; freed by the next thread
    struct share_queue ready;
    struct deadline_queue sleepers;
    struct address_space *space; // whose page table is loaded; null: the kernel's own
    uint64_t since;              // TSC from which the running thread's share is charged
    uint64_t turn_end;           // TSC at which that share's turn is over
    uint64_t armed;              // TSC the timer is set to; DEADLINE_NONE: off. It may fire too
                                 // early, but for a thread that runs a vCPU
    struct thread idle;          // runs when nobody is ready, on whose stack ever; in no queue
    uint32_t attention;          // enum scheduler_attention: what to see to before ring 3 runs on

    // Any CPU.
    _Atomic uint32_t places; // threads that belong to this CPU
    struct wake_queue woken; // threads woken by other CPUs
};

// The scheduler of the CPU that asks.
static inline struct scheduler *this_scheduler(void)
{
    return this_cpu()->kernel;
}

// The scheduler of CPU `cpu` (< CPU_MAXIMUM).
struct scheduler *scheduler_of(uint32_t cpu);

// What is the same on all CPUs, before the first one's start: `slice`, a turn of a share with the
// default weight, in TSC ticks; `arm_timer`
// sets the calling CPU's timer interrupt to an absolute TSC (DEADLINE_NONE: off).
void scheduler_init(uint64_t slice, void (*arm_timer)(uint64_t tsc));

// Sets up this CPU's scheduler; the calling code becomes its idle thread.
void scheduler_start_cpu(struct cpu *cpu);

// Counts a new thread of CPU `cpu`, or for CPU_ANY of the one that has the fewest; returns which.
uint32_t scheduler_take_place(uint32_t cpu);
void scheduler_give_place(uint32_t cpu); // the thread is gone

// Says where the threads of a container run: on a share of its own with `weight` (1 to
// SHARE_WEIGHT_MAXIMUM), or, with weight 0, on its parent's. Before it has any. STATUS_NO_MEMORY:
// no share is left; only with a weight.
MUST_CHECK enum status scheduler_set_share(uint32_t container, uint32_t parent, uint32_t weight);

// The share and the weight of a new thread.
void scheduler_assign_share(struct thread *thread);

// Gives this CPU to the next ready thread (or idle). The running thread goes back to the run queue
// if its state is RUNNING.
void scheduler_switch(struct scheduler *scheduler);

// The running thread sleeps and `to`, a sleeping thread of this CPU, runs at once, as if it had
// been woken before: if no other one is ready, else nothing happens and the result is false.
MUST_CHECK bool scheduler_hand_over(struct scheduler *scheduler, struct thread *to);

// Loads the kernel's own page table: the running thread is ending, and its process with it.
void scheduler_leave_space(void);

// Makes a thread of this CPU, in no queue, READY.
void scheduler_ready(struct thread *thread);

// Frees the thread that ended last. First thing to be called by whoever runs after a switch.
void scheduler_reap(void);

// A thread of this CPU has ended: nobody wakes it any more, and no wake-up keeps its pages in use.
void scheduler_forget(struct thread *thread);

// Wakes sleepers whose deadline has passed, and threads that other CPUs woke.
void scheduler_run_due(void);

// Sets the timer to what scheduler_slice_end_tsc says; one that is set to fire earlier may stay so.
// Called before this CPU leaves for ring 3 or halts.
void scheduler_arm_timer(void);

// The timer interrupt fired (the end of interrupt is the caller's).
void scheduler_timer_fired(void);

// The idle loop of this CPU.
NORETURN void scheduler_idle(void);
