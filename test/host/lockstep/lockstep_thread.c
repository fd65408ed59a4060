// SPDX-License-Identifier: MIT
// Lock-step: threads, schedulers, condition variables, message queues, channels and locks of four
// CPUs, on real kernel stacks, and the specification of the whole machine. The specification
// follows the kernel's events as they happen (thread_world.c); after each command all state is
// compared. Commands that the kernel has to stop at are given too (a checked build's locks).
#include <string.h>
#include "kernel/core/event_log.h"
#include "kernel/memory/container.h"
#include "kernel/memory/user_copy.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/thread_world.h"

// -- commands, on the actor's own thread -----

static void send_message(struct actor *actor)
{
    actor->status = channel_send(channels[actor->channel].channel, spaces[actor->space],
                                 actor->buffer, actor->count, actor->wait);
}

static void receive_message(struct actor *actor)
{
    actor->bits = 0;
    actor->status = channel_receive(channels[actor->channel].channel, spaces[actor->space],
                                    actor->buffer, actor->count, &actor->bits);
}

static void sleep_for_events(struct actor *actor)
{
    actor->bits = thread_sleep_until_event(actor->deadline);
}

static void yield(struct actor *actor)
{
    (void)actor;
    thread_yield();
}

static void preempt(struct actor *actor)
{
    actor->status = thread_preempt_point() ? STATUS_OK : STATUS_DEAD;
}

static void signal_other(struct actor *actor)
{
    thread_signal(actors[actor->target].thread, actor->bits);
}

static void kill_other(struct actor *actor)
{
    thread_kill(actors[actor->target].thread);
}

static void bind(struct actor *actor)
{
    channel_bind(channels[actor->channel].channel, (uint32_t)actor->bits);
}

static void spawn(struct actor *actor)
{
    actor->status =
        world_spawn(actor->target, (uint32_t)actor->bits, (uint32_t)actor->count, actor->cpu);
}

// -- what they ought to give -----

static uint64_t own_buffer(const struct actor *actor)
{
    return world_memory[actor->space] + (uint64_t)(actor - actors) * 2 * PAGE_SIZE;
}

// How many bytes from `address` on the actor's space lets read, or write.
static uint64_t accessible(const struct actor *actor, uint64_t address, bool writable)
{
    uint64_t start = world_memory[actor->space];
    uint64_t bytes = WORLD_MEMORY;

    if (address - start < bytes) {
        return start + bytes - address;
    }
    if (!writable && address - world_constant[actor->space] < PAGE_SIZE) {
        return world_constant[actor->space] + PAGE_SIZE - address;
    }
    return 0;
}

static uint64_t any_buffer(const struct actor *actor)
{
    switch (lockstep_below(24)) {
    case 0:
        return world_constant[actor->space] + lockstep_below(PAGE_SIZE);
    case 1:
        return world_memory[actor->space] + WORLD_MEMORY - lockstep_below(5000);
    case 2:
        return lockstep_boundary(1ull << 47);
    default:
        return own_buffer(actor) + lockstep_below(PAGE_SIZE);
    }
}

// Does a command on the CPU where the actor runs; it may not come back from it for now. `settle`
// checks it when it has.
static void command(struct actor *actor, void (*function)(struct actor *actor),
                    void (*settle)(struct actor *actor))
{
    actor->sent = false;
    actor->received = false;
    actor->gave_up = false;
    actor->command = function;
    actor->settle = settle;
    host_run(actor->thread->cpu);
}

// The rule that a send breaks at once; SPEC_ALLOWED when it goes through or sleeps.
static enum spec_rule send_rule(const struct actor *actor)
{
    struct spec_machine *probe = world_probe(actor->thread->cpu, actor->channel);
    uint32_t cpu = actor->thread->cpu;
    struct spec_channel kept = probe->channels[actor->channel];

    probe->channels[actor->channel] = (struct spec_channel){.exists = true, .busy = 1};
    enum spec_rule rule = ipc_send_body_spec(probe, cpu, actor->channel, actor->count,
                                             accessible(actor, actor->buffer, false), probe);
    probe->channels[actor->channel] = kept;
    if (rule == SPEC_ALLOWED && !actor->wait) {
        rule = channel_claim_spec(probe, cpu, actor->channel, probe);
    }
    return rule;
}

static void settle_send(struct actor *actor)
{
    if (actor->status == STATUS_OK) {
        lockstep_equal("a send that went through was seen", actor->sent, true);
    } else {
        lockstep_equal("why a send ended", actor->status, STATUS_DEAD);
        lockstep_equal("a killed sender gave up", actor->gave_up && !actor->sent, true);
    }
}

static uint8_t bytes[CHANNEL_MESSAGE_MAXIMUM]; // of a message

static void write_message(void *argument)
{
    const struct actor *actor = argument;

    lockstep_same("message", SPEC_ALLOWED,
                  address_space_write(spaces[actor->space], actor->buffer, bytes, actor->count));
}

static void read_message(void *argument)
{
    const struct actor *actor = argument;

    lockstep_same("message", SPEC_ALLOWED,
                  copy_from_user(spaces[actor->space], bytes, actor->buffer, actor->bits));
}

