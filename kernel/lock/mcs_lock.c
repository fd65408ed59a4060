// SPDX-License-Identifier: MIT
// The MCS lock: each waiting CPU spins on a word of its own. It waits for one lock at a time, and
// the holder's place in the line is the lock itself, so one record for each CPU is enough. Records
// are not on stacks: other CPUs write them, and a stack's address may be an older stack's to them.
// A link is the word in which the next comer announces itself: `turn` of the lock for the holder,
// `next` for one who waits. `last` holds the address of the last link of the line, 0: free.
#include "kernel/lock/lock.h"
#include <stdbool.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/core/event_log.h"
#include "kernel/lib/compiler.h"
#include "kernel/lock/mcs_lock_cpu.h"

struct waiter {
    _Atomic uint64_t next; // address of the waiter behind; 0: nobody has come yet
    _Atomic bool has_turn;
};

static struct waiter waiters[CPU_MAXIMUM];

static uint64_t link_of(const _Atomic uint64_t *word)
{
    return (uint64_t)(uintptr_t)word;
}

// Who comes behind a link that is not the last any more; the comer writes it at once.
static uint64_t await_next(const _Atomic uint64_t *link)
{
    uint64_t next;

    while ((next = atomic_load_explicit(link, memory_order_acquire)) == 0) {
        lock_wait();
    }
    return next;
}

// Moves the end of the line from one link to another one, or frees the lock (to = 0), unless
// somebody is behind `from`.
static inline bool replace_last(struct lock *lock, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong_explicit(&lock->last, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static __attribute__((noinline)) void wait_in_line(struct lock *lock)
{
    struct waiter *self = &waiters[mcs_lock_cpu()];

    atomic_store_explicit(&self->next, 0, memory_order_relaxed);
    atomic_store_explicit(&self->has_turn, false, memory_order_relaxed);
    uint64_t before =
        atomic_exchange_explicit(&lock->last, link_of(&self->next), memory_order_acq_rel);

    if (before != 0) {
        event_log_of(EVENT_WAIT, lock, EVENT_NO_TICKET, lock->rank);
        // Pairs with await_next of the one in front.
        atomic_store_explicit((_Atomic uint64_t *)(uintptr_t)before, (uint64_t)(uintptr_t)self,
                              memory_order_release);
        while (!atomic_load_explicit(&self->has_turn, memory_order_acquire)) {
            lock_wait();
        }
    }
    // It holds the lock now. The lock takes over the place of `self`, which ends with this call.
    atomic_store_explicit(&lock->turn, 0, memory_order_relaxed);
    if (!replace_last(lock, link_of(&self->next), link_of(&lock->turn))) {
        atomic_store_explicit(&lock->turn, await_next(&self->next), memory_order_relaxed);
    }
}

static __attribute__((noinline)) void pass_on(struct lock *lock)
{
    struct waiter *next = (struct waiter *)(uintptr_t)await_next(&lock->turn);

    atomic_store_explicit(&next->has_turn, true, memory_order_release);
}

inline void lock_acquire(struct lock *lock)
{
    lock_note_wait(lock);
    if (UNLIKELY(!replace_last(lock, 0, link_of(&lock->turn)))) {
        wait_in_line(lock);
    }
    event_log_of(EVENT_OWN, lock, EVENT_NO_TICKET, lock->rank);
    lock_note_own(lock);
}

inline void lock_release(struct lock *lock)
{
    lock_note_release(lock);
    event_log_of(EVENT_RELEASE, lock, EVENT_NO_TICKET, 0);
    if (UNLIKELY(!replace_last(lock, link_of(&lock->turn), 0))) {
        pass_on(lock);
    }
}
