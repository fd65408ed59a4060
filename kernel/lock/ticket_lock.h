// SPDX-License-Identifier: MIT
// The ticket lock: first come, first served. Every lock of the kernel is one of these.
// The kernel runs with interrupts off, so a holder is never preempted; a lock is held for a bounded
// number of steps and never across a sleep.
//
// Lock order (a CPU that holds a lock only takes locks with a larger number):
//   1 process tree   kernel/process/process.c   parent links, states, ends
//   2 process        struct process             handle table
//   3 channel        struct channel             slot, waiting senders, binding
//   4 VM             kernel/vm                   grants, vCPU list
//   5 address space  struct address_space       regions and page tables
//   6 kernel stacks  kernel/thread/stack.c      stack slots and their tables
//   7 serial         kernel/core/calls_serial.c ports and who is bound to them
//   8 container tree struct container_tree      quotas
//   9 page allocator struct page_allocator      free pages and owners
//  10 wake queue     struct scheduler           threads woken by other CPUs
//  11 log            kernel/core/log.c          the log ring and its serial port
// Serial is also taken by interrupts, in interrupt windows that may open under locks 4 and 5.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct ticket_lock {
    _Atomic uint32_t next;    // the ticket that the next comer draws
    _Atomic uint32_t serving; // the ticket that holds the lock
};

#define TICKET_LOCK_INITIAL                                                                        \
    {                                                                                              \
        0, 0                                                                                       \
    }

/*@
  // What one processor sees of a lock that no other one draws tickets of meanwhile.
  predicate ticket_lock_free(struct ticket_lock *lock) = lock->next == lock->serving;
  predicate ticket_lock_held(struct ticket_lock *lock) =
    lock->next == (uint32_t)(lock->serving + 1);
*/

// Waits for the lock. The acquire load pairs with the release store in ticket_lock_release.
/*@
  requires \valid(lock) && ticket_lock_free(lock);
  terminates \true;
  assigns lock->next;
  ensures ticket_lock_held(lock) && lock->serving == \old(lock->next);
*/
static inline void ticket_lock_acquire(struct ticket_lock *lock)
{
    uint32_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);

    /*@
      loop invariant lock->serving == ticket;
      loop assigns \nothing;
      loop variant (uint32_t)(ticket - lock->serving);
    */
    while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket) {
        __builtin_ia32_pause();
    }
}

// Frees the lock that this CPU holds and publishes all it wrote to the next holder.
/*@
  requires \valid(lock) && ticket_lock_held(lock);
  terminates \true;
  assigns lock->serving;
  ensures ticket_lock_free(lock) && lock->serving == (uint32_t)(\old(lock->serving) + 1);
*/
static inline void ticket_lock_release(struct ticket_lock *lock)
{
    uint32_t ticket = atomic_load_explicit(&lock->serving, memory_order_relaxed);

    atomic_store_explicit(&lock->serving, ticket + 1, memory_order_release);
}
