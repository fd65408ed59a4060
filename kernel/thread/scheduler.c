// SPDX-License-Identifier: MIT
// The scheduler (scheduler.h): who runs, for how long, and on which page table; no migration.
#include "kernel/thread/scheduler.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/assert.h"
#include "kernel/core/event_log.h"
#include "kernel/core/processors.h"
#include "kernel/process/process.h"
#include "kernel/thread/thread_private.h"

static struct scheduler schedulers[CPU_MAXIMUM];
static void (*timer_arm)(uint64_t tsc); // the same driver on every CPU
static uint64_t slice_ticks;

// Written when a container is made, before it has threads.
static struct {
    uint16_t share;
    uint16_t weight; // 0: the default
} container_shares[CONTAINER_MAXIMUM];
static _Atomic uint32_t
    share_owners[SHARE_URGENT]; // the container that took it last; 0's is its own

void scheduler_init(uint64_t slice, void (*arm_timer)(uint64_t tsc))
{
    timer_arm = arm_timer;
    slice_ticks = slice;
}

void scheduler_start_cpu(struct cpu *cpu)
{
    struct scheduler *scheduler = &schedulers[cpu->id];

    lock_initialize(&scheduler->woken.lock, LOCK_WAKE_QUEUE);
    scheduler->armed = DEADLINE_NONE;
    scheduler->idle.cpu = cpu->id;
    scheduler->idle.share = &scheduler->ready.shares[SHARE_URGENT]; // which never owes anything
    scheduler->idle.state = THREAD_RUNNING;
    scheduler->running = &scheduler->idle;
    cpu->kernel = scheduler;
    kernel_stack_top()->thread = &scheduler->idle;
    event_log(EVENT_CPU, cpu->id, 0, EVENT_MODE_HOST_KERNEL);
}

struct scheduler *scheduler_of(uint32_t cpu)
{
    return &schedulers[cpu];
}

static uint32_t places(uint32_t cpu)
{
    return atomic_load_explicit(&schedulers[cpu].places, memory_order_relaxed);
}

// Two CPUs that choose at the same time may choose the same: no harm, and no lock.
uint32_t scheduler_take_place(uint32_t cpu)
{
    uint32_t count = processor_count();

    if (cpu == CPU_ANY) {
        cpu = 0;
        for (uint32_t i = 1; i < count; i++) {
            cpu = places(i) < places(cpu) ? i : cpu;
        }
    }
    atomic_fetch_add_explicit(&schedulers[cpu].places, 1, memory_order_relaxed);
    return cpu;
}

void scheduler_give_place(uint32_t cpu)
{
    atomic_fetch_sub_explicit(&schedulers[cpu].places, 1, memory_order_relaxed);
}

// True while the container that took the share last lives.
static bool is_taken(uint32_t share, uint32_t owner)
{
    return container_shares[owner].share == share && container_get(&kernel_containers, owner).used;
}

enum status scheduler_set_share(uint32_t container, uint32_t parent, uint32_t weight)
{
    container_shares[container] = container_shares[parent];
    for (uint32_t share = 1; weight > 0; share++) {
        if (share == SHARE_URGENT) {
            return STATUS_NO_MEMORY;
        }
        uint32_t owner = atomic_load_explicit(&share_owners[share], memory_order_relaxed);
        if (is_taken(share, owner)) {
            continue;
        }
        container_shares[container].share = (uint16_t)share;
        container_shares[container].weight = (uint16_t)weight;
        // Who else wants this one finds it taken from here on.
        if (atomic_compare_exchange_strong_explicit(&share_owners[share], &owner, container,
                                                    memory_order_acq_rel, memory_order_relaxed)) {
            break;
        }
    }
    return STATUS_OK;
}

void scheduler_assign_share(struct thread *thread)
{
    uint32_t container = thread->object.container;
    uint32_t weight = container_shares[container].weight;
    uint32_t index = thread->priority > 0 ? SHARE_URGENT : container_shares[container].share;

    thread->share = &schedulers[thread->cpu].ready.shares[index];
    thread->turn =
        slice_ticks * (weight > 0 ? weight : SHARE_WEIGHT_DEFAULT) / SHARE_WEIGHT_DEFAULT;
}

static void begin_turn(struct scheduler *scheduler, uint64_t now)
{
    scheduler->since = now;
    scheduler->turn_end = now + (uint64_t)scheduler->running->share->budget;
}

// A thread that has had the CPU to itself owes nobody for that time.
static void forgive_running(struct scheduler *scheduler)
{
    const struct thread *running = scheduler->running;
    uint64_t now = tsc_read();

    if (running != &scheduler->idle && now >= scheduler->turn_end &&
        !share_waits(&scheduler->ready, running->priority)) {
        share_renew(running->share);
        begin_turn(scheduler, now);
    }
}

