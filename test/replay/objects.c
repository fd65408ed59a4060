// SPDX-License-Identifier: MIT
// Steps of the replay about locks, channels, containers and pages.
#include "kernel/lock/lock.h"
#include "test/replay/replay.h"

#define KERNEL_IMAGE 0xffffffff80000000ull // from here on lies what was used before the log began

// -- locks --------------------------------------------------------------------------------------

uint32_t lock_place(struct replay *replay, uint64_t lock)
{
    uint32_t place = names_find(&replay->channel_locks, lock);

    if (place < replay->channel_locks.count) {
        return place;
    }
    place = names_find(&replay->locks, lock);
    return place < replay->locks.count ? place + SPEC_CHANNELS : SPEC_NONE;
}

// The same, but a lock that nobody has used yet becomes known.
static uint32_t lock_known(struct replay *replay, uint64_t lock, uint32_t rank)
{
    uint32_t place = lock_place(replay, lock);

    if (place == SPEC_NONE) {
        uint32_t name = names_add(&replay->locks, lock);

        if (name < replay->locks.count) {
            place = name + SPEC_CHANNELS;
            spec_lock_add(&replay->machine, place, rank);
            replay->lock_notes[place] =
                (struct lock_note){.next_ticket = lock < KERNEL_IMAGE ? 0 : EVENT_NO_TICKET};
        }
    }
    return place;
}

// Draws a ticket.
static struct refusal enter_line(struct replay *replay, const struct event_entry *event,
                                 uint32_t lock)
{
    struct spec_cpu *cpu = &replay->machine.cpus[event->cpu];

    if (lock == SPEC_NONE) {
        return by_words("the replay has room for this lock");
    }
    if (replay->machine.locks[lock].rank != event->state) {
        return same("the lock's rank", replay->machine.locks[lock].rank, event->state);
    }
    enum spec_rule rule = acquire_lock_spec(&replay->machine, event->cpu, lock, &replay->machine);
    if (rule == SPEC_ALLOWED && event->value != EVENT_NO_TICKET) {
        cpu->ticket = event->value; // two CPUs may tell of their tickets the other way round
    }
    return by_rule(rule);
}

struct refusal step_wait(struct replay *replay, const struct event_entry *event)
{
    return enter_line(replay, event, lock_known(replay, event->object, (uint32_t)event->state));
}

// Nobody is passed over: tickets are served one after the other.
static struct refusal check_turn(const struct lock_note *note, uint64_t ticket)
{
    if (note->owned) {
        return by_words("the lock was released by its last owner");
    }
    if (ticket == EVENT_NO_TICKET || note->next_ticket == EVENT_NO_TICKET) {
        return ALLOWED;
    }
    return same("tickets are served in turn: the ticket", note->next_ticket, ticket);
}

struct refusal step_own(struct replay *replay, const struct event_entry *event)
{
    uint32_t lock = lock_known(replay, event->object, (uint32_t)event->state);
    struct spec_cpu *cpu = &replay->machine.cpus[event->cpu];
    bool had_to_wait = cpu->waits_for != SPEC_NONE && cpu->waits_for == lock;
    struct refusal refusal =
        lock != SPEC_NONE ? check_turn(&replay->lock_notes[lock], event->value) : ALLOWED;

    if (is_allowed(&refusal) && had_to_wait && event->value != EVENT_NO_TICKET) {
        refusal = same("a CPU owns with the ticket that it waited with", cpu->ticket, event->value);
    }
    if (is_allowed(&refusal) && !had_to_wait) {
        refusal = enter_line(replay, event, lock);
    }
    if (!is_allowed(&refusal)) {
        return refusal;
    }
    if (event->value == EVENT_NO_TICKET) {
        cpu->ticket = 0; // who is in line before whom is not in the log
    }
    refusal = by_rule(own_lock_spec(&replay->machine, event->cpu, lock, &replay->machine));
    if (is_allowed(&refusal)) {
        replay->lock_notes[lock] = (struct lock_note){event->value + 1, event->value, true};
    }
    return refusal;
}

struct refusal step_release(struct replay *replay, const struct event_entry *event)
{
    uint32_t lock = lock_place(replay, event->object);
    struct cpu_note *cpu = &replay->cpus[event->cpu];
    struct refusal refusal = ALLOWED;

