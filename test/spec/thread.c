// SPDX-License-Identifier: MIT
// Threads, condition variables and message queues (machine.h). Which READY thread runs next is the
// scheduler's affair: any is right here, and run_queue.h says which it is.
#include "test/spec/machine.h"
#include "test/spec/machine_private.h"

#define EVENT_MASK ((1ull << 63) - 1)

enum spec_rule thread_spawn_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                 uint32_t container, uint32_t process, uint32_t priority,
                                 struct spec_machine *next)
{
    if (cpu >= now->cpu_count || !now->cpus[cpu].online) {
        return SPAWN_CPU;
    }
    if (thread >= SPEC_THREADS || now->threads[thread].state != SPEC_UNUSED) {
        return SPAWN_FREE;
    }
    if (!spec_container_used(now, container)) {
        return SPAWN_CONTAINER;
    }
    spec_begin(now, next);
    next->threads[thread] = (struct spec_thread){.state = SPEC_SLEEPING,
                                                 .cpu = cpu,
                                                 .priority = priority,
                                                 .process = process,
                                                 .container = container,
                                                 .condition = SPEC_NONE,
                                                 .deadline = UINT64_MAX};
    return SPEC_ALLOWED;
}

static bool any_ready(const struct spec_machine *now, uint32_t cpu)
{
    for (uint32_t i = 0; i < SPEC_THREADS; i++) {
        if (now->threads[i].state == SPEC_READY && now->threads[i].cpu == cpu) {
            return true;
        }
    }
    return false;
}

static enum spec_rule switch_check(const struct spec_machine *now, uint32_t cpu, uint32_t to)
{
    const struct spec_cpu *here = &now->cpus[cpu];

    if (!here->mode.ikern || !here->mode.ihost) {
        return SWITCH_MODE;
    }
    if (!spec_lock_free(now, cpu)) {
        return SWITCH_LOCKS;
    }
    if (to == SPEC_NONE) {
        return here->current != SPEC_NONE || any_ready(now, cpu) ? SWITCH_IDLE : SPEC_ALLOWED;
    }
    if (to == here->current) {
        return SPEC_ALLOWED; // it yields, and its turn comes at once
    }
    if (to >= SPEC_THREADS || now->threads[to].state != SPEC_READY) {
        return SWITCH_READY;
    }
    return now->threads[to].cpu == cpu ? SPEC_ALLOWED : SWITCH_CPU;
}

static void make_ready(struct spec_machine *machine, struct spec_thread *thread)
{
    thread->state = SPEC_READY;
    thread->deadline = UINT64_MAX;
    if (thread->condition == SPEC_NONE) {
        thread->turn = machine->clock++; // on a condition it keeps its turn there
    }
}

enum spec_rule thread_switch_spec(const struct spec_machine *now, uint32_t cpu, uint32_t to,
                                  struct spec_machine *next)
{
    enum spec_rule rule = switch_check(now, cpu, to);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    spec_begin(now, next);
    uint32_t from = next->cpus[cpu].current;
    if (from != SPEC_NONE && from != to) {
        make_ready(next, &next->threads[from]);
    }
    next->cpus[cpu].current = to;
    if (to != SPEC_NONE) {
        next->threads[to].state = SPEC_RUNNING;
    }
    return SPEC_ALLOWED;
}

static enum spec_rule sleep_check(const struct spec_machine *now, uint32_t cpu, uint32_t condition)
{
    const struct spec_cpu *here = &now->cpus[cpu];

    if (here->current == SPEC_NONE) {
        return SLEEP_CURRENT;
    }
    if (!here->mode.ikern || !here->mode.ihost) {
        return SLEEP_MODE;
    }
    if (condition != SPEC_NONE && !spec_lock_held(now, cpu, spec_condition_lock(now, condition))) {
        return SLEEP_LOCK;
    }
    bool alone = here->held_count == (condition != SPEC_NONE) && here->waits_for == SPEC_NONE;
    return alone ? SPEC_ALLOWED : SLEEP_LOCKS;
}

enum spec_rule thread_sleep_spec(const struct spec_machine *now, uint32_t cpu, uint32_t condition,
                                 uint64_t deadline, struct spec_machine *next)
{
    enum spec_rule rule = sleep_check(now, cpu, condition);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    spec_begin(now, next);
    struct spec_thread *thread = &next->threads[next->cpus[cpu].current];
    thread->state = SPEC_SLEEPING;
    thread->deadline = deadline;
    if (condition != SPEC_NONE) {
        spec_drop_lock(next, cpu, spec_condition_lock(now, condition));
        if (thread->condition != condition) {
            thread->condition = condition;
            thread->chosen = false;
            thread->turn = next->clock++;
        }
    }
    next->cpus[cpu].current = SPEC_NONE;
    return SPEC_ALLOWED;
}

