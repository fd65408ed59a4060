// SPDX-License-Identifier: MIT
// Condition variables (thread.h). Guarded by the lock of what they belong to.
#include "kernel/core/event_log.h"
#include "kernel/thread/scheduler.h"

struct condition_waiter {
    struct queue_node node;
    struct thread *thread;
    bool woken; // condition_wake_one chose it
};

/*@
  axiomatic waiters { logic struct condition_waiter *waiter_at(struct queue_node *node); }

  // The first of the queue is the node of a waiter, whose thread sleeps.
  predicate condition_first_valid{L}(struct condition *condition) =
    \valid(condition) && queue_ends(&condition->waiters) &&
    (condition->waiters.head != \null ==>
       queue_holds(&condition->waiters, condition->waiters.head) &&
       &waiter_at(condition->waiters.head)->node == condition->waiters.head &&
       \valid(waiter_at(condition->waiters.head)) &&
       \separated(condition, waiter_at(condition->waiters.head)) &&
       \separated(waiter_at(condition->waiters.head), condition->waiters.head->next) &&
       \valid_read(waiter_at(condition->waiters.head)->thread));
*/

// Trusted: whose node it is.
/*@
  terminates \true;
  assigns \result \from node;
  ensures \result == waiter_at(node);
*/
static inline struct condition_waiter *waiter_of(struct queue_node *node)
{
    return CONTAINER_OF(node, struct condition_waiter, node);
}

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

/*@
  requires condition_first_valid(condition);
  terminates \true;
  assigns condition->waiters.head, condition->waiters.tail, condition->waiters.length,
    *condition->waiters.head, condition->waiters.head->next->previous,
    waiter_at(condition->waiters.head)->woken;
  ensures \result <==> \old(condition->waiters.head) != \null;
  behavior none:
    assumes condition->waiters.head == \null;
    ensures condition->waiters.head == \null && condition->waiters.length == 0;
  behavior some:
    assumes condition->waiters.head != \null;
    ensures condition->waiters.head == \old(condition->waiters.head->next);
    ensures condition->waiters.length == \old(condition->waiters.length) - 1;
    ensures waiter_at(\old(condition->waiters.head))->woken == 1;
    ensures \old(condition->waiters.head)->queue == \null;
*/
bool condition_wake_one(struct condition *condition)
{
    struct queue_node *node = queue_pop(&condition->waiters);

    if (!node) {
        return false;
    }
    struct condition_waiter *waiter = waiter_of(node);
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
