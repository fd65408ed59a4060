// SPDX-License-Identifier: MIT
// The specification of the machine by itself: a random walk of its steps, most of them with any
// arguments. It keeps its own invariants; whatever it refuses leaves its state byte-identical; and
// each of its refusals is reached, those too that the kernel never comes to.
#include <string.h>
#include "test/host/lockstep/lockstep.h"
#include "test/spec/machine.h"

#define CPUS     3u
#define THREADS  7u
#define CHANNELS 3u
#define LOCKS    (SPEC_CHANNELS + 12u)

static struct spec_machine machine;
static struct spec_machine before;

// -- arguments: few of each, and now and then one that is none -----

static uint32_t any(uint32_t count)
{
    return lockstep_chance(97) ? lockstep_below(count) : count + lockstep_below(2000);
}

static uint32_t any_cpu(void)
{
    return lockstep_below(CPUS);
}

static uint32_t any_thread(void)
{
    return lockstep_chance(3) ? SPEC_NONE : any(THREADS);
}

static uint32_t any_lock(void)
{
    return lockstep_chance(50) ? any(CHANNELS) : SPEC_CHANNELS + any(LOCKS - SPEC_CHANNELS);
}

static uint64_t any_bytes(void)
{
    return lockstep_chance(80) ? 1 + lockstep_below(4096) : lockstep_boundary(4096);
}

// -- steps -----

static enum spec_rule step_lock(uint32_t cpu)
{
    uint32_t lock = any_lock();

    switch (lockstep_below(4)) {
    case 0:
        return acquire_lock_spec(&machine, cpu, lock, &machine);
    case 1:
        return own_lock_spec(&machine, cpu, machine.cpus[cpu].waits_for, &machine);
    case 2:
        return own_lock_spec(&machine, cpu, lock, &machine);
    default:
        if (machine.cpus[cpu].held_count != 0 && lockstep_chance(80)) {
            lock = machine.cpus[cpu].held[0];
        }
        return release_lock_spec(&machine, cpu, lock, &machine);
    }
}

static enum spec_rule step_slot(uint32_t cpu, uint32_t channel)
{
    uint64_t bytes = any_bytes();
    uint32_t word;

    switch (lockstep_below(6)) {
    case 0:
        return get_sync_chan_busy_spec(&machine, cpu, channel, &word);
    case 1: // a message that is there stays
        word = lockstep_below(3);
        return channel < SPEC_CHANNELS && machine.channels[channel].count != 0 && word == 0
                   ? SPEC_ALLOWED
                   : set_sync_chan_busy_spec(&machine, cpu, channel, word, &machine);
    case 2:
        return channel_claim_spec(&machine, cpu, channel, &machine);
    case 3:
        return ipc_send_body_spec(&machine, cpu, channel, bytes, any_bytes(), &machine);
    case 4:
        return channel_exchange_spec(bytes, any_bytes(), lockstep_chance(70), any_bytes());
    default:
        return ipc_receive_body_spec(&machine, cpu, channel, bytes, any_bytes(), &machine, &bytes);
    }
}

static enum spec_rule step_channel(uint32_t cpu)
{
    uint32_t channel = any(CHANNELS);
    uint32_t first = spec_longest_waiting(&machine, channel);

    if (machine.cpus[cpu].held_count != 0 && lockstep_chance(60)) {
        channel = machine.cpus[cpu].held[0];
        first = spec_longest_waiting(&machine, channel);
    }
    switch (lockstep_below(12)) {
    case 0:
        return channel_create_spec(&machine, any(CHANNELS), 0, 3, &machine);
    case 1:
        return lockstep_chance(10) ? channel_destroy_spec(&machine, channel, &machine)
                                   : SPEC_ALLOWED;
    case 2:
    case 3:
        return channel_pass_spec(&machine, cpu, channel, lockstep_chance(80) ? first : any_thread(),
                                 &machine);
    default:
        return step_slot(cpu, channel);
    }
}

static enum spec_rule step_sleep(uint32_t cpu)
{
    uint32_t condition = lockstep_chance(40) ? SPEC_NONE : any(CHANNELS);
    uint64_t bits;
    bool chosen;

