// SPDX-License-Identifier: MIT
// Channels (channel.h): the slot's state machine under the channel's lock, with sleeping senders.
#include "kernel/ipc/channel.h"
#include "kernel/lib/address.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"

static_assert(sizeof(struct channel) <= PAGE_SIZE, "one page per channel, and one for its slot");

struct channel *channel_create(uint32_t container)
{
    struct channel *channel = memory_allocate_object(container);
    void *page = memory_allocate_object(container);

    if (!channel || !page) {
        if (channel) {
            memory_free_object(container, channel);
        }
        if (page) {
            memory_free_object(container, page);
        }
        return NULL;
    }
    channel->slot.page = page;
    channel->container = container;
    atomic_init(&channel->references, 1);
    return channel;
}

void channel_acquire(struct channel *channel)
{
    atomic_fetch_add_explicit(&channel->references, 1, memory_order_relaxed);
}

void channel_release(struct channel *channel)
{
    if (atomic_fetch_sub_explicit(&channel->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (channel->receiver) {
        thread_release(channel->receiver);
    }
    memory_free_object(channel->container, channel->slot.page);
    memory_free_object(channel->container, channel);
}

// Passes the slot on, or frees it: PRIMITIVES.md, "Receive".
static void pass_slot(struct channel *channel)
{
    channel_slot_finish(&channel->slot, condition_wake_one(&channel->senders));
}

// Takes the slot, or sleeps until a receiver hands it over. The lock is held before and after.
static enum status claim(struct channel *channel, bool wait)
{
    if (channel_slot_claim(&channel->slot)) {
        return STATUS_OK;
    }
    if (!wait) {
        return STATUS_BUSY;
    }
    return condition_wait(&channel->senders, &channel->lock) ? STATUS_OK : STATUS_DEAD;
}

static enum status send_locked(struct channel *channel, struct address_space *space,
                               uint64_t buffer, uint32_t count, bool wait)
{
    enum status status = claim(channel, wait);

    if (status != STATUS_OK) {
        return status;
    }
    status = copy_from_user(space, channel->slot.page, buffer, count);
    if (status != STATUS_OK) {
        pass_slot(channel);
        return status;
    }
    channel_slot_store(&channel->slot, count);
    channel->sent++;
    if (channel->receiver) {
        thread_signal(channel->receiver, channel->receiver_bits);
    }
    return STATUS_OK;
}

enum status channel_send(struct channel *channel, struct address_space *space, uint64_t buffer,
                         uint64_t count, bool wait)
{
    if (count == 0 || count > CHANNEL_MESSAGE_MAXIMUM) {
        return STATUS_INVALID;
    }
    enum status status = user_range_check(space, buffer, count, false);
    if (status != STATUS_OK) {
        return status;
    }
    ticket_lock_acquire(&channel->lock);
    status = send_locked(channel, space, buffer, (uint32_t)count, wait);
    ticket_lock_release(&channel->lock);
    return status;
}

enum status channel_receive(struct channel *channel, struct address_space *space, uint64_t buffer,
                            uint64_t capacity, uint64_t *count)
{
    uint32_t stored = 0;

    ticket_lock_acquire(&channel->lock);
    enum status status = channel_slot_peek(&channel->slot, capacity, &stored);
    if (status == STATUS_OK) {
        status = copy_to_user(space, buffer, channel->slot.page, stored);
    }
    if (status == STATUS_OK) {
        pass_slot(channel);
        channel->received++;
        *count = stored;
    }
    ticket_lock_release(&channel->lock);
    return status;
}

void channel_bind(struct channel *channel, uint32_t bit)
{
    struct thread *thread = current_thread();
    uint32_t stored;

    thread_acquire(thread);
    ticket_lock_acquire(&channel->lock);
    struct thread *before = channel->receiver;
    channel->receiver = thread;
    channel->receiver_bits = 1ull << bit;
    if (channel_slot_peek(&channel->slot, CHANNEL_MESSAGE_MAXIMUM, &stored) == STATUS_OK) {
        thread_signal(thread, channel->receiver_bits);
    }
    ticket_lock_release(&channel->lock);
    if (before) {
        thread_release(before);
    }
}

void channel_unbind(struct channel *channel, const struct process *process)
{
    ticket_lock_acquire(&channel->lock);
    struct thread *bound = channel->receiver;
    if (bound && bound->process == process) {
        channel->receiver = NULL;
    } else {
        bound = NULL;
    }
    ticket_lock_release(&channel->lock);
    if (bound) {
        thread_release(bound);
    }
}
