/* SPDX-License-Identifier: MIT
 *
 * Waking a thread that belongs to another processor (kernel/thread): each waker sets an event bit,
 * puts the thread on the wake queue of its processor unless it is queued already, and sends an
 * IPI when the queue was empty. The owner sleeps only if it sees no event bit, and serves its wake
 * queue when the IPI arrives.
 * Checked for WAKERS processors: every event is seen (no lost wake-up), the thread is queued at most
 * once, no deadlock.
 *
 * -DBROKEN is the twin that must fail: the owner looks for events with interrupts on and becomes
 * asleep in a later step, so that an IPI in between is served too early.
 */
#define WAKERS 3

bool event[WAKERS];      /* thread.events, a bit per waker */
byte seen = 0;           /* events the thread has taken */
bool asleep = false;     /* thread.state == THREAD_SLEEPING */
bool ready = true;       /* thread.state == THREAD_READY or RUNNING */
byte queued = 0;         /* how often the thread is in the wake queue */
bool wake_pending = false;
bool queue_lock = false;
bool ipi = false;        /* an interrupt is pending at the owner */
bool interrupts = false; /* the owner's interrupt flag */

inline lock()   { atomic { !queue_lock -> queue_lock = true } }
inline unlock() { queue_lock = false }

proctype waker(byte me)
{
    bool first;

    event[me] = true; /* atomic_fetch_or(&thread->events, bits) */
    lock();
    first = (queued == 0);
    if
    :: !wake_pending -> wake_pending = true; queued++
    :: else -> first = false
    fi;
    unlock();
    if
    :: first -> ipi = true
    :: else -> skip
    fi
}

/* The interrupt handler: takes the whole queue; a sleeping thread becomes ready. */
inline serve()
{
    ipi = false;
    lock();
    assert(queued <= 1);
    if
    :: queued > 0 -> queued = 0; wake_pending = false
    :: else -> skip
    fi;
    unlock();
    if
    :: asleep -> asleep = false
    :: else -> skip
    fi
}

inline take_events()
{
    i = 0;
    do
    :: i < WAKERS ->
        atomic {
            if
            :: event[i] -> event[i] = false; seen++; found = true
            :: else -> skip
            fi
        };
        i++
    :: else -> break
    od
}

active proctype owner()
{
    byte i;
    bool found;

    do
    :: seen < WAKERS ->
        found = false;
        take_events();
        if
        :: found -> skip
        :: else ->
#ifdef BROKEN
            if
            :: ipi -> serve()
            :: true -> skip
            fi;
            asleep = true;
#else
            asleep = true; /* interrupts are off from the look at the events to here */
            /* the bits are looked at once more after the state was published */
            i = 0;
            do
            :: i < WAKERS ->
                if
                :: event[i] -> asleep = false
                :: else -> skip
                fi;
                i++
            :: else -> break
            od;
#endif
            /* idle: sti; hlt */
            do
            :: asleep -> ipi; serve()
            :: else -> break
            od
        fi
    :: else -> break
    od
}

init {
    byte w = 0;
    atomic {
        do
        :: w < WAKERS -> run waker(w); w++
        :: else -> break
        od
    }
}
