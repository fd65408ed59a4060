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

  // The slot holds the message that was at that address.
  predicate channel_stored{Sent, Kept}(struct channel *channel, integer buffer, integer count) =
    \at(channel->slot.busy, Kept) == 1 && \at(channel->slot.count, Kept) == count &&
    buffer + count <= USER_LIMIT && \forall integer i; 0 <= i < count ==>
      \at(channel->slot.page[i], Kept) == \at(user_memory[buffer + i], Sent);
  predicate channel_holds{L}(struct channel *channel, integer buffer, integer count) =
    channel_stored{L, L}(channel, buffer, count);

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

  // How a send may end, by what it found: a free slot, a taken one, a taken one and time to wait.
  predicate channel_send_ended{Before, After}(struct channel *channel, boolean wait,
                                              integer status) =
    (\at(channel->slot.busy, Before) == 0 ==> status == STATUS_OK ||
       status == STATUS_FAULT && channel_passed{Before, After}(channel)) &&
    (\at(channel->slot.busy, Before) == 1 && !wait ==>
       (status == STATUS_BUSY || status == STATUS_FAULT) &&
       channel_untouched{Before, After}(channel)) &&
    (\at(channel->slot.busy, Before) == 1 && wait ==>
       status == STATUS_OK || status == STATUS_FAULT || status == STATUS_DEAD);

  // How a receive may end, by what it found; what it does with the message and where it puts it.
  predicate channel_receive_ended{Before, After}(struct channel *channel, integer capacity,
                                                 integer status) =
    (\at(channel->slot.count, Before) == 0 ==> status == STATUS_EMPTY) &&
    (\at(channel->slot.count, Before) > capacity ==> status == STATUS_TOO_SMALL) &&
    (0 < \at(channel->slot.count, Before) <= capacity ==>
       status == STATUS_OK || status == STATUS_FAULT) &&
    (status == STATUS_OK ==> channel_passed{Before, After}(channel)) &&
    (status != STATUS_OK ==> channel_same_slot{Before, After}(channel));
  predicate channel_delivered{Before, After}(struct channel *channel, integer buffer,
                                             integer count) =
    buffer + count <= USER_LIMIT && (\forall integer i; 0 <= i < count ==>
      \at(user_memory[buffer + i], After) == \at(channel->slot.page[i], After)) &&
    \forall integer i; 0 <= i < USER_LIMIT && (i < buffer || i >= buffer + count) ==>
      \at(user_memory[i], After) == \at(user_memory[i], Before);
  predicate channel_user_memory_same{Before, After} =
    \forall integer i; 0 <= i < USER_LIMIT ==>
      \at(user_memory[i], After) == \at(user_memory[i], Before);
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
  behavior done:
    assumes 0 < count <= CHANNEL_MESSAGE_MAXIMUM;
    ensures channel_send_ended{Pre, Post}(channel, wait != 0, \result);
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
  ensures channel_receive_ended{Pre, Post}(channel, capacity, \result);
  ensures \result == STATUS_OK ==> *count == \old(channel->slot.count) &&
    channel_delivered{Pre, Post}(channel, buffer, *count);
  ensures \result != STATUS_OK ==>
    *count == \old(*count) && channel_user_memory_same{Pre, Post};
*/
MUST_CHECK enum status channel_receive(struct channel *channel, struct address_space *space,
                                       uint64_t buffer, uint64_t capacity, uint64_t *count);

// Sends `bytes` (0: none) of `buffer` to channel `to` as channel_send does, waiting, then sleeps
// until channel `from` has a message, and receives it as channel_receive does. Before anything is
// sent: STATUS_STATE: `from` is not bound to the running thread; STATUS_INVALID; STATUS_FAULT: also
// when what a message takes of `capacity` is not writable. The contract is for two channels; where
// it is one, the message sent is there to be received.
/*@
  requires channel_usable(from, space) && lock_free(&from->lock);
  requires channel_usable(to, space) && lock_free(&to->lock);
  requires \valid(count) && \separated(count, from, to, space,
    from->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1),
    to->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  assigns from->lock.last, from->lock.turn, from->slot.count, from->slot.busy, from->senders,
    from->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1], from->receiver.thread, to->lock.last,
    to->lock.turn, to->slot.count, to->slot.busy, to->senders,
    to->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1], *count, space->lock.last, space->lock.turn,
    user_memory[0 .. USER_LIMIT - 1];
  ensures channel_usable(from, space) && lock_free(&from->lock);
  ensures channel_usable(to, space) && lock_free(&to->lock);
  behavior invalid:
    assumes bytes > CHANNEL_MESSAGE_MAXIMUM || capacity == 0;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior stranger:
    assumes bytes <= CHANNEL_MESSAGE_MAXIMUM && capacity > 0 &&
      from->receiver.thread != running_thread;
    assigns \nothing;
    ensures \result == STATUS_STATE;
  behavior receiver:
    assumes bytes <= CHANNEL_MESSAGE_MAXIMUM && capacity > 0 &&
      from->receiver.thread == running_thread;
    ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_DEAD ||
      \result == STATUS_TOO_SMALL || \result == STATUS_STATE;
    // The send:
    ensures bytes == 0 ==> channel_untouched{Pre, Post}(to);
    ensures bytes > 0 ==> channel_stored{Pre, Post}(to, buffer, bytes) ||
      (\result == STATUS_FAULT || \result == STATUS_DEAD) &&
      channel_send_ended{Pre, Post}(to, \true, \result) && channel_untouched{Pre, Post}(from);
    // The receive:
    ensures \result == STATUS_OK ==> 0 < *count <= capacity && from->slot.count == 0 &&
      channel_delivered{Pre, Post}(from, buffer, *count);
    ensures \result != STATUS_OK ==>
      *count == \old(*count) && channel_user_memory_same{Pre, Post};
    ensures \result == STATUS_TOO_SMALL ==> from->slot.count > capacity;
    ensures \result == STATUS_STATE ==> from->receiver.thread != running_thread;
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status channel_exchange(struct channel *from, struct channel *to,
                                        struct address_space *space, uint64_t buffer,
                                        uint64_t bytes, uint64_t capacity, uint64_t *count);

// From now on each arriving message sets event bit `bit` of the running thread; so does one that
// is there already.
void channel_bind(struct channel *channel, uint32_t bit);

// Ends the binding of a thread of `process`, which is going away.
void channel_unbind(struct channel *channel, const struct process *process);