// As the program would itself: this is not in the log.
static void as_program(struct actor *actor, void (*function)(void *argument))
{
    event_log_on = false;
    host_on_cpu(actor->thread->cpu, function, actor);
    event_log_on = true;
}

static void do_send(struct actor *actor)
{
    static uint8_t next_seed;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor->buffer = any_buffer(actor);
    actor->count = lockstep_chance(90) ? 1 + lockstep_below(4096) : lockstep_boundary(4096);
    // In a buffer of its own the message stays as it is while it waits.
    actor->wait = actor->buffer - own_buffer(actor) < PAGE_SIZE && lockstep_chance(80);
    actor->seed = next_seed++;
    enum spec_rule rule = send_rule(actor);
    if (rule == SPEC_ALLOWED) {
        world_message(bytes, actor->seed, actor->count);
        as_program(actor, write_message);
    }
    if (rule == SPEC_ALLOWED) {
        command(actor, send_message, settle_send);
        lockstep_counted(SPEC_ALLOWED);
        return;
    }
    command(actor, send_message, NULL);
    lockstep_equal("a refused send has ended", actor->command == NULL, true);
    lockstep_same("send", rule, actor->status);
    lockstep_equal("a refused send sends nothing", actor->sent, false);
}

static void do_receive(struct actor *actor)
{
    uint8_t expected[CHANNEL_MESSAGE_MAXIMUM];
    uint64_t received = 0;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor->buffer = any_buffer(actor);
    actor->count = lockstep_chance(70) ? 4096 : lockstep_below(4200);
    memcpy(expected, channels[actor->channel].message, sizeof(expected));
    struct spec_machine *probe = world_probe(actor->thread->cpu, actor->channel);
    enum spec_rule rule =
        ipc_receive_body_spec(probe, actor->thread->cpu, actor->channel, actor->count,
                              accessible(actor, actor->buffer, true), probe, &received);
    command(actor, receive_message, NULL);
    lockstep_equal("a receive does not wait", actor->command == NULL, true);
    lockstep_same("receive", rule, actor->status);
    lockstep_equal("received", actor->bits, received);
    lockstep_equal("seen", actor->received, rule == SPEC_ALLOWED);
    if (rule == SPEC_ALLOWED) {
        as_program(actor, read_message);
        if (memcmp(bytes, expected, received) != 0) {
            lockstep_fail("a receiver got another message than was sent");
        }
    }
}

// One that is there; 0: none is.
static uint32_t any_actor(void)
{
    uint32_t first = lockstep_below(WORLD_ACTORS);

    for (uint32_t i = 0; i < WORLD_ACTORS; i++) {
        uint32_t number = (first + i) % WORLD_ACTORS;

        if (actors[number].thread != NULL) {
            return number;
        }
    }
    return 0;
}

static uint32_t free_actor(void)
{
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        if (actors[i].thread == NULL) {
            return i;
        }
    }
    return 0;
}

// -- steps -----

