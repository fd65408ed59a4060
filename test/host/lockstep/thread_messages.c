// SPDX-License-Identifier: MIT
// The messages of the world of thread_world.h: sends, receives and exchanges, given to the kernel
// and held against the specification.
#include <string.h>
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

// -- what they ought to give -----

void actor_command(struct actor *actor, void (*function)(struct actor *actor),
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

void actor_send(struct actor *actor)
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
        actor_command(actor, send_message, settle_send);
        lockstep_counted(SPEC_ALLOWED);
        return;
    }
    actor_command(actor, send_message, NULL);
    lockstep_equal("a refused send has ended", actor->command == NULL, true);
    lockstep_same("send", rule, actor->status);
    lockstep_equal("a refused send sends nothing", actor->sent, false);
}

bool actor_sees_asleep(const struct actor *actor, uint32_t other)
{
    return spec.threads[other].state == SPEC_SLEEPING &&
           spec.threads[other].cpu == actor->thread->cpu;
}

// A free channel whose receiver sleeps on the actor's CPU; WORLD_CHANNELS: there is none.
static uint32_t sleeping_receiver(const struct actor *actor)
{
    uint32_t i = 0;

    while (i < WORLD_CHANNELS &&
           (spec.channels[i].busy || !actor_sees_asleep(actor, channels[i].bound))) {
        i++;
    }
    return i;
}

uint32_t actor_own_channel(const struct actor *actor)
{
    uint32_t i = 0;

    while (i < WORLD_CHANNELS && channels[i].bound != (uint32_t)(actor - actors)) {
        i++;
    }
    return i;
}

void actor_receive(struct actor *actor)
{
    uint8_t expected[CHANNEL_MESSAGE_MAXIMUM];
    uint64_t received = 0;

    actor->channel = lockstep_below(WORLD_CHANNELS);
    if (actor_own_channel(actor) < WORLD_CHANNELS && lockstep_chance(50)) {
        actor->channel = actor_own_channel(actor);
    }
    actor->buffer = actor_any_buffer(actor);
    actor->count = lockstep_chance(70) ? 4096 : lockstep_below(4200);
    memcpy(expected, channels[actor->channel].message, sizeof(expected));
    struct spec_machine *probe = world_probe(actor->thread->cpu, actor->channel);
    enum spec_rule rule =
        ipc_receive_body_spec(probe, actor->thread->cpu, actor->channel, actor->count,
                              actor_accessible(actor, actor->buffer, true), probe, &received);
    actor_command(actor, receive_message, NULL);
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
    if (actor_own_channel(actor) < WORLD_CHANNELS && lockstep_chance(95)) {
        actor->channel = actor_own_channel(actor);
    }
    if (sleeping_receiver(actor) < WORLD_CHANNELS && lockstep_chance(90)) {
        actor->target = sleeping_receiver(actor);
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

void actor_exchange(struct actor *actor)
{
    choose_exchange(actor);
    enum spec_rule rule = channel_exchange_spec(
        actor->count, actor->capacity, channels[actor->channel].bound == (uint32_t)(actor - actors),
        actor_accessible(actor, actor->buffer, true));
    if (rule != SPEC_ALLOWED) {
        actor_command(actor, exchange_messages, NULL);
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
    actor_command(actor, exchange_messages, settle_exchange);
    lockstep_counted(SPEC_ALLOWED);
}