    if (lock == SPEC_NONE || !replay->lock_notes[lock].owned) {
        return by_rule(RELEASE_HELD);
    }
    refusal = same("a lock is released with its owner's ticket",
                   replay->lock_notes[lock].owner_ticket, event->value);
    if (is_allowed(&refusal) && cpu->to_release == event->object) {
        cpu->to_release = 0; // the sleep gave it up
    } else if (is_allowed(&refusal)) {
        refusal = by_rule(release_lock_spec(&replay->machine, event->cpu, lock, &replay->machine));
    }
    if (is_allowed(&refusal)) {
        replay->lock_notes[lock].owned = false;
        if (replay->lock_notes[lock].owner_ticket == EVENT_NO_TICKET) {
            replay->lock_notes[lock].next_ticket = EVENT_NO_TICKET;
        }
    }
    return refusal;
}

uint32_t condition_place(struct replay *replay, uint64_t condition, uint64_t lock)
{
    uint32_t place = names_find(&replay->channel_conditions, condition);

    if (place < replay->channel_conditions.count) {
        return place;
    }
    place = names_find(&replay->conditions, condition);
    if (place == replay->conditions.count && lock_place(replay, lock) != SPEC_NONE) {
        place = names_add(&replay->conditions, condition);
        if (place < replay->conditions.count) {
            replay->machine.guards[place] = lock_place(replay, lock);
        }
    }
    return place < replay->conditions.count ? place + SPEC_LOCKS : SPEC_NONE;
}

// -- channels -----------------------------------------------------------------------------------

struct refusal step_channel(struct replay *replay, const struct event_entry *event)
{
    if (names_find(&replay->channels, event->object) < replay->channels.count ||
        lock_place(replay, event->value) != SPEC_NONE) {
        return by_words("a channel and its lock are new");
    }
    uint32_t place = names_add(&replay->channels, event->object);
    enum spec_rule rule =
        channel_create_spec(&replay->machine, place, 0, LOCK_CHANNEL, &replay->machine);
    if (rule == SPEC_ALLOWED) {
        names_put(&replay->channel_locks, place, event->value);
        names_put(&replay->channel_conditions, place, event->state);
        replay->lock_notes[place] = (struct lock_note){0};
    }
    return by_rule(rule);
}

struct refusal step_channel_end(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->channels, event->object);
    enum spec_rule rule = channel_destroy_spec(&replay->machine, place, &replay->machine);

    if (rule == SPEC_ALLOWED) {
        names_remove(&replay->channels, place);
        names_remove(&replay->channel_locks, place);
        names_remove(&replay->channel_conditions, place);
    }
    return by_rule(rule);
}

// The slot is as the kernel says.
static struct refusal check_slot(const struct replay *replay, uint32_t place,
                                 const struct event_entry *event)
{
    const struct spec_channel *channel = &replay->machine.channels[place];
    struct refusal refusal =
        same("the slot's busy word", channel->busy, event->state & EVENT_SLOT_BUSY);

    return is_allowed(&refusal)
               ? same("the bytes in the slot", channel->count, EVENT_SLOT_COUNT(event->state))
               : refusal;
}

struct refusal step_claim(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->channels, event->object);
    enum spec_rule rule = channel_claim_spec(&replay->machine, event->cpu, place, &replay->machine);

    return rule == SPEC_ALLOWED ? check_slot(replay, place, event) : by_rule(rule);
}

struct refusal step_send(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->channels, event->object);
    enum spec_rule rule = ipc_send_body_spec(&replay->machine, event->cpu, place, event->value,
                                             UINT64_MAX, &replay->machine);

    return rule == SPEC_ALLOWED ? check_slot(replay, place, event) : by_rule(rule);
}

struct refusal step_pass(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->channels, event->object);
    struct cpu_note *cpu = &replay->cpus[event->cpu];
    enum spec_rule rule;

    if (cpu->chosen == SPEC_NONE) {
        rule = channel_pass_spec(&replay->machine, event->cpu, place, SPEC_NONE, &replay->machine);
    } else if (condition_place(replay, cpu->chosen_on, 0) != place) {
        return by_words("the waiter that was chosen is one of this channel's senders");
    } else { // the choice was an event of its own
        rule = set_sync_chan_busy_spec(&replay->machine, event->cpu, place, 1, &replay->machine);
        cpu->chosen = SPEC_NONE;
    }
    return rule == SPEC_ALLOWED ? check_slot(replay, place, event) : by_rule(rule);
}

struct refusal step_receive(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = names_find(&replay->channels, event->object);
    uint64_t received = 0;
    enum spec_rule rule = ipc_receive_body_spec(&replay->machine, event->cpu, place, UINT64_MAX,
                                                UINT64_MAX, &replay->machine, &received);

    if (rule != SPEC_ALLOWED) {
        return by_rule(rule);
    }
    struct refusal refusal = same("the bytes received", received, event->value);
    return is_allowed(&refusal) ? step_pass(replay, event) : refusal;
}

// -- containers ---------------------------------------------------------------------------------

