// SPDX-License-Identifier: MIT
// Locks of a plain build: nobody watches them. The twin is lock_checked.c.
#include "kernel/lock/lock.h"

void lock_note_wait(const struct lock *lock)
{
    (void)lock;
}

void lock_note_own(struct lock *lock)
{
    (void)lock;
}

void lock_note_release(struct lock *lock)
{
    (void)lock;
}

void lock_note_none_held(void)
{
}

void lock_report(void)
{
}
