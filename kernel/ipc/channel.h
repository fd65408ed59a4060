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

// What contracts call the memory of the running program, by address.
//@ ghost uint8_t user_memory[USER_LIMIT];

/*@
  // A channel, its page, and the running program's memory and address space, apart from each other.
  predicate channel_usable{L}(struct channel *channel, struct address_space *space) =
    \valid(channel) && \valid(space) && channel_slot_valid(&channel->slot) &&
    \valid(channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1)) &&
    \separated(channel, space, channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1),
               &user_memory[0 .. USER_LIMIT - 1]) &&
    lock_free(&space->lock);

  // The slot holds the message at that address.
  predicate channel_holds{L}(struct channel *channel, integer buffer, integer count) =
    channel->slot.busy == 1 && channel->slot.count == count && buffer + count <= USER_LIMIT &&
    \forall integer i; 0 <= i < count ==> channel->slot.page[i] == user_memory[buffer + i];

  // The slot passed on: to the sender that waited longest, or to nobody.
  predicate channel_passed{Before, After}(struct channel *channel) =
    \at(channel->slot.count, After) == 0 &&
    \at(channel->slot.busy, After) == (\at(channel->senders.waiters.head, Before) != \null ? 1 : 0);

  predicate channel_same_slot{Before, After}(struct channel *channel) =
    \at(channel->slot.count, After) == \at(channel->slot.count, Before) &&
    \at(channel->slot.busy, After) == \at(channel->slot.busy, Before);

  // The slot, its message and who waits for it.
  predicate channel_untouched{Before, After}(struct channel *channel) =
    channel_same_slot{Before, After}(channel) &&
    \at(channel->senders.waiters.head, After) == \at(channel->senders.waiters.head, Before) &&
    \forall integer i; 0 <= i < CHANNEL_MESSAGE_MAXIMUM ==>
      \at(channel->slot.page[i], After) == \at(channel->slot.page[i], Before);
*/

// Makes a channel with one reference. Null: quota or memory is short.
struct channel *channel_create(uint32_t container);

// Sends `count` bytes at `buffer` of `space`. Sleeps while the slot is taken if `wait`, else
// STATUS_BUSY. STATUS_INVALID: 0 or more than 4096 bytes; STATUS_FAULT; STATUS_DEAD: killed while
// waiting.
/*@
  requires channel_usable(channel, space) && lock_free(&channel->lock);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1], space->lock.last,
    space->lock.turn;
  ensures channel_usable(channel, space) && lock_free(&channel->lock);
  behavior refused:
    assumes count == 0 || count > CHANNEL_MESSAGE_MAXIMUM;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior free:
    assumes 0 < count <= CHANNEL_MESSAGE_MAXIMUM && channel->slot.busy == 0;
    ensures \result == STATUS_OK || \result == STATUS_FAULT;
    ensures \result == STATUS_OK ==> channel_holds(channel, buffer, count);
    ensures \result == STATUS_FAULT ==> channel_passed{Pre, Post}(channel);
  behavior taken:
    assumes 0 < count <= CHANNEL_MESSAGE_MAXIMUM && channel->slot.busy == 1 && !wait;
    ensures \result == STATUS_BUSY || \result == STATUS_FAULT;
    ensures channel_untouched{Pre, Post}(channel);
  behavior queue:
    assumes 0 < count <= CHANNEL_MESSAGE_MAXIMUM && channel->slot.busy == 1 && wait;
    ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_DEAD;
    ensures \result == STATUS_OK ==> channel_holds(channel, buffer, count);
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status channel_send(struct channel *channel, struct address_space *space,
                                    uint64_t buffer, uint64_t count, bool wait);

// Receives into `buffer`; `*count` is the message's size. STATUS_EMPTY, STATUS_TOO_SMALL (the
// message is kept), STATUS_FAULT (the message is kept).
/*@
  requires channel_usable(channel, space) && lock_free(&channel->lock);
  requires \valid(count) && \separated(count, channel, space,
    channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, *count, space->lock.last, space->lock.turn, user_memory[0 .. USER_LIMIT - 1];
  ensures channel_usable(channel, space) && lock_free(&channel->lock);
  behavior empty:
    assumes channel->slot.count == 0;
    assigns channel->lock.last, channel->lock.turn;
    ensures \result == STATUS_EMPTY;
  behavior too_small:
    assumes channel->slot.count > capacity;
    assigns channel->lock.last, channel->lock.turn;
    ensures \result == STATUS_TOO_SMALL;
  behavior fits:
    assumes 0 < channel->slot.count <= capacity;
    ensures \result == STATUS_OK || \result == STATUS_FAULT;
    ensures \result == STATUS_FAULT ==>
      channel_same_slot{Pre, Post}(channel) && *count == \old(*count);
    ensures \result == STATUS_OK ==> *count == \old(channel->slot.count) &&
      channel_passed{Pre, Post}(channel) && buffer + *count <= USER_LIMIT &&
      \forall integer i; 0 <= i < *count ==> user_memory[buffer + i] == channel->slot.page[i];
    ensures \forall integer i; 0 <= i < USER_LIMIT &&
      (\result != STATUS_OK || i < buffer || i >= buffer + *count) ==>
        user_memory[i] == \old(user_memory[i]);
  complete behaviors;
  disjoint behaviors;
*/
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
