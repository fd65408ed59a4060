// SPDX-License-Identifier: MIT
// Channels (channel.h): the slot's state machine under the channel's lock, with sleeping senders.
#include "kernel/ipc/channel.h"
#include "kernel/core/event_log.h"
#include "kernel/ipc/channel_message.h"
#include "kernel/lib/address.h"
#include "kernel/memory/memory.h"

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

// Trusted: that the senders' queue is one of waiters, for which condition.c is proved. What is
// written of the sender that waits longest is left out.
/*@
  requires \valid(channel);
  terminates \true;
  assigns channel->senders;
  ensures \result <==> \old(channel->senders.waiters.head) != \null;
*/
static inline bool wake_sender(struct channel *channel)
{
    return channel->senders.waiters.head && condition_wake_one(&channel->senders);
}

// Passes the slot on, or frees it: PRIMITIVES.md, "Receive".
/*@
  requires \valid(channel) && channel_slot_valid(&channel->slot) && channel->slot.busy == 1;
  requires lock_held(&channel->lock);
  terminates \true;
  assigns channel->slot.count, channel->slot.busy, channel->senders;
  ensures channel_slot_valid(&channel->slot) && channel_passed{Pre, Post}(channel);
  ensures channel->slot.page == \old(channel->slot.page) && lock_held(&channel->lock);
*/
static inline void pass_slot(struct channel *channel)
{
    channel_slot_finish(&channel->slot, wake_sender(channel));
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
  ensures channel->slot.page == \old(channel->slot.page) && source->space == \old(source->space);
  ensures \result == STATUS_OK ==> channel->slot.busy == 1 && channel->slot.count == 0;
  ensures channel_send_ended{Pre, Post}(channel, wait != 0, \result);
  ensures \old(channel->slot.busy) == 0 ==> \result == STATUS_OK &&
    channel->senders.waiters.head == \old(channel->senders.waiters.head);
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
  ensures channel_send_ended{Pre, Post}(channel, wait != 0, \result);
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
    //@ assert source->space == \at(source->space, Pre);
    //@ assert channel->slot.page == \at(channel->slot.page, Pre);
    //@ assert channel_slot_valid(&channel->slot);
    //@ assert lock_free(&source->space->lock);
    if (status != STATUS_OK) {
        pass_slot(channel);
        //@ assert lock_held(&channel->lock);
        //@ assert source->space == \at(source->space, Pre);
        //@ assert lock_free(&source->space->lock);
        //@ assert channel_usable(channel, source->space);
        log_slot(EVENT_PASS, channel, 0);
        return status;
    }
    channel_slot_store(&channel->slot, source->count);
    log_slot(EVENT_SEND, channel, source->count);
    //@ assert lock_held(&channel->lock);
    //@ assert channel_usable(channel, source->space);
    tell_receiver(channel, later);
    //@ assert lock_held(&channel->lock);
    //@ assert channel_usable(channel, source->space);
    return STATUS_OK;
}

/*@
  requires channel_usable(channel, source->space) && lock_free(&channel->lock);
  requires source_valid(source) && source_apart(source, channel);
  requires \valid(later) && \separated(later, channel, source, source->space,
    channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
    source->space->lock.last, source->space->lock.turn, *later;
  ensures channel_usable(channel, source->space) && lock_free(&channel->lock);
  ensures channel->slot.page == \old(channel->slot.page);
  ensures \result == STATUS_OK ==> channel_holds(channel, source->buffer, source->count);
  ensures channel_send_ended{Pre, Post}(channel, wait != 0, \result);
*/
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

/*@
  requires channel_usable(channel, space) && lock_free(&channel->lock);
  requires \valid(count) && \separated(count, channel, space,
    channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, *count, space->lock.last, space->lock.turn, user_memory[0 .. USER_LIMIT - 1];
  ensures channel_usable(channel, space) && lock_free(&channel->lock);
  ensures channel->slot.page == \old(channel->slot.page);
  ensures channel_receive_ended{Pre, Post}(channel, capacity, \result);
  ensures \result == STATUS_OK ==> *count == \old(channel->slot.count) &&
    channel_delivered{Pre, Post}(channel, buffer, *count);
  ensures \result != STATUS_OK ==>
    *count == \old(*count) && channel_user_memory_same{Pre, Post};
*/
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
/*@
  requires \valid_read(channel);
  terminates \true;
  assigns \nothing;
  ensures \result <==> channel->receiver.thread == running_thread;
*/
static inline bool is_receiver(const struct channel *channel)
{
    return atomic_load_explicit(&channel->receiver.thread, memory_order_relaxed) ==
           current_thread();
}

