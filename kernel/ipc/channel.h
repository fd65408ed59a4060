// SPDX-License-Identifier: MIT
// Channels: one-page message slots between processes. A channel is two pages (this struct and the
// slot), charged to the container that made it, and lives until its last handle is closed.
#pragma once

#include <stdint.h>
#include "kernel/ipc/channel_slot.h"
#include "kernel/lock/lock.h"
#include "kernel/memory/address_space.h"
#include "kernel/thread/thread.h"

struct channel {
    struct object object; // references: handles, and calls under way
    struct lock lock;
    // Guarded by lock.
    struct channel_slot slot;
    struct condition senders;
    struct event_binding receiver; // who is told of messages
};

// Makes a channel with one reference. Null: quota or memory is short.
struct channel *channel_create(uint32_t container);

// Sends `count` bytes at `buffer` of `space`. Sleeps while the slot is taken if `wait`, else
// STATUS_BUSY. STATUS_INVALID: 0 or more than 4096 bytes; STATUS_FAULT; STATUS_DEAD: killed while
// waiting.
MUST_CHECK enum status channel_send(struct channel *channel, struct address_space *space,
                                    uint64_t buffer, uint64_t count, bool wait);

// Receives into `buffer`; `*count` is the message's size. STATUS_EMPTY, STATUS_TOO_SMALL (the
// message is kept), STATUS_FAULT (the message is kept).
MUST_CHECK enum status channel_receive(struct channel *channel, struct address_space *space,
                                       uint64_t buffer, uint64_t capacity, uint64_t *count);

// Sends `bytes` (0: none) of `buffer` to channel `to` as channel_send does, waiting, then sleeps
// until channel `from` has a message, and receives it as channel_receive does. Before anything is
// sent: STATUS_STATE: `from` is not bound to the running thread; STATUS_INVALID; STATUS_FAULT: also
// when what a message takes of `capacity` is not writable.
MUST_CHECK enum status channel_exchange(struct channel *from, struct channel *to,
                                        struct address_space *space, uint64_t buffer,
                                        uint64_t bytes, uint64_t capacity, uint64_t *count);

// From now on each arriving message sets event bit `bit` of the running thread; so does one that
// is there already.
void channel_bind(struct channel *channel, uint32_t bit);

// Ends the binding of a thread of `process`, which is going away.
void channel_unbind(struct channel *channel, const struct process *process);
