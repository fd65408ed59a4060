// SPDX-License-Identifier: MIT
// The message queue of a CPU (wake_queue.h).
#include "kernel/thread/wake_queue.h"
#include "kernel/core/event_log.h"

bool wake_queue_post(struct wake_queue *queue, struct thread *thread)
{
    lock_acquire(&queue->lock);
    bool pending = thread->wake_pending;
    if (!pending) {
        thread->wake_pending = true;
        object_acquire(&thread->object);
        thread->next_woken = atomic_load_explicit(&queue->first, memory_order_relaxed);
        atomic_store_explicit(&queue->first, thread, memory_order_relaxed);
        event_log(EVENT_POST, thread->number, 0, 0);
    }
    lock_release(&queue->lock);
    return !pending;
}

struct thread *wake_queue_take(struct wake_queue *queue)
{
    lock_acquire(&queue->lock);
    struct thread *first = atomic_load_explicit(&queue->first, memory_order_relaxed);
    atomic_store_explicit(&queue->first, NULL, memory_order_relaxed);
    lock_release(&queue->lock);
    return first;
}

struct thread *wake_queue_finish(struct wake_queue *queue, struct thread *thread)
{
    struct thread *next = thread->next_woken;

    lock_acquire(&queue->lock);
    thread->wake_pending = false;
    event_log(EVENT_TAKE, thread->number, 0, 0);
    lock_release(&queue->lock);
    return next;
}

bool wake_queue_shut_out(struct wake_queue *queue, struct thread *thread)
{
    lock_acquire(&queue->lock);
    bool pending = thread->wake_pending;
    thread->wake_pending = true;
    lock_release(&queue->lock);
    return !pending;
}
