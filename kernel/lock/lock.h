// SPDX-License-Identifier: MIT
// Locks: first come, first served. The kernel runs with interrupts off, so a holder is never
// preempted; a lock is held for a bounded number of steps and never across a sleep.
// The build picks the files behind this interface:
//   ticket_lock.c or mcs_lock.c    how CPUs queue (-D GATEHOUSE_LOCK=ticket|mcs)
//   lock_plain.c or lock_checked.c whether order, holders and hold times are watched
//                                  (-D GATEHOUSE_CHECKED=ON)
// LTO inlines lock and unlock; neither choice is visible to a caller.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

// The lock order: a CPU that holds a lock only takes locks with a larger rank. Serial is also taken
// by interrupts, in interrupt windows that may open under ranks 4 and 5.
enum lock_rank {
    LOCK_NEVER_INITIALIZED = 0,
    LOCK_PROCESS_TREE = 1,   // kernel/process/process.c: parent links, states, ends
    LOCK_PROCESS = 2,        // struct process: handle table
    LOCK_CHANNEL = 3,        // struct channel: slot, waiting senders, binding
    LOCK_VM = 4,             // struct vm: grants, vCPU list
    LOCK_ADDRESS_SPACE = 5,  // struct address_space: regions and page tables
    LOCK_STACKS = 6,         // kernel/thread/stack.c: stack slots and their tables
    LOCK_SERIAL = 7,         // kernel/core/calls_serial.c: ports and who is bound to them
    LOCK_CONTAINERS = 8,     // struct container_tree: quotas
    LOCK_PAGE_ALLOCATOR = 9, // struct page_allocator: free pages and owners
    LOCK_WAKE_QUEUE = 10,    // struct wake_queue: threads woken by other CPUs
    LOCK_LOG = 11,           // kernel/core/log.c: the log ring and its serial port
    LOCK_RANK_COUNT
};

struct lock {
    // The line of CPUs. A lock is free when all of it but the rank is zero at first; what the two
    // words hold after that, ticket_lock.c and mcs_lock.c say.
    _Atomic uint64_t last;
    _Atomic uint64_t turn;
    uint32_t rank; // constant

    // Checked builds; written by the holder.
    uint32_t holder; // CPU index + 1; 0: free
    uint64_t since;  // TSC
};

#define LOCK_INITIAL(rank)                                                                         \
    {                                                                                              \
        0, 0, (rank), 0, 0                                                                         \
    }

/*@
  // What one processor sees of a ticket lock that no other one draws tickets of meanwhile.
  predicate lock_free(struct lock *lock) = lock->last == lock->turn;
  predicate lock_held(struct lock *lock) = lock->last == (uint64_t)(lock->turn + 1);
*/

// Gives the lock of a zeroed object its place in the order.
/*@
  requires \valid(lock);
  terminates \true;
  assigns lock->rank;
  ensures lock->rank == rank;
*/
static inline void lock_initialize(struct lock *lock, enum lock_rank rank)
{
    lock->rank = rank;
}

// Waits for the lock and takes it.
/*@
  requires \valid(lock) && lock_free(lock);
  terminates \true;
  assigns lock->last;
  ensures lock_held(lock) && lock->turn == \old(lock->last);
*/
void lock_acquire(struct lock *lock);

// Frees the lock that this CPU holds and publishes all it wrote to the next holder.
/*@
  requires \valid(lock) && lock_held(lock);
  terminates \true;
  assigns lock->turn;
  ensures lock_free(lock) && lock->turn == (uint64_t)(\old(lock->turn) + 1);
*/
void lock_release(struct lock *lock);

// One turn of a loop that waits for another CPU to let go (lock_wait.c): what this CPU has to do
// meanwhile is done there.
/*@ terminates \true; assigns \nothing; */
void lock_wait(void);

// What a checked build watches; nothing in a plain one. The first three are called by the lock
// itself: before it waits, once it has the lock, and before it lets go.
/*@ terminates \true; assigns \nothing; */
void lock_note_wait(const struct lock *lock);
/*@ terminates \true; assigns \nothing; */
void lock_note_own(struct lock *lock);
/*@ terminates \true; assigns \nothing; */
void lock_note_release(struct lock *lock);

// This CPU is about to leave the kernel's code or the running thread: it must hold no lock.
void lock_note_none_held(void);

// Logs for each rank how often and for how many ticks at the longest its locks were held.
void lock_report(void);
