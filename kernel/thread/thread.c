// SPDX-License-Identifier: MIT
// Threads (thread.h): creation, end, sleeping, waking, preemption points.
#include "kernel/thread/thread.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "drivers/local_apic.h"
#include "kernel/core/assert.h"
#include "kernel/core/event_log.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/processors.h"
#include "kernel/memory/memory.h"
#include "kernel/process/process.h"
#include "kernel/thread/scheduler.h"
#include "kernel/thread/thread_private.h"
#include "kernel/vm/vm.h"

#define FPU_INITIAL_CONTROL 0x37f

// -- creation and end -----------------------------------------------------------------------------

static void thread_main(void *argument)
{
    struct thread *thread = argument;

    thread->begun = true;
    scheduler_reap();
    thread->entry(thread->argument);
    thread_exit();
}

// Writes to the stack through the direct map: only the thread's own CPU ever has translations of it
// at its own address.
static void prepare_stack(struct thread *thread)
{
    uint64_t stack = stack_slot_address(thread->stack.slot);
    uint64_t last_page = (uint64_t)memory_pointer(thread->stack.pages[STACK_PAGES - 1]);
    uint64_t offset = last_page - (stack + KERNEL_STACK_SIZE - PAGE_SIZE);
    uint64_t start = kernel_stack_start(stack) + offset;

    *(struct kernel_stack_top *)start = (struct kernel_stack_top){cpu_of(thread->cpu), thread};
    thread->saved_rsp = context_prepare(start, thread_main, thread) - offset;
}

static void free_parts(struct thread *thread)
{
    if (thread->fpu_area) {
        fpu_release(thread->fpu_area);
        memory_free_object(thread->object.container, thread->fpu_area);
    }
    stack_destroy(thread->object.container, &thread->stack);
}

static void free_unborn(struct thread *thread)
{
    scheduler_give_place(thread->cpu);
    free_parts(thread);
    memory_free_object(thread->object.container, thread);
}

static enum status allocate_parts(struct thread *thread)
{
    enum status status = stack_create(thread->object.container, &thread->stack);

    if (status == STATUS_OK && thread->process) {
        thread->fpu_area = memory_allocate_object(thread->object.container);
        status = thread->fpu_area ? STATUS_OK : STATUS_QUOTA;
    }
    if (status == STATUS_OK && thread->process) {
        fpu_area_initialize(thread->fpu_area, FPU_INITIAL_CONTROL);
    }
    return status;
}

enum status thread_create(struct process *process, uint32_t container, uint32_t priority,
                          uint32_t cpu, void (*entry)(void *), void *argument,
                          struct thread **created)
{
    static _Atomic uint32_t threads;
    if (cpu != CPU_ANY && cpu >= processor_count()) {
        return STATUS_INVALID;
    }
    struct thread *thread = object_create(container, 2, NULL);
    if (!thread) {
        return STATUS_QUOTA;
    }
    thread->cpu = scheduler_take_place(cpu);
    thread->number = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
    thread->priority = priority;
    thread->process = process;
    thread->entry = entry;
    thread->argument = argument;
    scheduler_assign_share(thread);
    thread->state = THREAD_SLEEPING;
    enum status status = allocate_parts(thread);
    if (status != STATUS_OK) {
        free_unborn(thread);
        return status;
    }
    prepare_stack(thread);
    event_log(EVENT_SPAWN, thread->number, (uint64_t)container << 32 | thread->cpu,
              (uint64_t)(uintptr_t)process);
    *created = thread;
    return STATUS_OK;
}

NORETURN void thread_exit(void)
{
    struct thread *thread = current_thread();

    vcpu_thread_ended(thread->vcpu);
    if (thread->process) {
        process_thread_ended(thread->process, thread);
    }
    thread->state = THREAD_DEAD;
    event_log(EVENT_EXIT, 0, 0, 0);
    this_scheduler()->dead = thread;
    scheduler_switch(this_scheduler());
    panic("a thread ran on after its end");
}

void thread_discard(struct thread *thread)
{
    event_log(EVENT_DISCARD, thread->number, 0, 0);
    free_unborn(thread);
}

void thread_free(struct thread *thread)
{
    struct process *process = thread->process;

    scheduler_forget(thread);
    scheduler_give_place(thread->cpu);
    free_parts(thread);
    object_release(&thread->object);
    if (process) {
        process_thread_freed(process);
    }
}

void thread_kill(struct thread *thread)
{
    event_log(EVENT_KILL, thread->number, 0, 0);
    // Pairs with the acquire load in thread_is_killed.
    atomic_store_explicit(&thread->killed, true, memory_order_release);
    if (thread == current_thread()) {
        this_scheduler()->attention |= ATTENTION_YIELD;
    } else {
        thread_wake(thread);
    }
}

