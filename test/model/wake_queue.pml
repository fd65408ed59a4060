/* SPDX-License-Identifier: MIT
 *
 * Waking threads that belong to another processor: WAKERS processors each set an event bit of POSTS of
 * THREADS threads, freely chosen, and post the thread to the wake queue of its processor unless
 * it is there already, with an IPI. The owner runs its threads, which sleep when they find no event, and
 * halts when none is ready; its kernel runs with interrupts off, so an IPI only ends the halt.
 * What is done under the queue's lock is one step: ticket_lock.pml shows that nobody comes between.
 * Checked: every event is seen (no lost wake-up, no deadlock), a thread is in the run queue at most once.
 *
 * The twins that must fail: -DBROKEN_LINKS lets a thread be posted again before its link in the list
 * that was taken has been read; -DBROKEN_CLEAR forgets the wake-up that comes between taking the queue
 * and waking, because it clears the mark afterwards; -DBROKEN_HALT halts with an IPI taken before.
 */
#define WAKERS 2
#define THREADS 3
#define POSTS 2
#define NOBODY 0 /* threads are 1 .. THREADS */

byte events[THREADS + 1]; /* thread.events, a bit per waker */
byte seen = 0;
bool sleeping[THREADS + 1];
bool ready[THREADS + 1];
bool wake_pending[THREADS + 1];
byte next_woken[THREADS + 1];
byte woken = NOBODY; /* wake_queue.first */
bool ipi = false;

proctype waker(byte mark)
{
    bool posted[THREADS + 1];
    bool pending;
    byte t, count = 0;

    do
    :: count < POSTS ->
        atomic {
            if
            :: !posted[1] -> t = 1
            :: !posted[2] -> t = 2
            :: !posted[3] -> t = 3
            fi;
            posted[t] = true;
            /* kernel/thread/thread.c: atomic_fetch_or_explicit(&thread->events, bits & THREAD_EVENT_MASK, memory_order_release); thread_wake(thread); */
            events[t] = events[t] | mark
        };
        atomic { /* under the queue's lock */
            /* kernel/thread/wake_queue.c: bool pending = thread->wake_pending; if (!pending) { thread->wake_pending = true; */
            pending = wake_pending[t];
            if
            :: !pending ->
                wake_pending[t] = true;
                /* kernel/thread/wake_queue.c: thread->next_woken = atomic_load_explicit(&queue->first, memory_order_relaxed); */
                next_woken[t] = woken;
                woken = t
            :: else -> skip
            fi
        };
        if
        /* kernel/thread/thread.c: if (wake_queue_post(&scheduler_of(thread->cpu)->woken, thread)) { local_apic_send(cpu_of(thread->cpu)->apic_id, INTERRUPT_WAKE); */
        :: !pending -> ipi = true
        :: else -> skip
        fi;
        t = NOBODY;
        pending = false;
        count++
    :: else -> break
    od
}

/* thread_wake on the thread's own processor */
inline wake(t)
{
    d_step {
        if
        :: sleeping[t] -> sleeping[t] = false; assert(!ready[t]); ready[t] = true
        :: else -> skip
        fi
    }
}

/* run_woken */
inline run_woken()
{
    /* kernel/thread/wake_queue.c: struct thread *first = atomic_load_explicit(&queue->first, memory_order_relaxed); atomic_store_explicit(&queue->first, NULL, memory_order_relaxed); */
    atomic { /* under the queue's lock */
        thread = woken;
        woken = NOBODY;
#ifdef BROKEN_LINKS
        each = thread;
        do
        :: each != NOBODY -> wake_pending[each] = false; each = next_woken[each]
        :: else -> break
        od
#endif
    };
    do
    :: thread != NOBODY ->
#ifdef BROKEN_CLEAR
        wake(thread);
        each = next_woken[thread];
        if
        :: ready[thread] -> run_thread(thread)
        :: else -> skip
        fi;
        wake_pending[thread] = false;
#else
        /* kernel/thread/wake_queue.c: struct thread *next = thread->next_woken; */
        each = next_woken[thread];
#ifndef BROKEN_LINKS
        /* kernel/thread/wake_queue.c: thread->wake_pending = false; */
        wake_pending[thread] = false;
#endif
        /* kernel/thread/scheduler.c: thread_wake(thread); */
        wake(thread);
#endif
        thread = each;
        each = NOBODY
    :: else -> break
    od
}

/* A thread takes its events until there are none, then sleeps. */
inline run_thread(t)
{
    ready[t] = false;
    do
    /* kernel/thread/thread.c: return atomic_exchange_explicit(&thread->events, 0, memory_order_acquire); */
    :: d_step { events[t] != 0 ->
        seen = seen + (events[t] & 1) + (events[t] >> 1);
        events[t] = 0 }
    :: d_step { events[t] == 0 -> skip };
        /* kernel/thread/thread.c: scheduler->running->state = THREAD_SLEEPING; event_log(EVENT_SLEEP, 0, 0, 0); scheduler_switch(scheduler); */
        sleeping[t] = true;
        break
    od
}

active proctype owner()
{
    byte thread, each;

    do
    :: seen < WAKERS * POSTS ->
        if
        /* kernel/thread/scheduler.c: if (wake_queue_holds(&scheduler->woken)) { run_woken(scheduler); } */
        :: woken != NOBODY -> run_woken()
        :: woken == NOBODY -> skip
        fi;
        if
        :: ready[1] -> run_thread(1)
        :: ready[2] -> run_thread(2)
        :: ready[3] -> run_thread(3)
        :: !ready[1] && !ready[2] && !ready[3] && seen < WAKERS * POSTS ->
#ifdef BROKEN_HALT
            ipi = false;
#endif
            /* kernel/thread/scheduler.c: scheduler_arm_timer(); wait_for_interrupt(); */
            atomic { ipi -> ipi = false }
        :: !ready[1] && !ready[2] && !ready[3] && seen == WAKERS * POSTS -> skip
        fi
    :: else -> break
    od
}

init {
    atomic {
        sleeping[1] = true;
        sleeping[2] = true;
        sleeping[3] = true; run waker(1); run waker(2) }
}
