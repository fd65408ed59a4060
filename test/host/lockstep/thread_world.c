// SPDX-License-Identifier: MIT
// The world of thread_world.h. The kernel's event log comes here instead of to a debug port: each
// event is a step that the specification has to allow at that moment.
#include "test/host/lockstep/thread_world.h"
#include <string.h>
#include "kernel/core/event_log.h"
#include "kernel/core/mode.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/print.h"

#define OTHER_LOCKS (SPEC_LOCKS - SPEC_CHANNELS)

struct spec_machine spec;
struct actor actors[WORLD_ACTORS];
struct world_channel channels[WORLD_CHANNELS];
struct address_space *spaces[WORLD_SPACES];
uint64_t world_memory[WORLD_SPACES];
uint64_t world_constant[WORLD_SPACES];

static uint64_t other_locks[OTHER_LOCKS];  // addresses; 0: none
static uint32_t chosen;                    // by the receive or pass under way; 0: nobody
static uint32_t left_by_sleep[WORLD_CPUS]; // the lock that a sleep gave up

static void must(enum spec_rule rule, const char *event)
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

    must(acquire_lock_spec(&spec, host_cpu, lock, &spec), "wait");
    must(own_lock_spec(&spec, host_cpu, lock, &spec), "own");
}

static void note_release(uint64_t address)
{
    uint32_t lock = lock_at(address, 0);

    if (left_by_sleep[host_cpu] == lock) {
        left_by_sleep[host_cpu] = SPEC_NONE; // in one step with the sleep
        return;
    }
    must(release_lock_spec(&spec, host_cpu, lock, &spec), "release");
}

static void note_sleep(uint64_t condition)
{
    uint32_t on = condition != 0 ? condition_at(condition) : SPEC_NONE;
    const struct actor *actor = world_current(host_cpu);

    left_by_sleep[host_cpu] = on;
    must(thread_sleep_spec(&spec, host_cpu, on, actor ? actor->deadline : UINT64_MAX, &spec),
         "sleep");
}

static void note_woken(uint64_t number, bool posted)
{
    uint32_t thread = actor_of(number);

    if (thread == chosen) {
        return; // with the event of the receive or pass
    }
    must(thread_wake_spec(&spec, host_cpu, thread, &spec), "wake");
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
    must(condition_wait_end_spec(&spec, host_cpu, &spec, &was_chosen), "waited");
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

    must(ipc_send_body_spec(&spec, host_cpu, channel, count, UINT64_MAX, &spec), "send");
    world_message(channels[channel].message, actor->seed, count);
    actor->sent = true;
    if (channels[channel].bound != 0) {
        spec.threads[channels[channel].bound].events |= channels[channel].bound_bits;
    }
}

static void note_receive(uint32_t channel, uint64_t count)
{
    uint64_t received = 0;

    must(ipc_receive_body_spec(&spec, host_cpu, channel, count, UINT64_MAX, &spec, &received),
         "receive");
    lockstep_equal("received", count, received);
    must(channel_pass_spec(&spec, host_cpu, channel, chosen, &spec), "pass");
    world_current(host_cpu)->received = true;
    chosen = SPEC_NONE;
}

static void note_pass(uint32_t channel)
{
    must(channel_pass_spec(&spec, host_cpu, channel, chosen, &spec), "pass");
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
        must(container_split_spec(containers, (uint32_t)state, value, id, containers), "split");
    } else if (kind == EVENT_REVOKE) {
        must(container_revoke_spec(containers, id, containers), "revoke");
    } else if (kind == EVENT_ALLOC) {
        must(container_alloc_spec(containers, id, value, containers), "alloc");
    } else {
        must(container_free_spec(containers, id, value, containers), "free");
    }
}

static void note_thread(enum event_kind kind, uint64_t object)
{
    if (kind == EVENT_RUN) {
        must(thread_switch_spec(&spec, host_cpu, actor_of(object), &spec), "run");
    } else if (kind == EVENT_TAKE) {
        must(message_queue_take_spec(&spec, host_cpu, actor_of(object), &spec), "take");
    } else if (kind == EVENT_KILL) {
        uint32_t thread = actor_of(object);

        spec.threads[thread].killed = true; // and the wake-up follows
    } else if (kind == EVENT_EXIT) {
        must(thread_exit_spec(&spec, host_cpu, &spec), "exit");
    }
}

