// SPDX-License-Identifier: MIT
// Locks of a checked build: a lock taken against the order, twice, or given back by somebody else
// stops the machine, and so does a sleep or a way to ring 3 or a guest with a lock held. The twin
// is lock_plain.c.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/lock/lock_order.h"

// Written by its own CPU only.
static struct lock_watch watches[CPU_MAXIMUM];

static const char *const names[LOCK_RANK_COUNT] = {
    [LOCK_PROCESS_TREE] = "process-tree",
    [LOCK_PROCESS] = "process",
    [LOCK_CHANNEL] = "channel",
    [LOCK_VM] = "vm",
    [LOCK_ADDRESS_SPACE] = "address-space",
    [LOCK_STACKS] = "stacks",
    [LOCK_SERIAL] = "serial",
    [LOCK_CONTAINERS] = "containers",
    [LOCK_PAGE_ALLOCATOR] = "page-allocator",
    [LOCK_WAKE_QUEUE] = "wake-queue",
    [LOCK_LOG] = "log",
};

static struct lock_watch *this_watch(void)
{
    return &watches[this_cpu()->id];
}

// The largest rank that this CPU holds; 0: none.
static uint32_t rank_held(const struct lock_watch *watch)
{
    return watch->held_count ? watch->held[watch->held_count - 1]->rank : 0;
}

void lock_note_wait(const struct lock *lock)
{
    const struct lock_watch *watch = this_watch();

    if (!lock_watch_allows(watch, lock)) {
        panic("lock order: CPU %u wants rank %u and holds rank %u", this_cpu()->id, lock->rank,
              rank_held(watch));
    }
}

void lock_note_own(struct lock *lock)
{
    lock_watch_own(this_watch(), lock, this_cpu()->id + 1, tsc_read());
}

void lock_note_release(struct lock *lock)
{
    if (lock_watch_release(this_watch(), lock, tsc_read())) {
        return;
    }
    if (lock->holder == 0) {
        panic("CPU %u releases a lock of rank %u that no CPU holds", this_cpu()->id, lock->rank);
    }
    panic("CPU %u releases a lock of rank %u that CPU %u holds", this_cpu()->id, lock->rank,
          lock->holder - 1);
}

void lock_note_none_held(void)
{
    const struct lock_watch *watch = this_watch();

    if (watch->held_count) {
        panic("CPU %u still holds a lock of rank %u", this_cpu()->id, rank_held(watch));
    }
}

void lock_report(void)
{
    for (uint32_t rank = 1; rank < LOCK_RANK_COUNT; rank++) {
        uint64_t count = 0;
        uint64_t longest = 0;

        for (uint32_t cpu = 0; cpu < CPU_MAXIMUM; cpu++) {
            const struct lock_watch *watch = &watches[cpu];

            count += watch->count[rank];
            longest = watch->longest[rank] > longest ? watch->longest[rank] : longest;
        }
        log_line(LOG_MACHINE, "lock %s: held %lu times, %lu ticks at the longest", names[rank],
                 count, longest);
    }
}
