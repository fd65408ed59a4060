// SPDX-License-Identifier: MIT
// The kernel's event log in the world of thread_world.h: it comes here instead of to a debug port,
// and each event is a step that the specification has to allow at that moment.
#include <stdio.h>
#include "kernel/core/event_log.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/thread_world.h"
#include "test/spec/print.h"

#define OTHER_LOCKS (SPEC_LOCKS - SPEC_CHANNELS)

bool event_log_on;
static uint64_t other_locks[OTHER_LOCKS];  // addresses; 0: none
static uint32_t chosen;                    // by the receive or pass under way; 0: nobody
static uint32_t left_by_sleep[WORLD_CPUS]; // the lock that a sleep gave up
static bool exchange_sleeps[WORLD_CPUS];   // and the CPU has not gone on to another thread
static uint64_t handed_over;

void world_must(enum spec_rule rule, const char *event)
{
    if (rule != SPEC_ALLOWED) {
        spec_rule_print(stderr, rule);
        lockstep_fail("the specification does not allow the event %s on CPU %u", event, host_cpu);
    }
}

// -- names --------------------------------------------------------------------------------------

// The number of an actor by its thread's number in the log; SPEC_NONE: an idle thread.
static uint32_t actor_of(uint64_t number)
{
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        if (actors[i].thread != NULL && actors[i].thread->number == number) {
            return i;
        }
    }
    if (number != 0) {
        lockstep_fail("an event of a thread that is not there");
    }
    return SPEC_NONE;
}

static uint32_t channel_at(uint64_t address)
{
    for (uint32_t i = 0; i < WORLD_CHANNELS; i++) {
        if ((uint64_t)(uintptr_t)channels[i].channel == address) {
            return i;
        }
    }
    lockstep_fail("an event of a channel that is not there");
}

static uint32_t lock_at(uint64_t address, uint64_t rank)
{
    uint32_t i = 0;

    for (uint32_t k = 0; k < WORLD_CHANNELS; k++) {
        if (channels[k].channel && (uint64_t)(uintptr_t)&channels[k].channel->lock == address) {
            return k;
        }
    }
    while (other_locks[i] != 0 && other_locks[i] != address) {
        i++;
    }
    if (other_locks[i] == 0) {
        other_locks[i] = address;
        spec_lock_add(&spec, SPEC_CHANNELS + i, (uint32_t)rank);
    }
    return SPEC_CHANNELS + i;
}

static uint32_t condition_at(uint64_t address)
{
    for (uint32_t i = 0; i < WORLD_CHANNELS; i++) {
        if ((uint64_t)(uintptr_t)&channels[i].channel->senders == address) {
            return i;
        }
    }
    return SPEC_NONE;
}

struct actor *world_current(uint32_t cpu)
{
    uint32_t current = spec.cpus[cpu].current;

    return current != SPEC_NONE ? &actors[current] : NULL;
}

// -- events ---------------------------------------------------------------------------------------

static void note_own(uint64_t address, uint64_t rank)
{
    uint32_t lock = lock_at(address, rank);

    world_must(acquire_lock_spec(&spec, host_cpu, lock, &spec), "wait");
    world_must(own_lock_spec(&spec, host_cpu, lock, &spec), "own");
}

static void note_release(uint64_t address)
{
    uint32_t lock = lock_at(address, 0);

    if (left_by_sleep[host_cpu] == lock) {
        left_by_sleep[host_cpu] = SPEC_NONE; // in one step with the sleep
        return;
    }
    world_must(release_lock_spec(&spec, host_cpu, lock, &spec), "release");
}

static void note_sleep(uint64_t condition)
{
    uint32_t on = condition != 0 ? condition_at(condition) : SPEC_NONE;
    const struct actor *actor = world_current(host_cpu);

    left_by_sleep[host_cpu] = on;
    exchange_sleeps[host_cpu] = actor != NULL && actor->exchanges && on == SPEC_NONE;
    world_must(thread_sleep_spec(&spec, host_cpu, on, actor ? actor->deadline : UINT64_MAX, &spec),
               "sleep");
}

uint64_t world_handed_over(void)
{
    return handed_over;
}

static void note_woken(uint64_t number, bool posted)
{
    uint32_t thread = actor_of(number);

    // Who is woken between a sleep and what runs next is given the CPU.
    handed_over += !posted && exchange_sleeps[host_cpu];
    if (thread == chosen) {
        return; // with the event of the receive or pass
    }
    world_must(thread_wake_spec(&spec, host_cpu, thread, &spec), "wake");
    lockstep_equal("woken",
                   posted ? spec.threads[thread].queued : spec.threads[thread].state == SPEC_READY,
                   true);
}

static void note_waited(uint64_t chosen_value)
{
    const struct spec_thread *thread = &spec.threads[spec.cpus[host_cpu].current];
    bool was_chosen = false;

    if (thread->condition == SPEC_NONE && thread->killed) { // it did not even sleep
        world_current(host_cpu)->gave_up = true;
        return;
    }
    world_must(condition_wait_end_spec(&spec, host_cpu, &spec, &was_chosen), "waited");
    lockstep_equal("chosen", chosen_value, was_chosen);
    world_current(host_cpu)->gave_up = !was_chosen;
}

