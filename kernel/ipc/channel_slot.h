// SPDX-License-Identifier: MIT
// The state machine of a channel's slot, without locks, threads or user memory: one page, the
// stored count and the busy word. channel.c drives it under the channel's lock.
//   busy 0              free
//   busy 1, count > 0   holds a message
//   busy 1, count 0     handed to a woken sender that has not stored its message yet
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define CHANNEL_MESSAGE_MAXIMUM 4096u

struct channel_slot {
    uint8_t *page;
    uint32_t count;
    uint32_t busy;
};

// Takes a free slot; false when it is taken.
bool channel_slot_claim(struct channel_slot *slot);

// Records the message that was copied to slot->page. The slot must be claimed and empty.
void channel_slot_store(struct channel_slot *slot, uint32_t count);

// How much there is to receive. STATUS_EMPTY: no message; STATUS_TOO_SMALL: more than `capacity`,
// and it is kept.
MUST_CHECK enum status channel_slot_peek(const struct channel_slot *slot, size_t capacity,
                                         uint32_t *count);

// Ends a receive: the message is gone. `sender_woken`: the slot passes straight to that sender and
// stays busy.
void channel_slot_finish(struct channel_slot *slot, bool sender_woken);