void scheduler_ready(struct thread *thread)
{
    struct scheduler *scheduler = this_scheduler();
    struct thread *running = scheduler->running;

    thread->state = THREAD_READY;
    event_log(EVENT_WAKE, thread->number, 0, 0);
    forgive_running(scheduler);
    share_push(&scheduler->ready, thread->share, thread->turn, &thread->run);
    if (thread->priority > running->priority || running == &scheduler->idle) {
        scheduler->attention |= ATTENTION_YIELD;
    }
    if (thread->priority >= running->priority || running->vcpu) {
        scheduler->attention |= ATTENTION_TIMER;
    }
}

void scheduler_reap(void)
{
    struct scheduler *scheduler = this_scheduler();
    struct thread *dead = scheduler->dead;

    if (dead) {
        scheduler->dead = NULL;
        thread_free(dead);
    }
}

// Makes this CPU use the page table of `space` (null: the kernel's own) in place of another one.
static inline void load_space(struct scheduler *scheduler, struct address_space *space)
{
    struct address_space *before = scheduler->space;

    if (space) {
        cpu_set_join(&space->cpus);
    }
    scheduler->space = space;
    cr3_write(space ? space->table.root.value : kernel_space()->root.value);
    if (before) {
        cpu_set_leave(&before->cpus);
    }
}

void scheduler_leave_space(void)
{
    struct scheduler *scheduler = this_scheduler();

    if (scheduler->space) {
        load_space(scheduler, NULL);
    }
}

// Loads what the next thread needs in ring 3: page table, kernel stack, an FPU trap, and the timer
// if it might fire too late. `alone`: no other thread is ready.
static inline void load_context(struct scheduler *scheduler, struct thread *thread, bool alone)
{
    struct address_space *space = thread->process ? &thread->process->space : NULL;

    if (space != scheduler->space) {
        load_space(scheduler, space);
    }
    if (space) {
        if (thread->vcpu || deadline_queue_next(&scheduler->sleepers) < scheduler->armed ||
            (!alone && scheduler->turn_end < scheduler->armed &&
             share_waits(&scheduler->ready, thread->priority))) {
            scheduler->attention |= ATTENTION_TIMER;
        }
        cpu_set_kernel_stack(this_cpu(),
                             kernel_stack_start(stack_slot_address(thread->stack.slot)));
        fpu_guard();
    }
}

// From the stack of `from`, which is in the queue it belongs in, if in any, to that of `to`, which
// runs from TSC `now`. `alone`: no third one is ready.
static ALWAYS_INLINE void switch_threads(struct scheduler *scheduler, struct thread *from,
                                         struct thread *to, uint64_t now, bool alone)
{
    from->away -= now;
    to->away += now;
    load_context(scheduler, to, alone);
    switch_context(&from->saved_rsp, to->saved_rsp);
    if (UNLIKELY(scheduler->dead != NULL)) {
        scheduler_reap();
    }
}

static inline void set_running(struct scheduler *scheduler, struct thread *thread, uint64_t now)
{
    thread->state = THREAD_RUNNING;
    scheduler->running = thread;
    begin_turn(scheduler, now);
    scheduler->attention = thread_is_killed(thread) ? ATTENTION_YIELD : 0;
}

// The thread that ran before goes on: the timer may have fired, or stand at a deadline that is
// gone.
static NOINLINE void check_timer(struct scheduler *scheduler)
{
    if (scheduler_slice_end_tsc() != scheduler->armed) {
        scheduler->attention |= ATTENTION_TIMER;
    }
}

// From the idle thread or to it.
static NOINLINE void switch_idle(struct scheduler *scheduler, struct thread *from,
                                 struct thread *to, uint64_t now)
{
    switch_threads(scheduler, from, to, now, false);
}

// The idle thread runs on the stack of `owner` until another one is ready, which goes on.
static void idle(struct scheduler *scheduler, struct thread *owner)
{
    scheduler_run_due();
    while (!share_waits(&scheduler->ready, 0)) {
        scheduler_arm_timer();
        wait_for_interrupt();
        scheduler_run_due();
    }
    struct thread *to = CONTAINER_OF(share_pop(&scheduler->ready), struct thread, run);
    uint64_t now = tsc_read();
    event_log(EVENT_RUN, to->number, 0, 0);
    set_running(scheduler, to, now);
    kernel_stack_top()->thread = owner;
    owner->away += now;
    if (to == owner) {
        check_timer(scheduler);
    } else {
        switch_idle(scheduler, owner, to, now);
    }
}

