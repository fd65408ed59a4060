// SPDX-License-Identifier: MIT
// Channels (channel.h): the slot's state machine under the channel's lock, with sleeping senders.
#include "kernel/ipc/channel.h"
#include "kernel/core/event_log.h"
#include "kernel/lib/address.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"

static_assert(sizeof(struct channel) <= PAGE_SIZE, "one page per channel, and one for its slot");

static void destroy(struct object *object)
{
    struct channel *channel = CONTAINER_OF(object, struct channel, object);

    if (channel->slot.page) {
        event_log_of(EVENT_CHANNEL_END, channel, 0, 0);
        memory_free_object(object->container, channel->slot.page);
    }
    if (channel->receiver.thread) {
        object_release(&channel->receiver.thread->object);
    }
}

struct channel *channel_create(uint32_t container)
{
    struct channel *channel = object_create(container, 1, destroy);

    if (channel) {
        lock_initialize(&channel->lock, LOCK_CHANNEL);
        channel->slot.page = memory_allocate_object(container);
        if (!channel->slot.page) {
            object_release(&channel->object);
            return NULL;
        }
        event_log_of(EVENT_CHANNEL, channel, (uint64_t)(uintptr_t)&channel->lock,
                     (uint64_t)(uintptr_t)&channel->senders);
    }
    return channel;
}

// What the log of events calls the slot's state.
static uint64_t slot_state(const struct channel *channel)
{
    return (uint64_t)channel->slot.count << 32 | channel->slot.busy;
}

// Passes the slot on, or frees it: PRIMITIVES.md, "Receive".
static void pass_slot(struct channel *channel)
{
    channel_slot_finish(&channel->slot, condition_wake_one(&channel->senders));
}

// Takes the slot, or sleeps until a receiver hands it over. The lock is held before and after.
static enum status claim(struct channel *channel, struct address_space *space, uint64_t buffer,
                         uint32_t count, bool wait)
{
    if (channel_slot_claim(&channel->slot)) {
        event_log_of(EVENT_CLAIM, channel, 0, slot_state(channel));
        return STATUS_OK;
    }
    enum status status = user_range_check(space, buffer, count, false);
    if (status != STATUS_OK) {
        return status;
    }
    if (!wait) {
        return STATUS_BUSY;
    }
    return condition_wait(&channel->senders, &channel->lock) ? STATUS_OK : STATUS_DEAD;
}

static enum status send_locked(struct channel *channel, struct address_space *space,
                               uint64_t buffer, uint32_t count, bool wait)
{
    enum status status = claim(channel, space, buffer, count, wait);

    if (status != STATUS_OK) {
        return status;
    }
    status = copy_from_user(space, channel->slot.page, buffer, count);
    if (status != STATUS_OK) {
        pass_slot(channel);
        event_log_of(EVENT_PASS, channel, 0, slot_state(channel));
        return status;
    }
    channel_slot_store(&channel->slot, count);
    event_log_of(EVENT_SEND, channel, count, slot_state(channel));
    event_send(&channel->receiver);
    return STATUS_OK;
}

NOINLINE enum status channel_send(struct channel *channel, struct address_space *space,
                                  uint64_t buffer, uint64_t count, bool wait)
{
    if (count == 0 || count > CHANNEL_MESSAGE_MAXIMUM) {
        return STATUS_INVALID;
    }
    lock_acquire(&channel->lock);
    enum status status = send_locked(channel, space, buffer, (uint32_t)count, wait);
    lock_release(&channel->lock);
    return status;
}

enum status channel_receive(struct channel *channel, struct address_space *space, uint64_t buffer,
                            uint64_t capacity, uint64_t *count)
{
    uint32_t stored = 0;

    lock_acquire(&channel->lock);
    enum status status = channel_slot_peek(&channel->slot, capacity, &stored);
    if (status == STATUS_OK) {
        status = copy_to_user(space, buffer, channel->slot.page, stored);
    }
    if (status == STATUS_OK) {
        pass_slot(channel);
        event_log_of(EVENT_RECEIVE, channel, stored, slot_state(channel));
        *count = stored;
    }
    lock_release(&channel->lock);
    return status;
}

void channel_bind(struct channel *channel, uint32_t bit)
{
    uint32_t stored;

    lock_acquire(&channel->lock);
    event_bind(&channel->receiver, bit);
    if (channel_slot_peek(&channel->slot, CHANNEL_MESSAGE_MAXIMUM, &stored) == STATUS_OK) {
        event_send(&channel->receiver);
    }
    lock_release(&channel->lock);
}

void channel_unbind(struct channel *channel, const struct process *process)
{
    lock_acquire(&channel->lock);
    event_unbind(&channel->receiver, process);
    lock_release(&channel->lock);
}
