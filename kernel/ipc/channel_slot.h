// SPDX-License-Identifier: MIT
// The state machine of a channel's slot, without locks, threads or user memory: one page, the
// stored count and the busy word. channel.c drives it under the channel's lock.
//   busy 0              free
//   busy 1, count > 0   holds a message
//   busy 1, count 0     handed to a woken sender that has not stored its message yet
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define CHANNEL_MESSAGE_MAXIMUM 4096u

struct channel_slot {
    uint8_t *page;
    _Atomic uint32_t count; // may be looked at without the lock
    uint32_t busy;
};

/*@
  // One of the three states above.
  predicate channel_slot_valid(struct channel_slot *slot) =
    \valid(slot) && (slot->busy == 0 || slot->busy == 1) &&
    slot->count <= CHANNEL_MESSAGE_MAXIMUM && (slot->busy == 0 ==> slot->count == 0);
*/

// Takes a free slot; false when it is taken.
/*@
  requires channel_slot_valid(slot);
  terminates \true;
  assigns slot->busy;
  ensures channel_slot_valid(slot) && slot->busy == 1;
  ensures \result <==> \old(slot->busy) == 0;
*/
bool channel_slot_claim(struct channel_slot *slot);

// Records the message that was copied to slot->page. The slot must be claimed and empty.
/*@
  requires channel_slot_valid(slot) && slot->busy == 1 && slot->count == 0;
  requires 0 < count <= CHANNEL_MESSAGE_MAXIMUM;
  terminates \true;
  assigns slot->count;
  ensures channel_slot_valid(slot) && slot->count == count;
*/
void channel_slot_store(struct channel_slot *slot, uint32_t count);

// How much there is to receive. STATUS_EMPTY: no message; STATUS_TOO_SMALL: more than `capacity`,
// and it is kept.
/*@
  requires channel_slot_valid(slot) && \valid(count) && \separated(slot, count);
  terminates \true;
  assigns *count;
  behavior empty:
    assumes slot->count == 0;
    assigns \nothing;
    ensures \result == STATUS_EMPTY;
  behavior too_small:
    assumes slot->count > capacity;
    assigns \nothing;
    ensures \result == STATUS_TOO_SMALL;
  behavior fits:
    assumes 0 < slot->count <= capacity;
    ensures \result == STATUS_OK && *count == slot->count && slot->busy == 1;
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status channel_slot_peek(const struct channel_slot *slot, size_t capacity,
                                         uint32_t *count);

// True when there is something to receive. Without the lock: at the time of the look.
/*@
  requires channel_slot_valid(slot);
  terminates \true;
  assigns \nothing;
  ensures \result <==> slot->count > 0;
*/
static inline bool channel_slot_full(const struct channel_slot *slot)
{
    return atomic_load_explicit(&slot->count, memory_order_relaxed) > 0;
}

// Ends a receive: the message is gone. `sender_woken`: the slot passes straight to that sender and
// stays busy.
/*@
  requires channel_slot_valid(slot) && slot->busy == 1;
  terminates \true;
  assigns slot->count, slot->busy;
  ensures channel_slot_valid(slot) && slot->count == 0;
  ensures slot->busy == 1 <==> sender_woken;
*/
void channel_slot_finish(struct channel_slot *slot, bool sender_woken);
