// SPDX-License-Identifier: MIT
// Lock order and hold times of one CPU (lock_order.h).
#include "kernel/lock/lock_order.h"

bool lock_watch_allows(const struct lock_watch *watch, const struct lock *lock)
{
    if (lock->rank == LOCK_NEVER_INITIALIZED || lock->rank >= LOCK_RANK_COUNT) {
        return false;
    }
    return watch->held_count == 0 || watch->held[watch->held_count - 1]->rank < lock->rank;
}

void lock_watch_own(struct lock_watch *watch, struct lock *lock, uint32_t holder, uint64_t now)
{
    lock->holder = holder;
    lock->since = now;
    watch->held[watch->held_count++] = lock;
    watch->count[lock->rank]++;
}

bool lock_watch_release(struct lock_watch *watch, struct lock *lock, uint64_t now)
{
    uint32_t at = 0;

    while (at < watch->held_count && watch->held[at] != lock) {
        at++;
    }
    if (at == watch->held_count) {
        return false;
    }
    watch->held_count--;
    for (; at < watch->held_count; at++) {
        watch->held[at] = watch->held[at + 1];
    }
    if (now - lock->since > watch->longest[lock->rank]) {
        watch->longest[lock->rank] = now - lock->since;
    }
    lock->holder = 0;
    return true;
}
