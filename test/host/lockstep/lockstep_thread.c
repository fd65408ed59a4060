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

// True where no other thread of the actor's CPU is ready: there an exchange hands the CPU over.
static bool is_alone(const struct actor *actor)
{
    for (uint32_t i = 1; i < WORLD_ACTORS; i++) {
        if (spec.threads[i].state == SPEC_READY && spec.threads[i].cpu == actor->thread->cpu) {
            return false;
        }
    }
    return true;
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
    actor_command(actor, signal_other, NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void do_kill(struct actor *actor)
{
    actor->target = any_actor();
    actor_command(actor, kill_other, NULL);
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
    actor_command(actor, sleep_for_events, settle_sleep);
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
        actor_command(actor, spawn, NULL);
        check_spawn(actor);
    }
}

static void do_bind(struct actor *actor)
{
    struct world_channel *channel;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    while (lockstep_chance(80) && (spec.channels[actor->channel].busy ||
                                   actor_sees_asleep(actor, channels[actor->channel].bound))) {
        actor->channel = lockstep_below(WORLD_CHANNELS);
    }
    actor->bits = lockstep_below(63);
    channel = &channels[actor->channel];
    channel->bound = (uint32_t)(actor - actors);
    channel->bound_bits = 1ull << actor->bits;
    if (spec.channels[actor->channel].count != 0) {
        spec.threads[channel->bound].events |= channel->bound_bits;
    }
    actor_command(actor, bind, NULL);
    lockstep_counted(SPEC_ALLOWED);
}

// What leads to exchanges between two threads of a CPU on which no other is ready.
static void do_pair(struct actor *actor)
{
    uint32_t own = actor_own_channel(actor);

    if (own == WORLD_CHANNELS) {
        do_bind(actor);
    } else if (spec.channels[own].busy) {
        actor_receive(actor);
    } else {
        actor_exchange(actor);
    }
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

    actor_command(actor, commands[lockstep_below(ARRAY_COUNT(commands))], NULL);
    lockstep_counted(SPEC_ALLOWED);
}

static void do_misuse(struct actor *actor)
{
    static void (*const commands[])(struct actor * actor) = {misuse_locks, change_guest_modes,
                                                             change_user_modes};

    actor->channel = lockstep_below(WORLD_CHANNELS);
    actor_command(actor, commands[lockstep_below(ARRAY_COUNT(commands))], NULL);
}

// -- driving -----

#define BURST 12u

static uint32_t burst; // so many steps more on the same CPU

static void step_actor(struct actor *actor)
{
    static void (*const steps[])(struct actor * actor) = {
        actor_send,    actor_send, actor_send, actor_receive,  actor_receive,  actor_receive,
        actor_receive, do_sleep,   do_signal,  do_signal,      do_simple,      do_simple,
        do_simple,     do_bind,    do_bind,    actor_exchange, actor_exchange, actor_exchange};

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
    } else if (burst > 0 && is_alone(actor)) {
        do_pair(actor);
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
    static uint32_t cpu;

    burst = burst > 0 ? burst - 1 : lockstep_chance(3) ? BURST : 0;
    if (burst == 0 || burst == BURST) {
        cpu = lockstep_below(WORLD_CPUS);
    }
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
    lockstep_often("exchanges that gave their CPU to the receiver", world_handed_over(), 3000);
    return lockstep_end_rules(rules, ARRAY_COUNT(rules));
}
