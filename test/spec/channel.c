// SPDX-License-Identifier: MIT
// Channels (machine.h): the busy word, the stored count, and the hand-off of a taken slot.
#include "test/spec/machine.h"
#include "test/spec/machine_private.h"

#define MESSAGE_MAXIMUM 4096u

static bool exists(const struct spec_machine *now, uint32_t channel)
{
    return channel < SPEC_CHANNELS && now->channels[channel].exists;
}

static bool in_lock(const struct spec_machine *now, uint32_t cpu, uint32_t channel)
{
    return now->cpus[cpu].mode.init && spec_lock_held(now, cpu, channel);
}

enum spec_rule channel_create_spec(const struct spec_machine *now, uint32_t channel,
                                   uint32_t container, uint32_t rank, struct spec_machine *next)
{
    if (channel >= SPEC_CHANNELS || now->channels[channel].exists) {
        return CHANNEL_FREE;
    }
    spec_begin(now, next);
    next->channels[channel] = (struct spec_channel){.exists = true, .container = container};
    spec_lock_add(next, channel, rank);
    return SPEC_ALLOWED;
}

// True when no CPU holds the lock or waits for it.
static bool lock_unused(const struct spec_machine *now, uint32_t lock)
{
    for (uint32_t i = 0; i < now->cpu_count; i++) {
        if (now->cpus[i].waits_for == lock) {
            return false;
        }
    }
    return now->locks[lock].holder == SPEC_NONE;
}

enum spec_rule channel_destroy_spec(const struct spec_machine *now, uint32_t channel,
                                    struct spec_machine *next)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (spec_longest_waiting(now, channel) != SPEC_NONE || !lock_unused(now, channel)) {
        return CHANNEL_UNUSED;
    }
    spec_begin(now, next);
    next->channels[channel] = (struct spec_channel){0};
    next->locks[channel] = (struct spec_lock){.holder = SPEC_NONE};
    return SPEC_ALLOWED;
}

enum spec_rule get_sync_chan_busy_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t channel, uint32_t *busy)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (!in_lock(now, cpu, channel)) {
        return BUSY_LOCK;
    }
    *busy = now->channels[channel].busy;
    return SPEC_ALLOWED;
}

enum spec_rule set_sync_chan_busy_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t channel, uint32_t busy, struct spec_machine *next)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (!in_lock(now, cpu, channel)) {
        return BUSY_LOCK;
    }
    if (busy > 1) {
        return BUSY_WORD;
    }
    spec_begin(now, next);
    next->channels[channel].busy = busy;
    return SPEC_ALLOWED;
}

enum spec_rule channel_claim_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                  struct spec_machine *next)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (!in_lock(now, cpu, channel)) {
        return BUSY_LOCK;
    }
    if (now->channels[channel].busy) {
        return CLAIM_FREE;
    }
    return set_sync_chan_busy_spec(now, cpu, channel, 1, next);
}

enum spec_rule ipc_send_body_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                  uint64_t count, uint64_t readable, struct spec_machine *next)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (!now->cpus[cpu].mode.init || !now->cpus[cpu].mode.pg) {
        return SEND_MODE;
    }
    if (!in_lock(now, cpu, channel)) {
        return SEND_LOCK;
    }
    if (count == 0 || count > MESSAGE_MAXIMUM) {
        return SEND_COUNT;
    }
    if (count > readable) {
        return SEND_RANGE;
    }
    if (!now->channels[channel].busy || now->channels[channel].count != 0) {
        return SEND_SLOT;
    }
    spec_begin(now, next);
    next->channels[channel].count = (uint32_t)count;
    return SPEC_ALLOWED;
}

enum spec_rule ipc_receive_body_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                     uint64_t capacity, uint64_t writable,
                                     struct spec_machine *next, uint64_t *received)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    uint32_t stored = now->channels[channel].count;
    if (!now->cpus[cpu].mode.init || !now->cpus[cpu].mode.pg) {
        return RECEIVE_MODE;
    }
    if (!in_lock(now, cpu, channel)) {
        return RECEIVE_LOCK;
    }
    if (!now->channels[channel].busy || stored == 0) {
        return RECEIVE_EMPTY;
    }
    if (stored > capacity) {
        return RECEIVE_SMALL;
    }
    if (stored > writable) {
        return RECEIVE_RANGE;
    }
    spec_begin(now, next);
    next->channels[channel].count = 0;
    *received = stored;
    return SPEC_ALLOWED;
}

enum spec_rule channel_exchange_spec(uint64_t bytes, uint64_t capacity, bool bound,
                                     uint64_t writable)
{
    uint64_t room = capacity < MESSAGE_MAXIMUM ? capacity : MESSAGE_MAXIMUM;

    if (bytes > MESSAGE_MAXIMUM || capacity == 0) {
        return EXCHANGE_COUNT;
    }
    if (!bound) {
        return EXCHANGE_BOUND;
    }
    return bytes > writable || room > writable ? EXCHANGE_RANGE : SPEC_ALLOWED;
}

uint32_t spec_longest_waiting(const struct spec_machine *now, uint32_t condition)
{
    uint32_t found = SPEC_NONE;

    for (uint32_t i = 0; i < SPEC_THREADS; i++) {
        const struct spec_thread *thread = &now->threads[i];

        if (thread->condition == condition && !thread->chosen && thread->state != SPEC_UNUSED &&
            (found == SPEC_NONE || thread->turn < now->threads[found].turn)) {
            found = i;
        }
    }
    return found;
}

enum spec_rule channel_pass_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                 uint32_t woken, struct spec_machine *next)
{
    if (!exists(now, channel)) {
        return CHANNEL_EXISTS;
    }
    if (!in_lock(now, cpu, channel)) {
        return BUSY_LOCK;
    }
    if (!now->channels[channel].busy || now->channels[channel].count != 0) {
        return PASS_EMPTIED;
    }
    if (woken != spec_longest_waiting(now, channel)) {
        return PASS_WOKEN;
    }
    spec_begin(now, next);
    next->channels[channel].busy = woken != SPEC_NONE;
    if (woken != SPEC_NONE) {
        next->threads[woken].chosen = true;
        spec_wake(next, cpu, woken);
    }
    return SPEC_ALLOWED;
}
