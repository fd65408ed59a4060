// SPDX-License-Identifier: MIT
// The ticket lock. `last` is the ticket that the next comer draws, `turn` the one that holds the
// lock; the lock is free when both are equal.
#include "kernel/lock/lock.h"
#include "kernel/core/event_log.h"

// Apart, so that taking a free lock is little enough to be inlined everywhere.
/*@
  requires \valid_read(lock) && lock->turn == ticket;
  terminates \true;
  assigns \nothing;
*/
static RARELY_CALLED void wait_for_turn(const struct lock *lock, uint64_t ticket)
{
    event_log_of(EVENT_WAIT, lock, ticket, lock->rank);
    // The loads pair with the release store of lock_release.
    /*@
      loop invariant lock->turn == ticket;
      loop assigns \nothing;
      loop variant (uint64_t)(ticket - lock->turn);
    */
    while (atomic_load_explicit(&lock->turn, memory_order_acquire) != ticket) {
        lock_wait();
    }
}

ALWAYS_INLINE void lock_acquire(struct lock *lock)
{
    lock_note_wait(lock);
    uint64_t ticket = atomic_fetch_add_explicit(&lock->last, 1, memory_order_relaxed);

    if (UNLIKELY(atomic_load_explicit(&lock->turn, memory_order_acquire) != ticket)) {
        wait_for_turn(lock, ticket);
    }
    event_log_of(EVENT_OWN, lock, ticket, lock->rank);
    lock_note_own(lock);
}

ALWAYS_INLINE void lock_release(struct lock *lock)
{
    lock_note_release(lock);
    uint64_t ticket = atomic_load_explicit(&lock->turn, memory_order_relaxed);

    event_log_of(EVENT_RELEASE, lock, ticket, 0);
    atomic_store_explicit(&lock->turn, ticket + 1, memory_order_release);
}
