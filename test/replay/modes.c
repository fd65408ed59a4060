// SPDX-License-Identifier: MIT
// Steps of the replay about modes: into ring 3 and guests, and back. What led out of ring 3 is held
// against the specification of traps; guests are entered by their own threads.
#include "kernel/abi/syscall.h"
#include "test/replay/replay.h"
#include "test/spec/trap.h"

uint64_t replay_mode(const struct spec_cpu *cpu)
{
    return cpu->mode.ikern * 1u + cpu->mode.ihost * 2u;
}

static struct refusal check_mode(const struct replay *replay, const struct event_entry *event,
                                 enum spec_rule rule)
{
    return rule == SPEC_ALLOWED ? same("the CPU's mode",
                                       replay_mode(&replay->machine.cpus[event->cpu]), event->state)
                                : by_rule(rule);
}

static uint32_t current(const struct replay *replay, const struct event_entry *event)
{
    return replay->machine.cpus[event->cpu].current;
}

// -- ring 3 -------------------------------------------------------------------------------------

// The handler that a trap of ring 3 reaches.
static enum spec_rule trap_of(uint64_t vector, struct spec_trap_effect *effect)
{
    const struct spec_trap_state ring_3 = {.user = true};
    const struct spec_trap trap = {.vector = vector, .from_user = true};
    struct spec_trap_state after;

    return trap_spec(&ring_3, &trap, &after, effect);
}

static struct refusal check_reason(uint64_t reason)
{
    struct spec_trap_effect effect;

    if (reason >= EVENT_CALL) {
        return reason < EVENT_CALL + SYSTEM_CALL_COUNT ? ALLOWED
                                                       : by_words("there is such a system call");
    }
    if (trap_of(reason, &effect) != SPEC_ALLOWED) {
        return by_rule(trap_of(reason, &effect));
    }
    return reason < SPEC_VECTOR_EXCEPTIONS || spec_vector_known(reason)
               ? ALLOWED
               : by_words("an interrupt has a vector that the kernel gave out");
}

struct refusal step_exit_user(struct replay *replay, const struct event_entry *event)
{
    enum spec_rule rule =
        proc_exit_user_spec(&replay->machine, event->cpu, NULL, 0, &replay->machine);
    struct refusal refusal = check_mode(replay, event, rule);

    if (is_allowed(&refusal)) {
        replay->left_by[current(replay, event)] = 1 + event->object;
        refusal = check_reason(event->object);
    }
    return refusal;
}

// A program that took an exception does not run on.
static bool has_faulted(uint64_t reason)
{
    struct spec_trap_effect effect;

    return reason != 0 && trap_of(reason - 1, &effect) == SPEC_ALLOWED && reason - 1 < EVENT_CALL &&
           effect.handler == SPEC_HANDLER_END;
}

struct refusal step_start_user(struct replay *replay, const struct event_entry *event)
{
    enum spec_rule rule = proc_start_user_spec(&replay->machine, event->cpu, &replay->machine);
    uint32_t place = current(replay, event);

    if (rule == SPEC_ALLOWED && has_faulted(replay->left_by[place])) {
        return by_words("a program that an exception ended does not run on");
    }
    return check_mode(replay, event, rule);
}

#define RUNS_VCPU (1 + EVENT_CALL + SYS_VCPU_RUN) // as left_by has it

// -- guests -------------------------------------------------------------------------------------

// The vCPU is the thread's own from its first entry on.
static struct refusal check_vcpu(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->vcpus, event->object);

    if (place == replay->vcpus.count) {
        place = names_add(&replay->vcpus, event->object);
        if (place == replay->vcpus.count) {
            return by_words("the replay has room for this vCPU");
        }
        replay->vcpu_notes[place].thread = event->thread;
    }
    return same("a vCPU is run by its own thread", replay->vcpu_notes[place].thread, event->thread);
}

struct refusal step_hostout(struct replay *replay, const struct event_entry *event)
{
    enum spec_rule rule = hostout_spec(&replay->machine, event->cpu, &replay->machine);
    struct refusal refusal = check_mode(replay, event, rule);

    uint32_t thread = current(replay, event);

    // A thread of the kernel's own, of its tests, has never been in ring 3.
    if (is_allowed(&refusal) && (thread == SPEC_NONE || (replay->left_by[thread] != 0 &&
                                                         replay->left_by[thread] != RUNS_VCPU))) {
        refusal = by_words("a guest is entered by the call that runs a vCPU");
    }
    if (is_allowed(&refusal)) {
        refusal = check_vcpu(replay, event);
    }
    replay->cpus[event->cpu].guest = event->object;
    return refusal;
}

struct refusal step_hostin(struct replay *replay, const struct event_entry *event)
{
    enum spec_rule rule = hostin_spec(&replay->machine, event->cpu, &replay->machine);
    struct refusal refusal = check_mode(replay, event, rule);

    return is_allowed(&refusal) ? same("the vCPU whose guest was entered",
                                       replay->cpus[event->cpu].guest, event->object)
                                : refusal;
}

struct refusal vcpu_page_free(struct replay *replay, const struct event_entry *event)
{
    for (uint32_t i = 0; i < replay->machine.cpu_count; i++) {
        if (replay_mode(&replay->machine.cpus[i]) == EVENT_MODE_GUEST &&
            replay->cpus[i].guest - event->object < event->value) {
            return by_words("a vCPU whose guest runs is not freed");
        }
    }
    for (uint32_t i = 0; i < replay->vcpus.used; i++) {
        if (replay->vcpus.addresses[i] != 0 &&
            replay->vcpus.addresses[i] - event->object < event->value) {
            names_remove(&replay->vcpus, i);
        }
    }
    return ALLOWED;
}