    if (machine.cpus[cpu].held_count != 0 && lockstep_chance(50)) {
        condition = machine.cpus[cpu].held[0];
    }
    // It waits on one condition at a time.
    uint32_t current = machine.cpus[cpu].current;
    if (current != SPEC_NONE && machine.threads[current].condition != SPEC_NONE) {
        condition = machine.threads[current].condition;
    }
    switch (lockstep_below(3)) {
    case 0:
        return thread_sleep_spec(&machine, cpu, condition, UINT64_MAX, &machine);
    case 1:
        return condition_wait_end_spec(&machine, cpu, &machine, &chosen);
    default:
        return thread_take_events_spec(&machine, cpu, &machine, &bits);
    }
}

static enum spec_rule step_wake(uint32_t cpu)
{
    uint32_t condition = any(CHANNELS);
    uint32_t first = spec_longest_waiting(&machine, condition);
    uint32_t thread = any_thread();

    switch (lockstep_below(5)) {
    case 0:
        return thread_wake_spec(&machine, cpu, thread, &machine);
    case 1:
        return message_queue_take_spec(&machine, cpu, thread, &machine);
    case 2:
        return condition_wake_spec(&machine, cpu, condition, lockstep_chance(70) ? first : thread,
                                   &machine);
    case 3:
        return thread_signal_spec(&machine, cpu, thread, lockstep_random(), &machine);
    default:
        return lockstep_chance(20) ? thread_kill_spec(&machine, cpu, thread, &machine)
                                   : SPEC_ALLOWED;
    }
}

static enum spec_rule step_thread(uint32_t cpu)
{
    uint32_t thread = any_thread();
    uint32_t container = lockstep_chance(80) ? 0 : any(3);

    switch (lockstep_below(5)) {
    case 0:
        return thread_spawn_spec(&machine, any(CPUS), thread, container, container, 0, &machine);
    case 1:
    case 2:
        return thread_switch_spec(&machine, cpu, thread, &machine);
    case 3:
        return lockstep_chance(10) ? thread_exit_spec(&machine, cpu, &machine) : SPEC_ALLOWED;
    default:
        return thread_free_spec(&machine, thread, &machine);
    }
}

static enum spec_rule step_context(uint32_t cpu)
{
    uint32_t current = machine.cpus[cpu].current;
    uint32_t thread = lockstep_chance(90) ? current : any_thread();
    uint32_t index = lockstep_below(SPEC_REGISTERS + 1);
    uint64_t value = lockstep_boundary(1ull << 47);

    if (current != SPEC_NONE && lockstep_chance(20)) {
        uint64_t rip = lockstep_chance(80) ? 0x400000 : value;

        spec_context_fill(&machine, current, rip, 0x500000);
        machine.threads[current].stack_low = 0x1000;
        machine.threads[current].stack_high = 0x5000;
        return SPEC_ALLOWED;
    }
    switch (lockstep_below(3)) {
    case 0:
        return uctx_get_spec(&machine, cpu, thread, index, &value);
    case 1:
        return uctx_set_spec(&machine, cpu, thread, index, value, &machine);
    default:
        index = lockstep_chance(50) ? SPEC_RIP : index;
        return uctx_set_pointer_spec(&machine, cpu, thread, index, value, &machine);
    }
}

static enum spec_rule step_mode(uint32_t cpu)
{
    static const uint64_t registers[SPEC_REGISTERS] = {1, 2, 3};

    switch (lockstep_below(4)) {
    case 0:
        return hostout_spec(&machine, cpu, &machine);
    case 1:
        return hostin_spec(&machine, cpu, &machine);
    case 2:
        return proc_start_user_spec(&machine, cpu, &machine);
    default:
        return proc_exit_user_spec(&machine, cpu, registers, lockstep_below(0x6000), &machine);
    }
}

// Containers come and go under threads that are charged to them.
static enum spec_rule step_container(void)
{
    struct spec_containers *containers = &machine.containers;
    uint32_t id = 1 + lockstep_below(2);

    if (lockstep_chance(50)) {
        (void)container_split_spec(containers, 0, 10, id, containers);
    } else {
        (void)container_revoke_spec(containers, id, containers);
    }
    return SPEC_ALLOWED;
}

