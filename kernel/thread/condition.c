// SPDX-License-Identifier: MIT
// Condition variables (thread.h). Guarded by the lock of what they belong to.
#include "kernel/core/event_log.h"
#include "kernel/thread/scheduler.h"

struct condition_waiter {
    struct queue_node node;
    struct thread *thread;
    bool woken; // condition_wake_one chose it
};

bool condition_wait(struct condition *condition, struct lock *lock)
{
    struct condition_waiter waiter = {.thread = current_thread()};

    queue_push(&condition->waiters, &waiter.node);
    while (!waiter.woken && !thread_killed()) {
        // A waker takes the lock after this, and so finds the thread asleep.
        waiter.thread->state = THREAD_SLEEPING;
        event_log_of(EVENT_SLEEP, condition, (uint64_t)(uintptr_t)lock, 0);
        lock_release(lock);
        scheduler_switch(this_scheduler());
        lock_acquire(lock);
    }
    event_log_of(EVENT_WAITED, condition, waiter.woken, 0);
    queue_remove(&waiter.node);
    return waiter.woken;
}

bool condition_wake_one(struct condition *condition)
{
    struct queue_node *node = queue_pop(&condition->waiters);

    if (!node) {
        return false;
    }
    struct condition_waiter *waiter = CONTAINER_OF(node, struct condition_waiter, node);
    waiter->woken = true;
    event_log_of(EVENT_CHOOSE, condition, waiter->thread->number, 0);
    thread_wake(waiter->thread);
    return true;
}

void condition_wake_all(struct condition *condition)
{
    while (condition_wake_one(condition)) {
    }
}