static struct refusal in_tree_lock(const struct replay *replay, const struct event_entry *event)
{
    const struct spec_cpu *cpu = &replay->machine.cpus[event->cpu];

    for (uint32_t i = 0; i < cpu->held_count; i++) {
        if (replay->machine.locks[cpu->held[i]].rank == LOCK_CONTAINERS) {
            return ALLOWED;
        }
    }
    return by_words("this CPU holds the containers' lock");
}

static struct refusal check_usage(const struct replay *replay, const struct event_entry *event)
{
    return same("the pages in use", replay->machine.containers.slots[event->object].usage,
                event->state);
}

struct refusal step_split(struct replay *replay, const struct event_entry *event)
{
    struct spec_containers *containers = &replay->machine.containers;
    struct refusal refusal = in_tree_lock(replay, event);

    if (event->object == 0 && containers->slots[0].quota == 0) { // at boot
        spec_containers_init(containers, event->value);
        return ALLOWED;
    }
    return is_allowed(&refusal)
               ? by_rule(container_split_spec(containers, (uint32_t)event->state, event->value,
                                              (uint32_t)event->object, containers))
               : refusal;
}

struct refusal step_revoke(struct replay *replay, const struct event_entry *event)
{
    struct spec_containers *containers = &replay->machine.containers;
    struct refusal refusal = in_tree_lock(replay, event);

    if (is_allowed(&refusal) && event->object < SPEC_CONTAINERS) {
        refusal =
            same("the quota given back", containers->slots[event->object].quota, event->value);
    }
    return is_allowed(&refusal)
               ? by_rule(container_revoke_spec(containers, (uint32_t)event->object, containers))
               : refusal;
}

struct refusal step_alloc(struct replay *replay, const struct event_entry *event)
{
    struct spec_containers *containers = &replay->machine.containers;
    struct refusal refusal = in_tree_lock(replay, event);

    if (is_allowed(&refusal)) {
        refusal = by_rule(
            container_alloc_spec(containers, (uint32_t)event->object, event->value, containers));
    }
    return is_allowed(&refusal) ? check_usage(replay, event) : refusal;
}

struct refusal step_free(struct replay *replay, const struct event_entry *event)
{
    struct spec_containers *containers = &replay->machine.containers;
    struct refusal refusal = in_tree_lock(replay, event);

    if (is_allowed(&refusal)) {
        refusal = by_rule(
            container_free_spec(containers, (uint32_t)event->object, event->value, containers));
    }
    return is_allowed(&refusal) ? check_usage(replay, event) : refusal;
}

// -- pages --------------------------------------------------------------------------------------

static bool inside(uint64_t address, const struct event_entry *event)
{
    return address != 0 && address - event->object < event->value;
}

static bool lock_idle(const struct replay *replay, uint32_t lock)
{
    for (uint32_t i = 0; i < replay->machine.cpu_count; i++) {
        if (replay->machine.cpus[i].waits_for == lock) {
            return false;
        }
    }
    return !replay->lock_notes[lock].owned;
}

static struct refusal check_free(const struct replay *replay, const struct event_entry *event)
{
    for (uint32_t i = 0; i < replay->channels.used; i++) {
        if (inside(replay->channels.addresses[i], event)) {
            return by_words("no channel lies in a page that is freed");
        }
    }
    for (uint32_t i = 0; i < replay->locks.used; i++) {
        if (inside(replay->locks.addresses[i], event) && !lock_idle(replay, i + SPEC_CHANNELS)) {
            return by_words("no lock in a page that is freed is held or waited for");
        }
    }
    for (uint32_t i = 0; i < replay->conditions.used; i++) {
        if (inside(replay->conditions.addresses[i], event) &&
            spec_longest_waiting(&replay->machine, i + SPEC_LOCKS) != SPEC_NONE) {
            return by_words("nobody waits on a condition in a page that is freed");
        }
    }
    return ALLOWED;
}

struct refusal step_page_free(struct replay *replay, const struct event_entry *event)
{
    struct refusal refusal = check_free(replay, event);

    if (is_allowed(&refusal)) {
        refusal = vcpu_page_free(replay, event);
    }
    for (uint32_t i = 0; is_allowed(&refusal) && i < replay->locks.used; i++) {
        if (inside(replay->locks.addresses[i], event)) {
            names_remove(&replay->locks, i);
            replay->machine.locks[i + SPEC_CHANNELS] = (struct spec_lock){.holder = SPEC_NONE};
        }
    }
    for (uint32_t i = 0; is_allowed(&refusal) && i < replay->conditions.used; i++) {
        if (inside(replay->conditions.addresses[i], event)) {
            names_remove(&replay->conditions, i);
        }
    }
    return refusal;
}