// A CPU that is not there yet, or has not turned on paging, now and then.
static void change_boot(uint32_t cpu)
{
    struct spec_cpu *here = &machine.cpus[cpu];

    if (here->held_count == 0 && here->waits_for == SPEC_NONE && here->mode.ikern) {
        bool up = lockstep_chance(60);

        here->mode = (struct spec_modes){up, true, true, lockstep_chance(80), true};
        here->online = up || lockstep_chance(50);
    }
}

static enum spec_rule step(uint32_t cpu)
{
    switch (lockstep_below(16)) {
    case 0:
    case 1:
    case 2:
        return step_lock(cpu);
    case 3:
    case 4:
    case 5:
    case 6:
        return step_channel(cpu);
    case 7:
    case 8:
        return step_sleep(cpu);
    case 9:
    case 10:
        return step_wake(cpu);
    case 11:
    case 12:
        return step_thread(cpu);
    case 13:
        return step_context(cpu);
    case 14:
        return step_container();
    default:
        return step_mode(cpu);
    }
}

static void take(uint32_t cpu, uint32_t lock)
{
    if (acquire_lock_spec(&machine, cpu, lock, &machine) == SPEC_ALLOWED) {
        (void)own_lock_spec(&machine, cpu, lock, &machine);
    }
}

static void start(void)
{
    spec_machine_init(&machine, CPUS, 1000);
    for (uint32_t i = 0; i < LOCKS - SPEC_CHANNELS; i++) {
        spec_lock_add(&machine, SPEC_CHANNELS + i, 1 + i);
    }
}

// Thread 0, charged to container 1, runs on CPU 0; and there is channel 0.
static void start_with_thread(void)
{
    start();
    (void)container_split_spec(&machine.containers, 0, 10, 1, &machine.containers);
    (void)channel_create_spec(&machine, 0, 0, 3, &machine);
    (void)thread_spawn_spec(&machine, 0, 0, 1, 1, 0, &machine);
    (void)thread_wake_spec(&machine, 0, 0, &machine);
    (void)thread_switch_spec(&machine, 0, 0, &machine);
    spec_context_fill(&machine, 0, 0x400000, 0x500000);
}

// What a random walk hardly comes to: many locks at a time, a wake-up that chose nobody, and the
// end of a container while its thread is in ring 3.
static void walk_far(void)
{
    enum spec_rule rule = SPEC_ALLOWED;
    bool chosen;

    start_with_thread();
    for (uint32_t lock = SPEC_CHANNELS; lock < LOCKS && rule == SPEC_ALLOWED; lock++) {
        rule = acquire_lock_spec(&machine, 0, lock, &machine);
        (void)own_lock_spec(&machine, 0, lock, &machine);
    }
    lockstep_counted(rule);
    start_with_thread();
    take(0, 0);
    (void)thread_sleep_spec(&machine, 0, 0, UINT64_MAX, &machine);
    (void)thread_wake_spec(&machine, 0, 0, &machine);
    (void)thread_switch_spec(&machine, 0, 0, &machine);
    take(0, 0);
    lockstep_counted(condition_wait_end_spec(&machine, 0, &machine, &chosen));
    start_with_thread();
    (void)proc_start_user_spec(&machine, 0, &machine);
    (void)container_revoke_spec(&machine.containers, 1, &machine.containers);
    lockstep_counted(proc_exit_user_spec(&machine, 0, NULL, 0, &machine));
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_LOCK, SPEC_CHANNEL, SPEC_THREAD, SPEC_MODE};

    lockstep_begin(argc, argv, "the specification itself", 200000);
    for (uint64_t i = 0; lockstep_more(); i++) {
        uint32_t cpu = any_cpu();

        if (i % 20000 == 0) {
            walk_far();
            start();
        }
        if (lockstep_chance(1)) {
            change_boot(cpu);
        }
        bool exact = i % 4 == 0; // the whole state is large
        if (exact) {
            memcpy(&before, &machine, sizeof(before));
        }
        enum spec_rule rule = step(cpu);
        lockstep_counted(rule);
        if (exact && rule != SPEC_ALLOWED && memcmp(&before, &machine, sizeof(before)) != 0) {
            lockstep_fail("%s was refused and changed the state", spec_rule_words(rule)->primitive);
        }
        const char *broken = spec_machine_invariant(&machine);
        if (broken != NULL) {
            lockstep_fail("it does not hold any more that %s", broken);
        }
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