// -- waking ---------------------------------------------------------------------------------------

// Hands the thread to its own CPU and interrupts that.
static NOINLINE void wake_on_other_cpu(struct thread *thread)
{
    if (wake_queue_post(&scheduler_of(thread->cpu)->woken, thread)) {
        local_apic_send(cpu_of(thread->cpu)->apic_id, INTERRUPT_WAKE);
    }
}

void thread_wake(struct thread *thread)
{
    if (thread->cpu != this_cpu()->id) {
        wake_on_other_cpu(thread);
    } else if (thread->state == THREAD_SLEEPING) {
        if (!thread->begun) {
            kernel_space_forget_stack(thread->stack.slot);
        }
        deadline_queue_remove(&this_scheduler()->sleepers, &thread->deadline);
        scheduler_ready(thread);
    }
}

void thread_signal(struct thread *thread, uint64_t bits)
{
    // Pairs with the exchange in thread_take_events.
    atomic_fetch_or_explicit(&thread->events, bits & THREAD_EVENT_MASK, memory_order_release);
    thread_wake(thread);
}

// -- sleeping -------------------------------------------------------------------------------------

uint64_t thread_take_events(void)
{
    struct thread *thread = current_thread();

    if (atomic_load_explicit(&thread->events, memory_order_relaxed) == 0) {
        return 0;
    }
    return atomic_exchange_explicit(&thread->events, 0, memory_order_acquire);
}

static void sleep_now(struct scheduler *scheduler)
{
    scheduler->running->state = THREAD_SLEEPING;
    event_log(EVENT_SLEEP, 0, 0, 0);
    scheduler_switch(scheduler);
}

void thread_sleep(struct thread *next)
{
    struct scheduler *scheduler = this_scheduler();

    if (next) {
        if (scheduler_hand_over(scheduler, next)) {
            return;
        }
        thread_wake(next);
    }
    sleep_now(scheduler);
}

uint64_t thread_sleep_until_event(uint64_t deadline)
{
    struct scheduler *scheduler = this_scheduler();
    struct thread *thread = current_thread();
    uint64_t bits;

    // No wake-up is lost: only this CPU wakes the thread, and it does nothing else between the
    // look at the events and the switch.
    while ((bits = thread_take_events()) == 0 && !thread_killed() && tsc_read() < deadline) {
        if (deadline != DEADLINE_NONE) {
            deadline_queue_insert(&scheduler->sleepers, &thread->deadline, deadline);
        }
        sleep_now(scheduler);
    }
    return bits;
}

// -- bindings -------------------------------------------------------------------------------------

void event_bind(struct event_binding *binding, uint32_t bit)
{
    struct thread *before = binding->thread;
    struct thread *thread = current_thread();

    object_acquire(&thread->object);
    atomic_store_explicit(&binding->thread, thread, memory_order_relaxed);
    binding->bits = 1ull << bit;
    if (before) {
        object_release(&before->object);
    }
}

void event_unbind(struct event_binding *binding, const struct process *process)
{
    struct thread *thread = binding->thread;

    if (thread && thread->process == process) {
        atomic_store_explicit(&binding->thread, NULL, memory_order_relaxed);
        object_release(&thread->object);
    }
}

struct thread *event_mark(const struct event_binding *binding)
{
    struct thread *thread = binding->thread;

    if (thread) {
        // Pairs with the exchange in thread_take_events.
        atomic_fetch_or_explicit(&thread->events, binding->bits, memory_order_release);
    }
    return thread;
}

void event_send(const struct event_binding *binding)
{
    struct thread *thread = event_mark(binding);

    if (thread) {
        thread_wake(thread);
    }
}

// -- giving up the CPU ----------------------------------------------------------------------------

void thread_yield(void)
{
    struct scheduler *scheduler = this_scheduler();

    share_end_turn(scheduler->running->share);
    scheduler_switch(scheduler);
}

bool thread_should_yield(void)
{
    const struct scheduler *scheduler = this_scheduler();

    return (scheduler->attention & ATTENTION_YIELD) || wake_queue_holds(&scheduler->woken) ||
           tsc_read() >= scheduler_slice_end_tsc();
}

bool thread_preempt_point(void)
{
    struct scheduler *scheduler = this_scheduler();
    const struct thread *thread = scheduler->running;

    if (scheduler->sleepers.first || wake_queue_holds(&scheduler->woken)) {
        scheduler_run_due();
    }
    if (thread_is_killed(thread)) {
        return false;
    }
    uint32_t higher = thread->priority + 1;
    bool turn_over = tsc_read() >= scheduler->turn_end;
    if (share_waits(&scheduler->ready, turn_over ? thread->priority : higher)) {
        scheduler_switch(scheduler);
    }
    scheduler->attention &= ~(uint32_t)ATTENTION_YIELD;
    return !thread_killed();
}
