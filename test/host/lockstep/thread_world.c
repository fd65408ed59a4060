// SPDX-License-Identifier: MIT
// The world of thread_world.h: its beginning, its actors, and the comparison of the kernel's state
// with the specification's.
#include "test/host/lockstep/thread_world.h"
#include <string.h>
#include "kernel/core/mode.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"

struct spec_machine spec;
struct actor actors[WORLD_ACTORS];
struct world_channel channels[WORLD_CHANNELS];
struct address_space *spaces[WORLD_SPACES];
uint64_t world_memory[WORLD_SPACES];
uint64_t world_constant[WORLD_SPACES];

// -- comparing -----

// All that is left of it is the page that our reference holds.
static bool is_freed(const struct thread *thread)
{
    return thread->state == THREAD_DEAD && thread->stack.slot == 0;
}

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
    lockstep_equal("in a wake queue, or never again", thread->wake_pending,
                   model->queued || is_freed(thread));
    lockstep_equal("gone, and in a wake queue", is_freed(thread) && model->queued, false);
    lockstep_equal("waits for a deadline", thread->deadline.queued,
                   model->state == SPEC_SLEEPING && model->deadline != UINT64_MAX);
}

// Who sleeps in an exchange is told of the channel's messages, and there is none.
static void compare_exchange(uint32_t i)
{
    const struct actor *actor = &actors[i];
    const struct spec_thread *thread = &spec.threads[i];

    if (actor->command != NULL && actor->exchanges && thread->state == SPEC_SLEEPING &&
        thread->condition == SPEC_NONE && !thread->queued) {
        lockstep_equal("who waits for a message is bound", channels[actor->channel].bound, i);
        lockstep_equal("and none is there", spec.channels[actor->channel].count, 0);
    }
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
    for (const struct thread *thread = atomic_load(&scheduler->woken.first); thread;
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
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
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
        compare_exchange(i);
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

// -- actors -----

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
    world_must(thread_spawn_spec(&spec, thread->cpu, number, container, SPEC_NONE, priority, &spec),
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

        if (actor->thread != NULL && is_freed(actor->thread) && !is_bound(i)) {
            world_must(thread_free_spec(&spec, i, &spec), "free");
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

// -- beginning -----

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
        world_must(channel_create_spec(&spec, i, CONTAINER_ROOT, LOCK_CHANNEL, &spec), "channel");
    }
    spec.containers.slots[0].usage = kernel_containers.slots[0].usage;
    world_events_start();
}
