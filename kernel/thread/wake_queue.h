// SPDX-License-Identifier: MIT
// The message queue of a CPU: the threads of it that other CPUs woke, until it sees to them. Any
// CPU posts, the CPU itself takes them all at once and then finishes one after the other.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include "kernel/lock/lock.h"
#include "kernel/thread/thread.h"

struct wake_queue {
    struct lock lock;
    struct thread *_Atomic first; // written under the lock; behind it by thread.next_woken
};

// clang-format off
#define WAKE_QUEUE_UNLOCKED(queue) ((queue)->lock.last == (queue)->lock.turn)
// clang-format on

// Puts a thread in front of those that are there, and takes a reference to it; false: it is there
// already, and nothing changes.
/*@
  requires \valid(queue) && \valid(thread) && \separated(queue, thread);
  requires WAKE_QUEUE_UNLOCKED(queue);
  terminates \true;
  assigns queue->lock.last, queue->lock.turn, queue->first, thread->next_woken,
    thread->wake_pending, thread->object.references;
  ensures lock: WAKE_QUEUE_UNLOCKED(queue);
  ensures \result <==> !\old(thread->wake_pending);
  ensures pending: thread->wake_pending == 1;
  ensures posted: \result ==>
    queue->first == thread && thread->next_woken == \old(queue->first) &&
    thread->object.references == (uint32_t)(\old(thread->object.references) + 1);
  ensures refused: !\result ==>
    queue->first == \old(queue->first) && thread->next_woken == \old(thread->next_woken) &&
    thread->object.references == \old(thread->object.references);
*/
bool wake_queue_post(struct wake_queue *queue, struct thread *thread);

// True when there are any. Pairs with the store under the lock.
/*@
  requires \valid_read(queue);
  terminates \true;
  assigns \nothing;
  ensures \result <==> queue->first != \null;
*/
static inline bool wake_queue_holds(const struct wake_queue *queue)
{
    return atomic_load_explicit(&queue->first, memory_order_relaxed) != NULL;
}

// Takes all: the first, or null. Each of them is still to be finished.
/*@
  requires \valid(queue) && WAKE_QUEUE_UNLOCKED(queue);
  terminates \true;
  assigns queue->lock.last, queue->lock.turn, queue->first;
  ensures lock: WAKE_QUEUE_UNLOCKED(queue);
  ensures \result == \old(queue->first) && queue->first == \null;
*/
struct thread *wake_queue_take(struct wake_queue *queue);

// Lets a thread that was taken be posted again, which writes its link at once; returns the one
// behind it, or null. Its reference is the caller's.
/*@
  requires \valid(queue) && \valid(thread) && \separated(queue, thread);
  requires WAKE_QUEUE_UNLOCKED(queue);
  terminates \true;
  assigns queue->lock.last, queue->lock.turn, thread->wake_pending;
  ensures lock: WAKE_QUEUE_UNLOCKED(queue);
  ensures \result == \old(thread->next_woken) && thread->wake_pending == 0;
*/
struct thread *wake_queue_finish(struct wake_queue *queue, struct thread *thread);

// Nobody posts the thread from now on: true. False: it is there, and must be taken and finished
// before that can be said.
/*@
  requires \valid(queue) && \valid(thread) && \separated(queue, thread);
  requires WAKE_QUEUE_UNLOCKED(queue);
  terminates \true;
  assigns queue->lock.last, queue->lock.turn, thread->wake_pending;
  ensures lock: WAKE_QUEUE_UNLOCKED(queue);
  ensures \result <==> !\old(thread->wake_pending);
  ensures refuses: thread->wake_pending == 1;
*/
bool wake_queue_shut_out(struct wake_queue *queue, struct thread *thread);
