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

/*@
  requires \valid_read(channel);
  terminates \true;
  assigns \nothing;
*/
static inline void log_slot(enum event_kind kind, const struct channel *channel, uint64_t value)
{
    if (UNLIKELY(event_log_on)) { // else the slot is not looked at
        event_log_write(kind, (uint64_t)(uintptr_t)channel, value,
                        (uint64_t)channel->slot.count << 32 | channel->slot.busy);
    }
}

// Passes the slot on, or frees it: PRIMITIVES.md, "Receive".
/*@
  requires \valid(channel) && channel_slot_valid(&channel->slot) && channel->slot.busy == 1;
  terminates \true;
  assigns channel->slot.count, channel->slot.busy, channel->senders;
  ensures channel_slot_valid(&channel->slot) && channel_passed{Pre, Post}(channel);
*/
static inline void pass_slot(struct channel *channel)
{
    channel_slot_finish(&channel->slot,
                        channel->senders.waiters.head && condition_wake_one(&channel->senders));
}

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

// Sleeps until a receiver hands the slot over; false: killed. Trusted: that who was woken finds it
// taken and empty is what test/model/channel.pml shows. What the program does meanwhile with its
// memory is left out.
/*@
  requires \valid(channel) && lock_held(&channel->lock);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1];
  ensures lock_held(&channel->lock) && channel_slot_valid(&channel->slot);
  ensures \result ==> channel->slot.busy == 1 && channel->slot.count == 0;
*/
static inline bool wait_for_slot(struct channel *channel)
{
    return condition_wait(&channel->senders, &channel->lock);
}

// Takes the slot, or sleeps until a receiver hands it over. The lock is held before and after.
/*@
  requires channel_usable(channel, source->space) && lock_held(&channel->lock);
  requires source_valid(source) && source_apart(source, channel);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
    source->space->lock.last, source->space->lock.turn;
  ensures channel_usable(channel, source->space) && lock_held(&channel->lock);
  ensures \result == STATUS_OK ==> channel->slot.busy == 1 && channel->slot.count == 0;
  behavior free:
    assumes channel->slot.busy == 0;
    ensures \result == STATUS_OK;
    ensures channel->senders.waiters.head == \old(channel->senders.waiters.head);
  behavior taken:
    assumes channel->slot.busy == 1 && !wait;
    ensures \result == STATUS_BUSY || \result == STATUS_FAULT;
    ensures channel_untouched{Pre, Post}(channel);
  behavior queue:
    assumes channel->slot.busy == 1 && wait;
    ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_DEAD;
  complete behaviors;
  disjoint behaviors;
*/
static inline enum status claim(struct channel *channel, const struct source *source, bool wait)
{
    if (LIKELY(channel_slot_claim(&channel->slot))) {
        log_slot(EVENT_CLAIM, channel, 0);
        return STATUS_OK;
    }
    enum status status = check_source(source);
    if (status != STATUS_OK) {
        return status;
    }
    if (!wait) {
        return STATUS_BUSY;
    }
    return wait_for_slot(channel) ? STATUS_OK : STATUS_DEAD;
}

// Tells the receiver of a message. One of this CPU is left in `later` for the caller to wake before
// its CPU does anything else: until then it can neither run nor end.
/*@
  requires \valid(channel) && \valid(later);
  terminates \true;
  assigns *later;
*/
static inline void tell_receiver(struct channel *channel, struct thread **later)
{
    struct thread *thread = event_mark(&channel->receiver);

    if (thread && thread->cpu == this_cpu()->id) {
        *later = thread;
    } else if (thread) {
        thread_wake(thread);
    }
}

/*@
  requires channel_usable(channel, source->space) && lock_held(&channel->lock);
  requires source_valid(source) && source_apart(source, channel);
  requires \valid(later) && \separated(later, channel, source, source->space,
    channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
    source->space->lock.last, source->space->lock.turn, *later;
  ensures lock_held(&channel->lock);
  ensures channel_slot_valid(&channel->slot);
  ensures lock_free(&source->space->lock);
  ensures channel->slot.page == \old(channel->slot.page) && source->space == \old(source->space);
  ensures channel_usable(channel, source->space);
  ensures \result == STATUS_OK ==> channel_holds(channel, source->buffer, source->count);
  behavior free:
    assumes channel->slot.busy == 0;
    ensures \result == STATUS_OK || \result == STATUS_FAULT;
    ensures \result == STATUS_FAULT ==> channel_passed{Pre, Post}(channel);
  behavior taken:
    assumes channel->slot.busy == 1 && !wait;
    ensures \result == STATUS_BUSY || \result == STATUS_FAULT;
    ensures channel_untouched{Pre, Post}(channel);
  behavior queue:
    assumes channel->slot.busy == 1 && wait;
    ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_DEAD;
  complete behaviors;
  disjoint behaviors;
*/
static ALWAYS_INLINE enum status send_locked(struct channel *channel, const struct source *source,
                                             bool wait, struct thread **later)
{
    enum status status = claim(channel, source, wait);

    if (status != STATUS_OK) {
        return status;
    }
    //@ assert source->space == \at(source->space, Pre);
    //@ assert \separated(&channel->lock, &source->space->lock);
    status = read_source(source, channel->slot.page);
    //@ assert lock_held(&channel->lock);
    if (status != STATUS_OK) {
        pass_slot(channel);
        //@ assert lock_held(&channel->lock);
        log_slot(EVENT_PASS, channel, 0);
        return status;
    }
    channel_slot_store(&channel->slot, source->count);
    log_slot(EVENT_SEND, channel, source->count);
    //@ assert lock_held(&channel->lock);
    tell_receiver(channel, later);
    //@ assert lock_held(&channel->lock);
    return STATUS_OK;
}

