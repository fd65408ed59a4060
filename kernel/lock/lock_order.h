// SPDX-License-Identifier: MIT
// The bookkeeping of checked builds, as pure functions: which locks one CPU holds, and for how long
// the locks of each rank were held. Host-tested; lock_checked.c keeps one of these for each CPU.
#pragma once

#include <stdbool.h>
#include "kernel/lock/lock.h"

struct lock_watch {
    struct lock *held[LOCK_RANK_COUNT]; // in rising rank
    uint32_t held_count;
    uint64_t count[LOCK_RANK_COUNT];   // acquisitions
    uint64_t longest[LOCK_RANK_COUNT]; // TSC ticks
};

// True when a CPU that holds what `watch` says may take `lock`: its rank is known and larger than
// any rank held.
bool lock_watch_allows(const struct lock_watch *watch, const struct lock *lock);

// The CPU `holder` - 1 has taken the lock at `now`, as lock_watch_allows said it may.
void lock_watch_own(struct lock_watch *watch, struct lock *lock, uint32_t holder, uint64_t now);

// The CPU lets go. False when it does not hold the lock.
bool lock_watch_release(struct lock_watch *watch, struct lock *lock, uint64_t now);