static void note_channel(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    uint32_t channel = channel_at(object);

    if (kind == EVENT_CLAIM) {
        must(channel_claim_spec(&spec, host_cpu, channel, &spec), "claim");
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

// -- comparing
// --------------------------------------------------------------------------------------

static void compare_thread(uint32_t i)
{
    static const enum spec_thread_state states[] = {[THREAD_READY] = SPEC_READY,
                                                    [THREAD_RUNNING] = SPEC_RUNNING,
                                                    [THREAD_SLEEPING] = SPEC_SLEEPING,
                                                    [THREAD_DEAD] = SPEC_DEAD};
    const struct thread *thread = actors[i].thread;
    const struct spec_thread *model = &spec.threads[i];

    if (thread == NULL) {
        lockstep_equal("no such thread", model->state, SPEC_UNUSED);
        return;
    }
    lockstep_equal("state", states[thread->state], model->state);
    lockstep_equal("CPU", thread->cpu, model->cpu);
    lockstep_equal("killed", thread_is_killed(thread), model->killed);
    lockstep_equal("events", thread->events, model->events);
    lockstep_equal("in a wake queue", thread->wake_pending, model->queued);
}

static void compare_mode(uint32_t cpu)
{
    const struct spec_modes *mode = &spec.cpus[cpu].mode;
    unsigned flags = (mode->init ? MODE_INIT : 0u) | (mode->ikern ? MODE_IKERN : 0u) |
                     (mode->ihost ? MODE_IHOST : 0u) | (mode->pg ? MODE_PG : 0u) |
                     (mode->ipt ? MODE_IPT : 0u);

    lockstep_equal("mode", cpu_of(cpu)->mode, flags);
}

static void compare_cpu(uint32_t cpu)
{
    const struct scheduler *scheduler = scheduler_of(cpu);
    const struct actor *actor = world_current(cpu);
    uint32_t woken = 0;
    uint32_t queued = 0;
    uint32_t living = 0;

    lockstep_equal("the running thread",
                   (uint64_t)(uintptr_t)(actor ? actor->thread : &scheduler->idle),
                   (uint64_t)(uintptr_t)scheduler->running);
    for (const struct thread *thread = atomic_load(&scheduler->woken); thread;
         thread = thread->next_woken) {
        woken++;
    }
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        queued += spec.threads[i].queued && spec.threads[i].cpu == cpu;
        living += actors[i].thread && actors[i].thread->stack.slot && spec.threads[i].cpu == cpu;
    }
    lockstep_equal("threads of a CPU", scheduler->places, living);
    lockstep_equal("length of the wake queue", woken, queued);
    lockstep_equal("locks held", spec.cpus[cpu].held_count, 0);
    compare_mode(cpu);
}

static void compare_channel(uint32_t i)
{
    const struct channel_slot *slot = &channels[i].channel->slot;
    const struct spec_channel *model = &spec.channels[i];
    uint32_t waiting = 0;

    lockstep_equal("busy", slot->busy, model->busy);
    lockstep_equal("count", slot->count, model->count);
    if (memcmp(slot->page, channels[i].message, model->count) != 0) {
        lockstep_fail("channel %u holds another message than was sent", i);
    }
    for (uint32_t k = 1; k < WORLD_ACTORS; k++) {
        waiting += spec.threads[k].condition == i && !spec.threads[k].chosen;
    }
    lockstep_equal("waiting senders", channels[i].channel->senders.waiters.length, waiting);
}

static void compare_containers(void)
{
    for (uint32_t i = 0; i < CONTAINER_MAXIMUM; i++) {
        const struct container *product = &kernel_containers.slots[i];
        const struct spec_container *model = &spec.containers.slots[i];

        lockstep_equal("container used", product->used, model->used);
        lockstep_equal("container usage", product->used ? product->usage : 0,
                       model->used ? model->usage : 0);
    }
}

void world_compare(const char *what)
{
    static uint32_t compared;

    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        compare_thread(i);
    }
    for (uint32_t i = 0; i < WORLD_CPUS; i++) {
        compare_cpu(i);
    }
    for (uint32_t i = 0; i < WORLD_CHANNELS; i++) {
        compare_channel(i);
    }
    if (++compared % 16 != 0) {
        return; // the rest follows from the events, which were right
    }
    compare_containers();
    const char *broken = spec_machine_invariant(&spec);
    if (broken != NULL) {
        lockstep_fail("after %s it does not hold any more that %s", what, broken);
    }
}

// -- actors
// -----------------------------------------------------------------------------------------