static void do_signal(struct actor *actor)
{
    actor->target = any_actor();
    actor->bits = lockstep_chance(90) ? 1ull << lockstep_below(64) : lockstep_random();
    spec.threads[actor->target].events |= actor->bits & THREAD_EVENT_MASK;
    command(actor, signal_other, NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void do_kill(struct actor *actor)
{
    actor->target = any_actor();
    command(actor, kill_other, NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void settle_sleep(struct actor *actor)
{
    uint32_t number = (uint32_t)(actor - actors);

    lockstep_equal("event bits", actor->bits, spec.threads[number].events);
    spec.threads[number].events = 0;
    if (actor->bits == 0 && !thread_is_killed(actor->thread)) {
        lockstep_equal("the deadline has passed", host_tsc >= actor->deadline, true);
    }
    actor->deadline = UINT64_MAX;
}

static void do_sleep(struct actor *actor)
{
    actor->deadline = lockstep_chance(40) ? UINT64_MAX : host_tsc + lockstep_below(3000);
    command(actor, sleep_for_events, settle_sleep);
    lockstep_counted(SPEC_ALLOWED);
}

static void check_spawn(const struct actor *order)
{
    enum spec_rule rule = order->expected;

    // thread_create has one status for all that its container does not allow.
    if (rule == SPAWN_CONTAINER) {
        lockstep_equal("spawned", order->status, STATUS_QUOTA);
        lockstep_counted(rule);
    } else {
        lockstep_same("spawn", rule, order->status);
    }
}

static void order_spawn(struct actor *order)
{
    order->target = free_actor();
    order->bits = lockstep_chance(90) ? CONTAINER_ROOT : lockstep_below(SPEC_CONTAINERS);
    order->count = lockstep_below(PRIORITY_COUNT);
    order->cpu = lockstep_chance(50) ? CPU_ANY : lockstep_below(WORLD_CPUS);
    order->cpu = lockstep_chance(3) ? WORLD_CPUS + lockstep_below(100) : order->cpu;
    if (order->cpu != CPU_ANY && order->cpu >= WORLD_CPUS) {
        order->expected = SPAWN_CPU;
    } else {
        order->expected = spec.containers.slots[order->bits].used ? SPEC_ALLOWED : SPAWN_CONTAINER;
    }
}

static void do_spawn(struct actor *actor)
{
    order_spawn(actor);
    if (actor->target != 0) {
        command(actor, spawn, NULL);
        check_spawn(actor);
    }
}

static void do_bind(struct actor *actor)
{
    struct world_channel *channel;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor->bits = lockstep_below(63);
    channel = &channels[actor->channel];
    channel->bound = (uint32_t)(actor - actors);
    channel->bound_bits = 1ull << actor->bits;
    if (spec.channels[actor->channel].count != 0) {
        spec.threads[channel->bound].events |= channel->bound_bits;
    }
    command(actor, bind, NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void do_end(struct actor *actor)
{
    actor->end = true;
    host_run(actor->thread->cpu);
    lockstep_counted(SPEC_ALLOWED);
}

// An interrupt of another CPU, or of the timer.
static void interrupt(struct actor *actor)
{
    (void)actor;
    scheduler_run_due();
}

static void do_simple(struct actor *actor)
{
    static void (*const commands[])(struct actor * actor) = {yield, preempt, interrupt};

    command(actor, commands[lockstep_below(ARRAY_COUNT(commands))], NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void do_misuse(struct actor *actor)
{
    static void (*const commands[])(struct actor * actor) = {misuse_locks, change_guest_modes,
                                                             change_user_modes};

    actor->channel = lockstep_below(WORLD_CHANNELS);
    command(actor, commands[lockstep_below(ARRAY_COUNT(commands))], NULL);
}

// -- driving -----

static void step_actor(struct actor *actor)
{
    static void (*const steps[])(struct actor * actor) = {
        do_send,  do_send,   do_send,   do_receive, do_receive, do_receive, do_receive,
        do_sleep, do_signal, do_signal, do_simple,  do_simple,  do_simple,  do_bind};

    if (thread_is_killed(actor->thread) && lockstep_chance(30)) {
        do_end(actor);
    } else if (lockstep_chance(2)) {
        do_kill(actor);
    } else if (lockstep_chance(4)) {
        do_spawn(actor);
    } else if (lockstep_chance(1)) {
        do_end(actor);
    } else if (lockstep_chance(1)) {
        do_misuse(actor);
    } else {
        steps[lockstep_below(ARRAY_COUNT(steps))](actor);
    }
}

static struct actor *idle_order; // what a CPU that idles does next, as an interrupt would

static void idle_pause(void)
{
    host_pause();
    if (idle_order != NULL) {
        struct actor *order = idle_order;

        idle_order = NULL;
        order->command(order);
    }
}

// A CPU that idles makes a thread, or tells or kills one, lest all sleep for ever.
static void step_idle(uint32_t cpu)
{
    struct actor order = {.bits = 1ull << lockstep_below(63)};

    order.target = any_actor();
    order.command = lockstep_chance(20) ? kill_other : signal_other;
    if (order.target == 0 || lockstep_chance(50)) {
        order_spawn(&order);
        order.command = spawn;
    }
    if (order.target == 0 || lockstep_chance(60)) {
        host_run(cpu);
        return;
    }
    if (order.command == signal_other) {
        spec.threads[order.target].events |= order.bits;
    }
    idle_order = &order;
    host_run(cpu);
    if (order.command == spawn) {
        check_spawn(&order);
    } else {
        lockstep_counted(SPEC_ALLOWED);
    }
}

static void step(void)
{
    uint32_t cpu = lockstep_below(WORLD_CPUS);
    struct actor *actor = world_current(cpu);

    if (actor != NULL) {
        step_actor(actor);
    } else {
        step_idle(cpu);
    }
    world_settle();
    world_bury();
    world_compare("a step");
}

int main(int argc, char **argv)
{
    static const enum spec_rule rules[] = {
        ACQUIRE_EXISTS, ACQUIRE_NESTED, ACQUIRE_ORDER,   RELEASE_HELD,  SEND_COUNT,
        SEND_RANGE,     CLAIM_FREE,     RECEIVE_EMPTY,   RECEIVE_SMALL, RECEIVE_RANGE,
        SWITCH_LOCKS,   SPAWN_CPU,      SPAWN_CONTAINER, HOSTOUT_MODE,  HOSTOUT_LOCKS,
        HOSTIN_MODE,    START_MODE,     START_CONTAINER, START_CONTEXT, EXIT_USER_MODE,
        EXIT_USER_STACK};

    lockstep_begin(argc, argv, "threads, channels, locks, modes", 300000);
    host_machine_start(WORLD_CPUS);
    host_hooks.wait_for_interrupt = idle_pause;
    for (uint32_t cpu = 0; cpu < WORLD_CPUS; cpu++) {
        host_run(cpu); // from the first wait to the next
    }
    world_start();
    while (lockstep_more()) {
        step();
    }
    return lockstep_end_rules(rules, ARRAY_COUNT(rules));
}