static ALWAYS_INLINE enum status send(struct channel *channel, const struct source *source,
                                      bool wait, struct thread **later)
{
    lock_acquire(&channel->lock);
    enum status status = send_locked(channel, source, wait, later);
    lock_release(&channel->lock);
    return status;
}

NOINLINE enum status channel_send(struct channel *channel, struct address_space *space,
                                  uint64_t buffer, uint64_t count, bool wait)
{
    if (count == 0 || count > CHANNEL_MESSAGE_MAXIMUM) {
        return STATUS_INVALID;
    }
    const struct source source = {space, buffer, (uint32_t)count, 0};
    struct thread *receiver = NULL;
    enum status status = send(channel, &source, wait, &receiver);

    if (receiver) {
        thread_wake(receiver);
    }
    return status;
}

static ALWAYS_INLINE enum status receive(struct channel *channel, struct address_space *space,
                                         uint64_t buffer, uint64_t capacity, uint64_t *count)
{
    uint32_t stored = 0;

    lock_acquire(&channel->lock);
    enum status status = channel_slot_peek(&channel->slot, capacity, &stored);
    if (status == STATUS_OK) {
        status = write_target(space, buffer, channel->slot.page, stored);
    }
    if (status == STATUS_OK) {
        pass_slot(channel);
        log_slot(EVENT_RECEIVE, channel, stored);
        *count = stored;
    }
    lock_release(&channel->lock);
    return status;
}

NOINLINE enum status channel_receive(struct channel *channel, struct address_space *space,
                                     uint64_t buffer, uint64_t capacity, uint64_t *count)
{
    return receive(channel, space, buffer, capacity, count);
}

// -- exchanging -----------------------------------------------------------------------------------

// True while arriving messages wake the running thread.
static inline bool is_receiver(const struct channel *channel)
{
    return atomic_load_explicit(&channel->receiver.thread, memory_order_relaxed) ==
           current_thread();
}

// Sleeps until there is a message for the running thread. A sender that stores one after it was
// looked for, and whoever takes the binding away, wakes the thread: on this CPU once it sleeps, on
// another one by the wake queue of this CPU, which takes from it once the thread sleeps. What it
// took from there before, the look at the message came after.
static inline enum status wait_for_message(struct channel *channel, struct thread **later)
{
    while (!channel_slot_full(&channel->slot)) {
        if (UNLIKELY(!is_receiver(channel))) {
            return STATUS_STATE;
        }
        if (UNLIKELY(thread_killed())) {
            return STATUS_DEAD;
        }
        thread_sleep(*later);
        *later = NULL;
    }
    return STATUS_OK;
}

enum status channel_exchange(struct channel *from, struct channel *to, struct address_space *space,
                             uint64_t buffer, uint64_t bytes, uint64_t capacity, uint64_t *count)
{
    struct thread *later = NULL; // the receiver at `to`, to be woken
    size_t room = capacity < CHANNEL_MESSAGE_MAXIMUM ? capacity : CHANNEL_MESSAGE_MAXIMUM;
    const struct source source = {space, buffer, (uint32_t)bytes,
                                  (uint32_t)(room > bytes ? room : bytes)};
    enum status status = STATUS_OK;

    if (bytes > CHANNEL_MESSAGE_MAXIMUM || room == 0) {
        return STATUS_INVALID;
    }
    if (!is_receiver(from)) {
        return STATUS_STATE;
    }
    status = bytes > 0 ? send(to, &source, true, &later) : check_source(&source);
    while (status == STATUS_OK && (status = wait_for_message(from, &later)) == STATUS_OK &&
           (status = receive(from, space, buffer, capacity, count)) == STATUS_EMPTY) {
        status = STATUS_OK; // another thread took it
    }
    if (UNLIKELY(later != NULL)) {
        thread_wake(later);
    }
    return status;
}

// Lets a thread that waits in channel_exchange see that it is not the receiver any more.
static void wake_receiver(const struct channel *channel)
{
    if (channel->receiver.thread) {
        thread_wake(channel->receiver.thread);
    }
}

void channel_bind(struct channel *channel, uint32_t bit)
{
    uint32_t stored;

    lock_acquire(&channel->lock);
    wake_receiver(channel);
    event_bind(&channel->receiver, bit);
    if (channel_slot_peek(&channel->slot, CHANNEL_MESSAGE_MAXIMUM, &stored) == STATUS_OK) {
        event_send(&channel->receiver);
    }
    lock_release(&channel->lock);
}

void channel_unbind(struct channel *channel, const struct process *process)
{
    lock_acquire(&channel->lock);
    wake_receiver(channel);
    event_unbind(&channel->receiver, process);
    lock_release(&channel->lock);
}