// Wakes `next`, and sleeps until woken. Trusted: others leave the channel as it is to be. What they
// do meanwhile with the channel that was sent to, and the program with its memory, is left out.
/*@
  requires channel_slot_valid(&channel->slot) && lock_free(&channel->lock);
  terminates \true;
  assigns channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
    channel->receiver.thread;
  ensures channel_slot_valid(&channel->slot) && lock_free(&channel->lock);
  ensures channel->slot.page == \old(channel->slot.page);
*/
static inline void sleep_for_message(const struct channel *channel, struct thread *next)
{
    (void)channel;
    thread_sleep(next);
}

// Sleeps until there is a message for the running thread. A sender that stores one after it was
// looked for, and whoever takes the binding away, wakes the thread: on this CPU once it sleeps, on
// another one by the wake queue of this CPU, which takes from it once the thread sleeps. What it
// took from there before, the look at the message came after. Who looks for it without the lock may
// find that another thread took it; so the contract does not promise one.
/*@
  requires \valid(later) && \valid(channel) && channel_slot_valid(&channel->slot);
  requires lock_free(&channel->lock);
  requires \separated(later, channel, channel->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1));
  assigns *later, channel->lock.last, channel->lock.turn, channel->slot.count, channel->slot.busy,
    channel->senders, channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
    channel->receiver.thread;
  ensures channel_slot_valid(&channel->slot) && lock_free(&channel->lock);
  ensures channel->slot.page == \old(channel->slot.page);
  ensures \result == STATUS_OK || \result == STATUS_STATE || \result == STATUS_DEAD;
  ensures \result == STATUS_STATE ==> channel->receiver.thread != running_thread;
*/
static inline enum status wait_for_message(struct channel *channel, struct thread **later)
{
    /*@
      loop invariant channel_slot_valid(&channel->slot) && lock_free(&channel->lock);
      loop invariant channel->slot.page == \at(channel->slot.page, Pre);
      loop assigns *later, channel->lock.last, channel->lock.turn, channel->slot.count,
        channel->slot.busy, channel->senders, channel->receiver.thread,
        channel->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1];
    */
    while (!channel_slot_full(&channel->slot)) {
        if (UNLIKELY(!is_receiver(channel))) {
            return STATUS_STATE;
        }
        if (UNLIKELY(thread_killed())) {
            return STATUS_DEAD;
        }
        sleep_for_message(channel, *later);
        *later = NULL;
    }
    return STATUS_OK;
}

// Sleeps until there is a message for the running thread, and receives it.
/*@
  requires channel_usable(from, space) && lock_free(&from->lock);
  requires \valid(later) && \valid(count) && \separated(count, later, from, space,
    from->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  assigns *later, from->lock.last, from->lock.turn, from->slot.count, from->slot.busy,
    from->senders, from->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1], from->receiver.thread, *count,
    space->lock.last, space->lock.turn, user_memory[0 .. USER_LIMIT - 1];
  ensures channel_usable(from, space) && lock_free(&from->lock);
  ensures from->slot.page == \old(from->slot.page);
  ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_TOO_SMALL ||
    \result == STATUS_STATE || \result == STATUS_DEAD;
  ensures \result == STATUS_OK ==> 0 < *count <= capacity && from->slot.count == 0 &&
    channel_delivered{Pre, Post}(from, buffer, *count);
  ensures \result != STATUS_OK ==>
    *count == \old(*count) && channel_user_memory_same{Pre, Post};
  ensures \result == STATUS_TOO_SMALL ==> from->slot.count > capacity;
  ensures \result == STATUS_STATE ==> from->receiver.thread != running_thread;
*/
static ALWAYS_INLINE enum status await_message(struct channel *from, struct address_space *space,
                                               uint64_t buffer, uint64_t capacity, uint64_t *count,
                                               struct thread **later)
{
    enum status status;

    /*@
      loop invariant channel_usable(from, space) && lock_free(&from->lock);
      loop invariant from->slot.page == \at(from->slot.page, Pre);
      loop invariant *count == \at(*count, Pre) && channel_user_memory_same{Pre, Here};
      loop assigns status, *later, from->lock.last, from->lock.turn, from->slot.count,
        from->slot.busy, from->senders, from->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1],
        from->receiver.thread, *count, space->lock.last, space->lock.turn,
        user_memory[0 .. USER_LIMIT - 1];
    */
    do {
        status = wait_for_message(from, later);
        //@ assert channel_usable(from, space);
        if (status == STATUS_OK) {
            status = receive(from, space, buffer, capacity, count);
        }
    } while (status == STATUS_EMPTY); // another thread took it
    return status;
}