void world_message(uint8_t *message, uint8_t seed, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        message[i] = (uint8_t)(seed + i * 7);
    }
}

static void note_send(uint32_t channel, uint64_t count)
{
    struct actor *actor = world_current(host_cpu);

    world_must(ipc_send_body_spec(&spec, host_cpu, channel, count, UINT64_MAX, &spec), "send");
    world_message(channels[channel].message, actor->seed, count);
    channels[channel].seed = actor->seed;
    actor->sent = true;
    if (channels[channel].bound != 0) {
        spec.threads[channels[channel].bound].events |= channels[channel].bound_bits;
    }
}

static void note_receive(uint32_t channel, uint64_t count)
{
    uint64_t received = 0;

    world_must(ipc_receive_body_spec(&spec, host_cpu, channel, count, UINT64_MAX, &spec, &received),
               "receive");
    lockstep_equal("received", count, received);
    world_must(channel_pass_spec(&spec, host_cpu, channel, chosen, &spec), "pass");
    world_current(host_cpu)->received = true;
    world_current(host_cpu)->got = channels[channel].seed;
    chosen = SPEC_NONE;
}

static void note_pass(uint32_t channel)
{
    world_must(channel_pass_spec(&spec, host_cpu, channel, chosen, &spec), "pass");
    chosen = SPEC_NONE;
}

static void note_slot(uint64_t address, uint64_t state)
{
    const struct spec_channel *channel = &spec.channels[channel_at(address)];

    lockstep_equal("busy", state & EVENT_SLOT_BUSY, channel->busy);
    lockstep_equal("count", EVENT_SLOT_COUNT(state), channel->count);
}

static void note_container(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    struct spec_containers *containers = &spec.containers;
    uint32_t id = (uint32_t)object;

    if (kind == EVENT_SPLIT) {
        world_must(container_split_spec(containers, (uint32_t)state, value, id, containers),
                   "split");
    } else if (kind == EVENT_REVOKE) {
        world_must(container_revoke_spec(containers, id, containers), "revoke");
    } else if (kind == EVENT_ALLOC) {
        world_must(container_alloc_spec(containers, id, value, containers), "alloc");
    } else {
        world_must(container_free_spec(containers, id, value, containers), "free");
    }
}

static void note_thread(enum event_kind kind, uint64_t object)
{
    if (kind == EVENT_RUN) {
        exchange_sleeps[host_cpu] = false;
        world_must(thread_switch_spec(&spec, host_cpu, actor_of(object), &spec), "run");
    } else if (kind == EVENT_TAKE) {
        world_must(message_queue_take_spec(&spec, host_cpu, actor_of(object), &spec), "take");
    } else if (kind == EVENT_KILL) {
        uint32_t thread = actor_of(object);

        spec.threads[thread].killed = true; // and the wake-up follows
    } else if (kind == EVENT_EXIT) {
        world_must(thread_exit_spec(&spec, host_cpu, &spec), "exit");
    }
}

static void note_channel(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    uint32_t channel = channel_at(object);

    if (kind == EVENT_CLAIM) {
        world_must(channel_claim_spec(&spec, host_cpu, channel, &spec), "claim");
    } else if (kind == EVENT_SEND) {
        note_send(channel, value);
    } else if (kind == EVENT_RECEIVE) {
        note_receive(channel, value);
    } else {
        note_pass(channel);
    }
    note_slot(object, state);
}

void event_log_write(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    switch ((unsigned)kind) {
    case EVENT_OWN:
        note_own(object, state);
        break;
    case EVENT_RELEASE:
        note_release(object);
        break;
    case EVENT_SLEEP:
        note_sleep(object);
        break;
    case EVENT_WAKE:
    case EVENT_POST:
        note_woken(object, kind == EVENT_POST);
        break;
    case EVENT_WAITED:
        note_waited(value);
        break;
    case EVENT_CHOOSE:
        chosen = actor_of(value);
        break;
    case EVENT_RUN:
    case EVENT_TAKE:
    case EVENT_KILL:
    case EVENT_EXIT:
        note_thread(kind, object);
        break;
    case EVENT_CLAIM:
    case EVENT_SEND:
    case EVENT_RECEIVE:
    case EVENT_PASS:
        note_channel(kind, object, value, state);
        break;
    case EVENT_SPLIT:
    case EVENT_REVOKE:
    case EVENT_ALLOC:
    case EVENT_FREE:
        note_container(kind, object, value, state);
        break;
    case EVENT_WAIT:
        lockstep_fail("a CPU waits for a lock that nobody can hold");
    default:
        break;
    }
}

void world_events_start(void)
{
    for (uint32_t i = 0; i < WORLD_CPUS; i++) {
        left_by_sleep[i] = SPEC_NONE;
    }
    chosen = SPEC_NONE;
    event_log_on = true;
}
