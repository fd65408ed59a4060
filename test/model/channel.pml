/* SPDX-License-Identifier: MIT
 *
 * The channel of kernel/ipc/channel.c with its slot (channel_slot.c), its condition of waiting
 * senders (kernel/thread) and cross-CPU wake-ups, for SENDERS senders and one receiver, each on a
 * processor of its own. The channel lock is taken as proved by ticket_lock.pml.
 * Checked: messages are neither lost nor doubled and keep each sender's order, a sleeping sender is
 * always woken (no lost wake-up), the slot passes straight to the woken sender, no deadlock.
 *
 * A sender that finds the slot taken publishes "asleep" before it frees the lock; the receiver wakes
 * it through its processor's wake queue. -DBROKEN is the twin that must fail: it frees the lock
 * first and goes to sleep afterwards, so that the wake-up in between finds nobody asleep.
 */
#define SENDERS 3
#define MESSAGES 2 /* per sender */

bool locked = false;
bool busy = false;     /* channel_slot.busy */
byte count = 0;        /* channel_slot.count: 0 or 1 message */
byte content_sender = 0;
byte content_number = 0;

bool asleep[SENDERS];      /* thread.state == THREAD_SLEEPING */
bool woken[SENDERS];       /* condition_waiter.woken */
bool wake_queued[SENDERS]; /* thread.wake_pending on its CPU's wake queue */
chan waiters = [SENDERS] of { byte }; /* condition.waiters */

byte expected[SENDERS]; /* the number of the next message of each sender */
byte received = 0;
byte handed = SENDERS;  /* the sender that owns a slot handed over; SENDERS: nobody */

inline lock()   { atomic { !locked -> locked = true } }
inline unlock() { assert(locked); locked = false }

proctype sender(byte me)
{
    byte number = 0;

    do
    :: number < MESSAGES ->
        lock();
        if
        /* kernel/ipc/channel_slot.c: if (slot->busy) { return false; } slot->busy = 1; return true; */
        :: !busy -> busy = true
        :: else ->
            /* kernel/thread/condition.c: queue_push(&condition->waiters, &waiter.node); */
            waiters ! me;
            woken[me] = false;
            do
            :: woken[me] -> break
            :: else ->
                /* kernel/thread/condition.c: waiter.thread->state = THREAD_SLEEPING; */
                /* kernel/thread/condition.c: lock_release(lock); scheduler_switch(this_scheduler()); lock_acquire(lock); */
#ifdef BROKEN
                unlock();
                asleep[me] = true;
#else
                asleep[me] = true;
                unlock();
#endif
                /* off the CPU; only this CPU takes the thread out of its sleep, from its wake queue */
                !asleep[me];
                lock()
            od;
            assert(handed == me);
            handed = SENDERS
        fi;
        assert(busy && count == 0);
        /* kernel/ipc/channel.c: channel_slot_store(&channel->slot, count); */
        content_sender = me;
        content_number = number;
        count = 1;
        unlock();
        number++
    :: else -> break
    od
}

/* The processor of a sender serves its wake queue on an interrupt. */
proctype wake_queue(byte target)
{
end:
    do
    :: atomic { wake_queued[target] ->
        wake_queued[target] = false;
        asleep[target] = false } /* only a sleeping thread changes: others are left as they are */
    od
}

active proctype receiver()
{
    byte who;

    do
    :: received < SENDERS * MESSAGES ->
        count > 0; /* its event bit: a message is there */
        lock();
        if
        :: count > 0 ->
            assert(content_number == expected[content_sender]);
            expected[content_sender]++;
            received++;
            count = 0;
            if
            /* kernel/ipc/channel.c: channel_slot_finish(&channel->slot, condition_wake_one(&channel->senders)); */
            :: waiters ? who ->
                /* kernel/thread/condition.c: waiter->woken = true; */
                woken[who] = true;
                /* kernel/thread/thread.c: } else if (thread->state == THREAD_SLEEPING) { */
                if
                :: asleep[who] -> wake_queued[who] = true
                :: else -> skip
                fi;
                assert(handed == SENDERS);
                handed = who /* busy stays: the slot is the sender's */
            :: empty(waiters) -> busy = false
            fi
        :: else -> skip
        fi;
        unlock()
    :: else -> break
    od;
    assert(!busy && count == 0)
}

init {
    byte i = 0;
    atomic {
        do
        :: i < SENDERS -> run sender(i); run wake_queue(i); i++
        :: else -> break
        od
    }
}