enum spec_rule condition_wait_end_spec(const struct spec_machine *now, uint32_t cpu,
                                       struct spec_machine *next, bool *chosen)
{
    uint32_t current = now->cpus[cpu].current;

    if (current == SPEC_NONE || now->threads[current].condition == SPEC_NONE) {
        return WAIT_WAITS;
    }
    const struct spec_thread *before = &now->threads[current];
    if (!spec_lock_held(now, cpu, spec_condition_lock(now, before->condition))) {
        return WAIT_LOCK;
    }
    if (!before->chosen && !before->killed) {
        return WAIT_OVER;
    }
    spec_begin(now, next);
    struct spec_thread *thread = &next->threads[current];
    *chosen = thread->chosen;
    thread->condition = SPEC_NONE;
    thread->chosen = false;
    thread->turn = next->clock++;
    return SPEC_ALLOWED;
}

// -- waking -------------------------------------------------------------------------------------

void spec_wake(struct spec_machine *machine, uint32_t cpu, uint32_t thread)
{
    struct spec_thread *woken = &machine->threads[thread];

    if (woken->state == SPEC_DEAD) {
        return;
    }
    if (woken->cpu != cpu) {
        woken->queued = true;
    } else if (woken->state == SPEC_SLEEPING) {
        make_ready(machine, woken);
    }
}

enum spec_rule thread_wake_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                struct spec_machine *next)
{
    if (!spec_thread_exists(now, thread)) {
        return WAKE_EXISTS;
    }
    spec_begin(now, next);
    spec_wake(next, cpu, thread);
    return SPEC_ALLOWED;
}

enum spec_rule message_queue_take_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t thread, struct spec_machine *next)
{
    if (!spec_thread_exists(now, thread) || now->threads[thread].cpu != cpu ||
        !now->threads[thread].queued) {
        return QUEUE_PENDING;
    }
    spec_begin(now, next);
    next->threads[thread].queued = false;
    spec_wake(next, cpu, thread);
    return SPEC_ALLOWED;
}

enum spec_rule condition_wake_spec(const struct spec_machine *now, uint32_t cpu, uint32_t condition,
                                   uint32_t thread, struct spec_machine *next)
{
    if (thread == SPEC_NONE || thread != spec_longest_waiting(now, condition)) {
        return WAKE_CHOSEN;
    }
    spec_begin(now, next);
    next->threads[thread].chosen = true;
    spec_wake(next, cpu, thread);
    return SPEC_ALLOWED;
}

enum spec_rule thread_signal_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                  uint64_t bits, struct spec_machine *next)
{
    enum spec_rule rule = thread_wake_spec(now, cpu, thread, next);

    if (rule == SPEC_ALLOWED) {
        next->threads[thread].events |= bits & EVENT_MASK;
    }
    return rule;
}

enum spec_rule thread_take_events_spec(const struct spec_machine *now, uint32_t cpu,
                                       struct spec_machine *next, uint64_t *bits)
{
    uint32_t current = now->cpus[cpu].current;

    if (current == SPEC_NONE) {
        return SLEEP_CURRENT;
    }
    spec_begin(now, next);
    *bits = next->threads[current].events;
    next->threads[current].events = 0;
    return SPEC_ALLOWED;
}

// -- the end --------------------------------------------------------------------------------------

enum spec_rule thread_kill_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                struct spec_machine *next)
{
    enum spec_rule rule = thread_wake_spec(now, cpu, thread, next);

    if (rule == SPEC_ALLOWED) {
        next->threads[thread].killed = true;
    }
    return rule;
}

enum spec_rule thread_exit_spec(const struct spec_machine *now, uint32_t cpu,
                                struct spec_machine *next)
{
    uint32_t current = now->cpus[cpu].current;

    if (current == SPEC_NONE) {
        return EXIT_CURRENT;
    }
    if (!now->cpus[cpu].mode.ikern || !now->cpus[cpu].mode.ihost) {
        return EXIT_MODE;
    }
    if (!spec_lock_free(now, cpu)) {
        return EXIT_LOCKS;
    }
    spec_begin(now, next);
    next->threads[current].state = SPEC_DEAD;
    next->cpus[cpu].current = SPEC_NONE;
    return SPEC_ALLOWED;
}

enum spec_rule thread_free_spec(const struct spec_machine *now, uint32_t thread,
                                struct spec_machine *next)
{
    if (thread >= SPEC_THREADS || now->threads[thread].state != SPEC_DEAD) {
        return FREED_DEAD;
    }
    spec_begin(now, next);
    next->threads[thread] = (struct spec_thread){.condition = SPEC_NONE, .deadline = UINT64_MAX};
    return SPEC_ALLOWED;
}