// The send of an exchange, perhaps of nothing: then the room for the answer is looked at alone.
/*@
  requires channel_usable(to, space) && lock_free(&to->lock);
  requires bytes <= CHANNEL_MESSAGE_MAXIMUM && 0 < room && bytes <= room;
  requires \valid(later) && \separated(later, to, space,
    to->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1), &user_memory[0 .. USER_LIMIT - 1]);
  terminates \true;
  assigns *later, to->lock.last, to->lock.turn, to->slot.count, to->slot.busy, to->senders,
    to->slot.page[0 .. CHANNEL_MESSAGE_MAXIMUM - 1], space->lock.last, space->lock.turn;
  ensures channel_usable(to, space) && lock_free(&to->lock);
  ensures to->slot.page == \old(to->slot.page);
  ensures bytes == 0 ==> channel_untouched{Pre, Post}(to) &&
    (\result == STATUS_OK || \result == STATUS_FAULT);
  ensures bytes > 0 ==> channel_send_ended{Pre, Post}(to, \true, \result);
  ensures bytes > 0 && \result == STATUS_OK ==> channel_holds(to, buffer, bytes);
*/
static ALWAYS_INLINE enum status send_first(struct channel *to, struct address_space *space,
                                            uint64_t buffer, uint32_t bytes, uint32_t room,
                                            struct thread **later)
{
    const struct source source = {space, buffer, bytes, room};

    return bytes > 0 ? send(to, &source, true, later) : check_source(&source);
}

enum status channel_exchange(struct channel *from, struct channel *to, struct address_space *space,
                             uint64_t buffer, uint64_t bytes, uint64_t capacity, uint64_t *count)
{
    struct thread *later = NULL; // the receiver at `to`, to be woken
    size_t room = capacity < CHANNEL_MESSAGE_MAXIMUM ? capacity : CHANNEL_MESSAGE_MAXIMUM;

    if (bytes > CHANNEL_MESSAGE_MAXIMUM || room == 0) {
        return STATUS_INVALID;
    }
    if (!is_receiver(from)) {
        return STATUS_STATE;
    }
    room = room > bytes ? room : bytes;
    enum status status = send_first(to, space, buffer, (uint32_t)bytes, (uint32_t)room, &later);
    //@ assert from->slot.page == \at(from->slot.page, Pre);
    //@ assert channel_slot_valid(&from->slot);
    //@ assert lock_free(&from->lock);
    //@ assert channel_usable(from, space);
    /*@ assert \forall integer i; 0 <= i < CHANNEL_MESSAGE_MAXIMUM ==>
          from->slot.page[i] == \at(from->slot.page[i], Pre); */
    //@ assert channel_untouched{Pre, Here}(from);
    //@ assert to->lock.last == to->lock.turn;
    //@ ghost Sent: ;
    /*@ assert apart: \forall integer i; 0 <= i < CHANNEL_MESSAGE_MAXIMUM ==>
          \separated(to->slot.page + i, from->slot.page + (0 .. CHANNEL_MESSAGE_MAXIMUM - 1)) &&
          \separated(to->slot.page + i, &user_memory[0 .. USER_LIMIT - 1]); */
    if (status == STATUS_OK) {
        status = await_message(from, space, buffer, capacity, count, &later);
        //@ assert to->slot.page == \at(to->slot.page, Pre);
        //@ assert to->senders.waiters.head == \at(to->senders.waiters.head, Sent);
        //@ assert channel_same_slot{Sent, Here}(to);
        //@ assert channel_slot_valid(&to->slot);
        //@ assert to->lock.last == \at(to->lock.last, Sent);
        //@ assert to->lock.turn == \at(to->lock.turn, Sent);
        //@ assert lock_free(&to->lock);
        //@ assert channel_usable(to, space);
        /*@ assert \forall integer i; 0 <= i < CHANNEL_MESSAGE_MAXIMUM ==>
              to->slot.page[i] == \at(to->slot.page[i], Sent); */
        //@ assert bytes == 0 ==> channel_untouched{Pre, Here}(to);
        //@ assert bytes > 0 ==> channel_stored{Pre, Here}(to, buffer, bytes);
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