// What each thread runs: commands, one at each turn.
static void act(void *argument)
{
    struct actor *actor = argument;

    for (;;) {
        host_pause();
        if (actor->end) {
            return;
        }
        if (actor->command != NULL) {
            actor->command(actor);
            actor->command = NULL;
        }
    }
}

enum status world_spawn(uint32_t number, uint32_t container, uint32_t priority, uint32_t cpu)
{
    struct actor *actor = &actors[number];
    struct thread *thread;

    enum status status = thread_create(NULL, container, priority, cpu, act, actor, &thread);
    if (status != STATUS_OK) {
        return status;
    }
    *actor =
        (struct actor){.thread = thread, .space = number % WORLD_SPACES, .deadline = UINT64_MAX};
    lockstep_equal("CPU of a thread", cpu == CPU_ANY || thread->cpu == cpu, true);
    must(thread_spawn_spec(&spec, thread->cpu, number, container, SPEC_NONE, priority, &spec),
         "spawn");
    thread_wake(thread);
    return STATUS_OK;
}

void world_settle(void)
{
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        if (actors[i].thread != NULL && actors[i].command == NULL && actors[i].settle != NULL) {
            void (*settle)(struct actor * actor) = actors[i].settle;

            actors[i].settle = NULL;
            settle(&actors[i]);
        }
    }
}

// A channel that tells it of messages names it still.
static bool is_bound(uint32_t actor)
{
    for (uint32_t k = 0; k < WORLD_CHANNELS; k++) {
        if (channels[k].bound == actor) {
            return true;
        }
    }
    return false;
}

// The stack of a dead thread is freed by who runs next on its CPU; our reference is the last.
static void bury(void *unused)
{
    (void)unused;
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        struct actor *actor = &actors[i];

        if (actor->thread != NULL && actor->thread->state == THREAD_DEAD &&
            actor->thread->stack.slot == 0 && !actor->thread->wake_pending && !is_bound(i)) {
            must(thread_free_spec(&spec, i, &spec), "free");
            object_release(&actor->thread->object);
            *actor = (struct actor){0};
        }
    }
}

void world_bury(void)
{
    host_on_cpu(0, bury, NULL);
}

struct spec_machine *world_probe(uint32_t cpu, uint32_t channel)
{
    static struct spec_machine probe;

    if (probe.cpu_count == 0) {
        spec_machine_init(&probe, WORLD_CPUS, 0);
    }
    probe.cpus[cpu] = spec.cpus[cpu];
    probe.channels[channel] = spec.channels[channel];
    probe.locks[channel] = spec.locks[channel];
    (void)acquire_lock_spec(&probe, cpu, channel, &probe);
    (void)own_lock_spec(&probe, cpu, channel, &probe);
    return &probe;
}

// -- beginning
// ----------------------------------------------------------------------------------------

static void make_space(uint32_t i)
{
    struct address_space *space = memory_allocate_object(CONTAINER_ROOT);

    if (space == NULL || address_space_init(space, CONTAINER_ROOT) != STATUS_OK ||
        address_space_allocate(space, WORLD_MEMORY, USER_WRITE, &world_memory[i]) != STATUS_OK ||
        address_space_allocate(space, PAGE_SIZE, USER_READ, &world_constant[i]) != STATUS_OK) {
        lockstep_fail("no address space");
    }
    spaces[i] = space;
}

// On CPU 0, before the log is on.
static void make_objects(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < WORLD_SPACES; i++) {
        make_space(i);
    }
    for (uint32_t i = 0; i < WORLD_CHANNELS; i++) {
        channels[i].channel = channel_create(CONTAINER_ROOT);
        if (channels[i].channel == NULL) {
            lockstep_fail("no channel");
        }
    }
}

void world_start(void)
{
    spec_machine_init(&spec, WORLD_CPUS, kernel_containers.slots[0].quota);
    host_on_cpu(0, make_objects, NULL);
    for (uint32_t i = 0; i < WORLD_CHANNELS; i++) {
        must(channel_create_spec(&spec, i, CONTAINER_ROOT, LOCK_CHANNEL, &spec), "channel");
    }
    for (uint32_t i = 0; i < WORLD_CPUS; i++) {
        left_by_sleep[i] = SPEC_NONE;
    }
    spec.containers.slots[0].usage = kernel_containers.slots[0].usage;
    chosen = SPEC_NONE;
    event_log_on = true;
}

// -- what the kernel calls outside
// --------------------------------------------------------------------

bool event_log_on;
