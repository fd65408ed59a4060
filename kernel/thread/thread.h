// SPDX-License-Identifier: MIT
// Threads. A thread belongs to one CPU for life; only that CPU changes its state and its queues, so
// these need no lock. Other CPUs reach it through the scheduler's wake queue and an IPI.
// The kernel runs with interrupts off and is never preempted: a thread leaves the CPU only where it
// calls thread_yield, one of the sleeps, thread_preempt_point or thread_exit.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/lock/lock.h"
#include "kernel/memory/object.h"
#include "kernel/thread/run_queue.h"
#include "kernel/thread/stack.h"
#include "kernel/thread/user_context.h"

struct process;
struct share;
struct vcpu;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_SLEEPING, THREAD_DEAD };

#define THREAD_EVENT_MASK ((1ull << 63) - 1) // event bits that programs can use

// One page, charged to the process's container, as are its stack and FPU area.
struct thread {
    struct object object; // references: itself while alive, each handle, each binding

    // Constant after creation.
    uint32_t cpu;    // index of the CPU it belongs to
    uint32_t number; // of all threads ever made, from 1; idle threads have 0
    uint32_t priority;
    struct share *share;     // of the CPU's time (share.h)
    uint64_t turn;           // ticks of that share's turns
    struct stack stack;      // none after its end
    struct process *process; // null: a thread of the kernel
    void (*entry)(void *argument);
    void *argument;
    struct user_context context; // how a process's thread starts in ring 3
    void *fpu_area; // XSAVE area of its ring-3 program, one page; null for kernel threads

    // Only the thread's own CPU.
    uint64_t saved_rsp; // while it does not run
    enum thread_state state;
    struct queue_node run; // in a run queue when READY
    struct deadline_node deadline;
    uint64_t away;     // ticks in which it did not run, while it runs; only differences count
    bool begun;        // it has run
    struct vcpu *vcpu; // the vCPU that this thread runs; set by kernel/vm, null otherwise

    // Any CPU.
    _Atomic uint64_t events; // set by thread_signal, taken by thread_take_events
    _Atomic bool killed;     // it shall end: every sleep returns at once, no way back to ring 3

    // Guarded by the wake queue's lock of its CPU.
    struct thread *next_woken;
    bool wake_pending; // it is in the queue, or has ended: not to be posted

    // Guarded by the process's lock.
    struct queue_node in_process;
};
static_assert(sizeof(struct thread) <= 4096, "one page per thread");

// -- creation and end ---------------------------------------------------------------------

#define CPU_ANY UINT32_MAX // the one with the fewest threads

// Makes a thread of `process` (null: of the kernel, no FPU area) on CPU `cpu`, charged to
// `container`, that sleeps until thread_wake and then runs entry(argument) in ring 0. When entry
// returns, the thread ends. STATUS_INVALID: no such CPU; STATUS_QUOTA, STATUS_NO_MEMORY. `*thread`
// carries one reference of the caller's besides the thread's own: drop it with object_release.
MUST_CHECK enum status thread_create(struct process *process, uint32_t container, uint32_t priority,
                                     uint32_t cpu, void (*entry)(void *), void *argument,
                                     struct thread **thread);

// Frees a thread that was never woken, with both references.
void thread_discard(struct thread *thread);

// Ends the running thread. Its stack and FPU area are freed by whoever runs next on this CPU.
NORETURN void thread_exit(void);

// Makes the thread end soon: wakes it from whatever sleep it is in.
void thread_kill(struct thread *thread);

// -- running ------------------------------------------------------------------------------

// What contracts call the running thread.
//@ ghost struct thread *running_thread;

// The running thread, from the top of the kernel stack.
//@ terminates \true; assigns \nothing; ensures \result == running_thread;
static inline struct thread *current_thread(void)
{
    return kernel_stack_top()->thread;
}

// The process of the running thread; null in kernel threads.
static inline struct process *current_process(void)
{
    return current_thread()->process;
}

// Lets the other ready threads of at least the same priority run first.
void thread_yield(void);

// -- sleeping and waking --------------------------------------------------------------------

// Sleeps until an event bit of the running thread is set or the TSC reaches `deadline`
// (DEADLINE_NONE: no limit). Returns the bits and clears them; 0: the deadline passed, or the
// thread was killed.
uint64_t thread_sleep_until_event(uint64_t deadline);

// Wakes `next` (null: nobody), a thread of this CPU, and sleeps until thread_wake, thread_signal or
// thread_kill; the CPU goes straight to `next` where no other thread is ready. Who looks for a
// reason to sleep, and at thread_killed, and then sleeps loses no wake-up: until the thread sleeps,
// its CPU does nothing else.
void thread_sleep(struct thread *next);

// Takes the pending event bits of the running thread without sleeping.
uint64_t thread_take_events(void);

// Sets event bits and wakes the thread, or gets it out of its guest if it runs on another CPU.
void thread_signal(struct thread *thread, uint64_t bits);

// Who is told of something: a thread, by event bits. Guarded by the lock of what it belongs to.
struct event_binding {
    struct thread *_Atomic thread; // holds a reference; null: nobody. A thread may see without the
                                   // lock whether it is bound itself
    uint64_t bits;
};

// Binds the running thread with event bit `bit`, in place of who was bound before.
void event_bind(struct event_binding *binding, uint32_t bit);

// Ends the binding if it is of a thread of `process`, which is going away.
void event_unbind(struct event_binding *binding, const struct process *process);

// Sets the event bits of who is bound, and returns who that is, or null; it is still to be woken.
struct thread *event_mark(const struct event_binding *binding);

// Tells who is bound, if anybody is.
void event_send(const struct event_binding *binding);

// Makes a sleeping thread READY; others are left as they are.
//@ terminates \true; assigns \nothing;
void thread_wake(struct thread *thread);

// A condition variable: waiting threads in order. Guarded by the lock of what it belongs to.
struct condition {
    struct queue waiters;
};

// Sleeps until chosen by condition_wake_one, or killed; releases `lock` while asleep and holds it
// again on return. Returns true when chosen.
bool condition_wait(struct condition *condition, struct lock *lock);

// Chooses and wakes the waiter that waits longest; false when there is none.
bool condition_wake_one(struct condition *condition);
void condition_wake_all(struct condition *condition);

// -- preemption, for loops inside the kernel (the vCPU loop above all) --------------------------

// True when the running thread should let others run now, or has to end: a slice is over and
// somebody of at least its priority waits, somebody of a higher priority waits, a sleeper is due,
// or the thread was killed.
bool thread_should_yield(void);

// The TSC at which thread_should_yield may become true by itself; DEADLINE_NONE: never. A guest is
// entered with the VMX-preemption timer set to fire no later.
uint64_t scheduler_slice_end_tsc(void);

// Wakes due sleepers and yields if needed. Returns false when the thread was killed: the caller
// unwinds to ring 3's border, where it ends.
bool thread_preempt_point(void);

// True when the thread / the running thread was killed. Pairs with the store in thread_kill.
static inline bool thread_is_killed(const struct thread *thread)
{
    return atomic_load_explicit(&thread->killed, memory_order_acquire);
}
//@ terminates \true; assigns \nothing;
static inline bool thread_killed(void)
{
    return thread_is_killed(current_thread());
}
