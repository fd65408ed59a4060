// SPDX-License-Identifier: MIT
// Messages in the memory of programs, for channel.c: where a send finds one, and the copies between
// it and a slot.
#pragma once

#include "kernel/ipc/channel.h"
#include "kernel/memory/user_copy.h"

// A message in the memory of its sender.
struct source {
    struct address_space *space;
    uint64_t buffer;
    uint32_t count;
    uint32_t room; // so much has to be writable; 0: nothing
};

/*@
  predicate source_valid{L}(struct source *source) =
    \valid_read(source) && 0 < source->count <= CHANNEL_MESSAGE_MAXIMUM &&
    (source->room == 0 || source->room >= source->count);

  // What of the memory around a source a send uses.
  predicate source_apart{L}(struct source *source, struct channel *channel) =
    \separated(source, channel, source->space,
               channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1),
               &user_memory[0 .. USER_LIMIT - 1]);
*/

/*@
  requires \valid_read(source) && \valid(source->space) && lock_free(&source->space->lock);
  requires \separated(source, source->space);
  terminates \true;
  assigns source->space->lock.last, source->space->lock.turn;
  ensures lock_free(&source->space->lock);
  ensures \result == STATUS_OK || \result == STATUS_FAULT;
*/
static inline enum status check_source(const struct source *source)
{
    return source->room > 0 ? user_range_check(source->space, source->buffer, source->room, true)
                            : user_range_check(source->space, source->buffer, source->count, false);
}

// Trusted: what the copies of user_copy.h do, for a proof that knows bytes only.
/*@
  requires source_valid(source) && \valid(source->space) && lock_free(&source->space->lock);
  requires \valid(page + (0 .. source->count - 1));
  terminates \true;
  assigns page[0 .. source->count - 1], source->space->lock.last, source->space->lock.turn;
  ensures lock_free(&source->space->lock);
  ensures \result == STATUS_OK || \result == STATUS_FAULT;
  ensures \result == STATUS_OK ==> source->buffer + source->count <= USER_LIMIT &&
    \forall integer i; 0 <= i < source->count ==> page[i] == user_memory[source->buffer + i];
  ensures \result == STATUS_FAULT ==>
    \forall integer i; 0 <= i < source->count ==> page[i] == \old(page[i]);
*/
static inline enum status read_source(const struct source *source, uint8_t *page)
{
    return source->room > 0 ? copy_from_writable(source->space, page, source->buffer, source->count,
                                                 source->room)
                            : copy_from_user(source->space, page, source->buffer, source->count);
}

// Trusted, the same way.
/*@
  requires \valid(space) && lock_free(&space->lock) && \valid_read(page + (0 .. count - 1));
  terminates \true;
  assigns user_memory[0 .. USER_LIMIT - 1], space->lock.last, space->lock.turn;
  ensures lock_free(&space->lock);
  ensures \result == STATUS_OK || \result == STATUS_FAULT;
  ensures \result == STATUS_OK ==> buffer + count <= USER_LIMIT &&
    \forall integer i; 0 <= i < count ==> user_memory[buffer + i] == page[i];
  ensures \forall integer i; 0 <= i < USER_LIMIT &&
    (\result == STATUS_FAULT || i < buffer || i >= buffer + count) ==>
      user_memory[i] == \old(user_memory[i]);
*/
static inline enum status write_target(struct address_space *space, uint64_t buffer,
                                       const uint8_t *page, uint32_t count)
{
    return copy_to_user(space, buffer, page, count);
}
