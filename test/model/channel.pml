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
 *
 * The receiver waits as in channel_exchange: it looks at the count without the lock, and sleeps where
 * there is none. A sender wakes it through the wake queue of its processor, or, on the same one (the
 * first sender is there), later, before that processor does anything else. What is in the queue is
 * taken while the receiver sleeps, or between two of its calls: then it is not asleep, and nothing
 * happens. -DBROKEN_RECEIVER is the twin whose processor serves the queue between the look and the
 * sleep.
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
bool receiver_asleep = false; /* its thread.state == THREAD_SLEEPING */
bool receiver_queued = false; /* its thread.wake_pending */
bool cpu_taken = false;       /* its processor runs it or the first sender in the kernel */
byte handed = SENDERS;  /* the sender that owns a slot handed over; SENDERS: nobody */

inline lock()   { atomic { !locked -> locked = true } }
inline enter_cpu() { atomic { !cpu_taken -> cpu_taken = true } } /* interrupts are off from here */
inline leave_cpu() { assert(cpu_taken); cpu_taken = false }
inline enter_own(who) { if :: who == 0 -> enter_cpu() :: who != 0 -> skip fi }
inline leave_own(who) { if :: who == 0 -> leave_cpu() :: who != 0 -> skip fi }
inline unlock() { assert(locked); locked = false }

proctype sender(byte me)
{
    byte number = 0;

    do
    :: number < MESSAGES ->
        enter_own(me);
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
                leave_own(me);
                !asleep[me];
                enter_own(me);
                lock()
            od;
            assert(handed == me);
            handed = SENDERS
        fi;
        assert(busy && count == 0);
        /* kernel/ipc/channel.c: channel_slot_store(&channel->slot, source->count); */
        content_sender = me;
        content_number = number;
        count = 1;
        if
        /* kernel/ipc/channel.c: if (thread && thread->cpu == this_cpu()->id) { *later = thread; */
        :: me == 0 -> skip
        /* kernel/ipc/channel.c: } else if (thread) { thread_wake(thread); */
        :: me != 0 -> receiver_queued = true
        fi;
        unlock();
        if
        /* kernel/thread/thread.c: if (scheduler_hand_over(scheduler, next)) { return; } thread_wake(next); */
        :: me == 0 -> receiver_asleep = false; leave_cpu()
        :: me != 0 -> skip
        fi;
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

/* The receiver's processor serves its wake queue where interrupts are on: between two calls, or while
 * nobody runs there. */
active proctype receiver_queue()
{
end:
    do
    :: atomic { receiver_queued && !cpu_taken ->
        receiver_queued = false;
        receiver_asleep = false }
    od
}

active proctype receiver()
{
    byte who;

    do
    :: received < SENDERS * MESSAGES ->
        enter_cpu();
        do
        /* kernel/ipc/channel.c: while (!channel_slot_full(&channel->slot)) { */
        :: count > 0 -> break
        :: else ->
#ifdef BROKEN_RECEIVER
            leave_cpu(); /* interrupts on, between the look and the sleep */
            enter_cpu();
#endif
            /* kernel/thread/thread.c: scheduler->running->state = THREAD_SLEEPING; */
            receiver_asleep = true;
            leave_cpu();
            !receiver_asleep;
            enter_cpu()
        od;
        lock();
        if
        :: count > 0 ->
            assert(content_number == expected[content_sender]);
            expected[content_sender]++;
            received++;
            count = 0;
            if
            /* kernel/ipc/channel.c: channel_slot_finish(&channel->slot, wake_sender(channel)); */
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
        unlock();
        leave_cpu()
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