// No thread is ready: the idle thread runs, on the stack and the page table of `from`, which
// sleeps. So no switch is needed where that one is woken first. From a thread that has ended, the
// idle thread goes to the stack on which it began.
static NOINLINE void run_idle(struct scheduler *scheduler, struct thread *from, uint64_t now)
{
    event_log(EVENT_RUN, 0, 0, 0);
    set_running(scheduler, &scheduler->idle, now);
    if (from->state == THREAD_DEAD) {
        switch_idle(scheduler, from, &scheduler->idle, now);
        return;
    }
    from->away -= now;
    kernel_stack_top()->thread = &scheduler->idle;
    idle(scheduler, from);
}

void scheduler_switch(struct scheduler *scheduler)
{
    struct thread *from = scheduler->running;

    lock_note_none_held();
    uint64_t now = tsc_read();
    share_charge(from->share, now - scheduler->since);
    if (LIKELY(from->state == THREAD_RUNNING)) {
        from->state = THREAD_READY;
        share_push(&scheduler->ready, from->share, from->turn, &from->run);
    } else if (UNLIKELY(!share_waits(&scheduler->ready, 0))) {
        run_idle(scheduler, from, now);
        return;
    }
    struct thread *to = CONTAINER_OF(share_pop(&scheduler->ready), struct thread, run);
    set_running(scheduler, to, now);
    if (UNLIKELY(to == from)) {
        check_timer(scheduler);
        return;
    }
    event_log(EVENT_RUN, to->number, 0, 0);
    switch_threads(scheduler, from, to, now, false);
}

bool scheduler_hand_over(struct scheduler *scheduler, struct thread *to)
{
    struct thread *from = scheduler->running;

    // One that has not run yet, or has a deadline, is for thread_wake.
    if (to->state != THREAD_SLEEPING || !to->begun || to->deadline.queued ||
        share_waits(&scheduler->ready, 0)) {
        return false;
    }
    lock_note_none_held();
    uint64_t now = tsc_read();
    from->state = THREAD_SLEEPING;
    event_log(EVENT_SLEEP, 0, 0, 0);
    event_log(EVENT_WAKE, to->number, 0, 0);
    share_hand_over(&scheduler->ready, from->share, now - scheduler->since, to->share, to->turn);
    set_running(scheduler, to, now);
    event_log(EVENT_RUN, to->number, 0, 0);
    switch_threads(scheduler, from, to, now, true);
    return true;
}

// Wakes the threads that other CPUs woke.
static void run_woken(struct scheduler *scheduler)
{
    struct thread *thread = wake_queue_take(&scheduler->woken);

    while (thread) {
        struct thread *next = wake_queue_finish(&scheduler->woken, thread);

        thread_wake(thread);
        if (thread == scheduler->running && thread_is_killed(thread)) {
            scheduler->attention |= ATTENTION_YIELD;
        }
        object_release(&thread->object);
        thread = next;
    }
}

void scheduler_forget(struct thread *thread)
{
    struct scheduler *scheduler = this_scheduler();

    while (!wake_queue_shut_out(&scheduler->woken, thread)) {
        run_woken(scheduler);
    }
}

void scheduler_run_due(void)
{
    struct scheduler *scheduler = this_scheduler();
    struct deadline_node *node;

    while (scheduler->sleepers.first &&
           (node = deadline_queue_pop_due(&scheduler->sleepers, tsc_read())) != NULL) {
        thread_wake(CONTAINER_OF(node, struct thread, deadline));
    }
    if (wake_queue_holds(&scheduler->woken)) {
        run_woken(scheduler);
    }
}

uint64_t scheduler_slice_end_tsc(void)
{
    const struct scheduler *scheduler = this_scheduler();
    uint64_t end = deadline_queue_next(&scheduler->sleepers);

    if (scheduler->turn_end < end && share_waits(&scheduler->ready, scheduler->running->priority)) {
        end = scheduler->turn_end;
    }
    return end;
}

void scheduler_arm_timer(void)
{
    struct scheduler *scheduler = this_scheduler();
    uint64_t end = scheduler_slice_end_tsc();

    scheduler->attention &= ~(uint32_t)ATTENTION_TIMER;
    if (scheduler->running->vcpu ? end != scheduler->armed : end < scheduler->armed) {
        scheduler->armed = end;
        timer_arm(end);
    }
}

void scheduler_timer_fired(void)
{
    this_scheduler()->armed = DEADLINE_NONE;
    this_scheduler()->attention |= ATTENTION_TIMER;
    scheduler_run_due();
}

NORETURN void scheduler_idle(void)
{
    struct scheduler *scheduler = this_scheduler();

    for (;;) {
        idle(scheduler, &scheduler->idle);
    }
}
