// SPDX-License-Identifier: MIT
// What a CPU does while it waits for a lock: work that other CPUs may be waiting for themselves
// while they hold it belongs here.
#include "kernel/lock/lock.h"

void lock_wait(void)
{
    __builtin_ia32_pause();
}
