// SPDX-License-Identifier: MIT
// Lock-step: threads, schedulers, condition variables, message queues, channels and locks of four
// CPUs, on real kernel stacks, and the specification of the whole machine. The specification
// follows the kernel's events as they happen (thread_world.c); after each command all state is
// compared. Commands that the kernel has to stop at are given too (a checked build's locks).
#include <string.h>
#include "kernel/memory/container.h"
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

static void exchange_messages(struct actor *actor)
{
    actor->bits = 0;
    actor->exchanges = true;
    actor->status = channel_exchange(channels[actor->channel].channel,
                                     channels[actor->target].channel, spaces[actor->space],
                                     actor->buffer, actor->count, actor->capacity, &actor->bits);
    actor->exchanges = false;
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
                                             actor_accessible(actor, actor->buffer, false), probe);
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

static void do_send(struct actor *actor)
{
    static uint8_t next_seed;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor->buffer = actor_any_buffer(actor);
    actor->count = lockstep_chance(90) ? 1 + lockstep_below(4096) : lockstep_boundary(4096);
    // In a buffer of its own the message stays as it is while it waits.
    actor->wait = actor->buffer - actor_buffer(actor) < PAGE_SIZE && lockstep_chance(80);
    actor->seed = next_seed++;
    enum spec_rule rule = send_rule(actor);
    if (rule == SPEC_ALLOWED) {
        world_message(actor_message, actor->seed, actor->count);
        actor_write_message(actor);
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
    actor->buffer = actor_any_buffer(actor);
    actor->count = lockstep_chance(70) ? 4096 : lockstep_below(4200);
    memcpy(expected, channels[actor->channel].message, sizeof(expected));
    struct spec_machine *probe = world_probe(actor->thread->cpu, actor->channel);
    enum spec_rule rule =
        ipc_receive_body_spec(probe, actor->thread->cpu, actor->channel, actor->count,
                              actor_accessible(actor, actor->buffer, true), probe, &received);
    command(actor, receive_message, NULL);
    lockstep_equal("a receive does not wait", actor->command == NULL, true);
    lockstep_same("receive", rule, actor->status);
    lockstep_equal("received", actor->bits, received);
    lockstep_equal("seen", actor->received, rule == SPEC_ALLOWED);
    if (rule == SPEC_ALLOWED) {
        actor_read_message(actor);
        if (memcmp(actor_message, expected, received) != 0) {
            lockstep_fail("a receiver got another message than was sent");
        }
    }
}

// Why an exchange that was not refused ended without a message.
static void settle_interrupted(const struct actor *actor)
{
    lockstep_equal("nothing was received", actor->received, false);
    if (actor->status == STATUS_STATE) {
        lockstep_equal("somebody else was bound meanwhile",
                       channels[actor->channel].bound != (uint32_t)(actor - actors), true);
    } else if (actor->status == STATUS_TOO_SMALL) {
        lockstep_equal("the message is too large",
                       spec.channels[actor->channel].count > actor->capacity, true);
    } else {
        lockstep_equal("why an exchange ended", actor->status, STATUS_DEAD);
        lockstep_equal("it was killed", thread_is_killed(actor->thread), true);
    }
}

static void settle_exchange(struct actor *actor)
{
    uint8_t expected[CHANNEL_MESSAGE_MAXIMUM];

    if (actor->status != STATUS_OK) {
        settle_interrupted(actor);
        return;
    }
    lockstep_equal("an exchange sent", actor->sent, actor->count > 0);
    lockstep_equal("an exchange received", actor->received, true);
    world_message(expected, actor->got, actor->bits);
    actor_read_message(actor);
    if (memcmp(actor_message, expected, actor->bits) != 0) {
        lockstep_fail("an exchange got another message than was sent");
    }
}

static void choose_exchange(struct actor *actor)
{
    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor->target = lockstep_below(WORLD_CHANNELS);
    for (uint32_t i = 0; i < WORLD_CHANNELS && lockstep_chance(90); i++) {
        if (channels[i].bound == (uint32_t)(actor - actors)) {
            actor->channel = i;
        }
    }
    for (uint32_t i = 0; i < WORLD_CHANNELS && lockstep_chance(80); i++) {
        const struct spec_thread *receiver = &spec.threads[channels[i].bound];

        if (receiver->state == SPEC_SLEEPING && receiver->cpu == actor->thread->cpu) {
            actor->target = i;
        }
    }
    actor->buffer = actor_buffer(actor) + lockstep_below(PAGE_SIZE);
    if (lockstep_chance(10)) {
        actor->buffer = lockstep_chance(50) ? actor_any_buffer(actor)
                                            : world_constant[actor->space] + PAGE_SIZE / 2;
    }
    actor->count = lockstep_chance(30) ? 0 : lockstep_below(4096);
    actor->count = lockstep_chance(10) ? lockstep_boundary(4096) : actor->count;
    actor->capacity = lockstep_chance(60) ? 4096 : lockstep_below(4200);
}

static void do_exchange(struct actor *actor)
{
    choose_exchange(actor);
    enum spec_rule rule = channel_exchange_spec(
        actor->count, actor->capacity, channels[actor->channel].bound == (uint32_t)(actor - actors),
        actor_accessible(actor, actor->buffer, true));
    if (rule != SPEC_ALLOWED) {
        command(actor, exchange_messages, NULL);
        lockstep_equal("a refused exchange has ended", actor->command == NULL, true);
        lockstep_same("exchange", rule, actor->status);
        lockstep_equal("a refused exchange does nothing", actor->sent || actor->received, false);
        return;
    }
    if (actor->buffer - actor_buffer(actor) >= PAGE_SIZE) {
        actor->buffer = actor_buffer(actor); // where it stays as it is
    }
    actor->seed = (uint8_t)lockstep_below(256);
    world_message(actor_message, actor->seed, actor->count);
    actor_write_message(actor);
    command(actor, exchange_messages, settle_exchange);
    lockstep_counted(SPEC_ALLOWED);
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
        do_send,    do_send,  do_send,   do_receive,  do_receive,  do_receive,
        do_receive, do_sleep, do_signal, do_signal,   do_simple,   do_simple,
        do_simple,  do_bind,  do_bind,   do_exchange, do_exchange, do_exchange};

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
        ACQUIRE_EXISTS, ACQUIRE_NESTED,  ACQUIRE_ORDER,       RELEASE_HELD,    SEND_COUNT,
        SEND_RANGE,     CLAIM_FREE,      RECEIVE_EMPTY,       RECEIVE_SMALL,   RECEIVE_RANGE,
        SWITCH_LOCKS,   SPAWN_CPU,       SPAWN_CONTAINER,     HOSTOUT_MODE,    HOSTOUT_LOCKS,
        HOSTIN_MODE,    START_MODE,      START_LOCKS,         START_CONTAINER, START_CONTEXT,
        EXIT_USER_MODE, EXIT_USER_STACK, EXIT_USER_CONTAINER, EXCHANGE_COUNT,  EXCHANGE_BOUND,
        EXCHANGE_RANGE};

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
