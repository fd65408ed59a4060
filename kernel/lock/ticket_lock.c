// SPDX-License-Identifier: MIT
// The ticket lock. `last` is the ticket that the next comer draws, `turn` the one that holds the
// lock; the lock is free when both are equal.
#include "kernel/lock/lock.h"

inline void lock_acquire(struct lock *lock)
{
    lock_note_wait(lock);
    uint64_t ticket = atomic_fetch_add_explicit(&lock->last, 1, memory_order_relaxed);

    // Pairs with the release store of lock_release.
    /*@
      loop invariant lock->turn == ticket;
      loop assigns \nothing;
      loop variant (uint64_t)(ticket - lock->turn);
    */
    while (atomic_load_explicit(&lock->turn, memory_order_acquire) != ticket) {
        lock_wait();
    }
    lock_note_own(lock);
}

inline void lock_release(struct lock *lock)
{
    lock_note_release(lock);
    uint64_t ticket = atomic_load_explicit(&lock->turn, memory_order_relaxed);

    atomic_store_explicit(&lock->turn, ticket + 1, memory_order_release);
}
