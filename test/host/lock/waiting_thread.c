// SPDX-License-Identifier: MIT
// Threads in the place of CPUs: how one waits for a lock, and its number.
#include <sched.h>
#include <stdatomic.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/lock/lock.h"
#include "kernel/lock/mcs_lock_cpu.h"

// Threads that wait had better let the holder run.
void lock_wait(void)
{
    sched_yield();
}

// Those that live at a time have different numbers.
uint32_t mcs_lock_cpu(void)
{
    static _Atomic uint32_t threads;
    static _Thread_local uint32_t number;

    if (number == 0) {
        number = 1 + atomic_fetch_add(&threads, 1) % CPU_MAXIMUM;
    }
    return number - 1;
}
