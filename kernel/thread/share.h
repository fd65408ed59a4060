// SPDX-License-Identifier: MIT
// The ready threads of one CPU, and who of them runs next. Urgent threads go first, in order. Among
// the others the CPU is divided by shares: each container has one or is part of its
// parent's, and all its threads live on it. Shares take turns, which are as long as their weight
// says. What a share ran beyond its turn it owes to the others in its next one; what it did not use
// it loses. So two shares that always have something to run get ticks in proportion to their
// weights, within one turn of each and what they owe, and one that wakes waits for one turn of each
// other share at most. Every operation takes constant time, but for the turns that are skipped
// because somebody owes them. Pure lists without a lock: only their CPU touches them. Host-tested.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/thread/run_queue.h"

#define SHARE_COUNT          257u // containers' own ones, and:
#define SHARE_URGENT         256u // of all threads with a priority above 0
#define SHARE_WEIGHT_DEFAULT 100u
#define SHARE_WEIGHT_MAXIMUM 1000u

struct share {
    struct queue_node turn; // in `turns` while it waits for its turn
    struct queue ready;     // its ready threads, in order
    int64_t budget;         // ticks left of its turn; negative: it owes them
    int64_t turn_ticks;     // of a turn
};

struct share_queue {
    struct queue turns;   // shares with ready threads, but for the holder
    struct share *holder; // whose turn it is; null: nobody's
    struct share shares[SHARE_COUNT];
};

/*@
  // One of the queue's shares, while `turns` is a queue whose last node is no part of it.
  predicate share_of{L}(struct share_queue *queue, struct share *share) =
    \valid(queue) && queue_ends(&queue->turns) && queue->turns.length < SIZE_MAX &&
    (\exists integer i; 0 <= i < SHARE_COUNT && share == &queue->shares[i]) &&
    (queue->turns.tail != \null ==> \separated(queue->turns.tail, share) &&
       \separated(queue->turns.tail, &queue->holder));
*/

// A share gets its first ready thread, and its turn will come; turns last `turn` ticks (at least
// 1).
/*@
  requires share_of(queue, share) && 1 <= turn <= INT64_MAX;
  terminates \true;
  assigns share->turn_ticks, share->budget, share->turn, queue->turns, queue->turns.tail->next;
  ensures share->turn_ticks == turn;
  behavior goes_on:
    assumes share == &queue->shares[SHARE_URGENT] || share == queue->holder;
    assigns share->turn_ticks;
    ensures queue->turns == \old(queue->turns) && share->turn == \old(share->turn);
    ensures share->budget == \old(share->budget);
  behavior waits:
    assumes share != &queue->shares[SHARE_URGENT] && share != queue->holder;
    ensures share->budget == (\old(share->budget) > 0 ? 0 : \old(share->budget));
    ensures queue->turns.tail == &share->turn && share->turn.next == \null;
    ensures share->turn.previous == \old(queue->turns.tail);
    ensures queue->turns.length == \old(queue->turns.length) + 1;
  complete behaviors;
  disjoint behaviors;
*/
void share_enter(struct share_queue *queue, struct share *share, uint64_t turn);

// Makes the next share the holder; null: none but the urgent one has a ready thread. Once a turn.
RARELY_CALLED struct share *share_next(struct share_queue *queue);

// Appends a thread's node, in no queue, to the ready ones of a share of the queue.
/*@
  requires share_of(queue, share) && 1 <= turn <= INT64_MAX;
  requires queue_ends(&share->ready) && share->ready.length < SIZE_MAX;
  requires \valid(node) && \separated(node, queue);
  requires queue->turns.tail == \null || \separated(node, queue->turns.tail);
  requires share->ready.tail == \null || (\separated(share->ready.tail, node) &&
    \separated(share->ready.tail, queue));
  terminates \true;
  assigns share->turn_ticks, share->budget, share->turn, queue->turns, queue->turns.tail->next,
    *node, share->ready, share->ready.tail->next;
  ensures share->ready.tail == node && node->next == \null && node->queue == &share->ready;
  ensures node->previous == \old(share->ready.tail);
  ensures share->ready.length == \old(share->ready.length) + 1;
  ensures share->ready.head == (\old(share->ready.head) == \null ? node : \old(share->ready.head));
  behavior goes_on:
    assumes share->ready.head != \null || share == &queue->shares[SHARE_URGENT] ||
      share == queue->holder;
    ensures queue->turns == \old(queue->turns) && share->turn == \old(share->turn);
    ensures share->budget == \old(share->budget);
    ensures share->turn_ticks ==
      (\old(share->ready.head) == \null ? turn : \old(share->turn_ticks));
  behavior waits:
    assumes share->ready.head == \null && share != &queue->shares[SHARE_URGENT] &&
      share != queue->holder;
    ensures share->turn_ticks == turn;
    ensures share->budget == (\old(share->budget) > 0 ? 0 : \old(share->budget));
    ensures queue->turns.tail == &share->turn && share->turn.next == \null;
    ensures share->turn.previous == \old(queue->turns.tail);
    ensures queue->turns.length == \old(queue->turns.length) + 1;
  complete behaviors;
  disjoint behaviors;
*/
static inline void share_push(struct share_queue *queue, struct share *share, uint64_t turn,
                              struct queue_node *node)
{
    if (!share->ready.head) {
        share_enter(queue, share, turn);
    }
    queue_push(&share->ready, node);
}

// Removes and returns the next thread to run, whose share has a budget then; null: none is ready.
static inline struct queue_node *share_pop(struct share_queue *queue)
{
    struct share *share = &queue->shares[SHARE_URGENT];

    if (!share->ready.head) {
        share = queue->holder;
        if (!share || !share->ready.head || (share->budget <= 0 && queue->turns.head)) {
            share = share_next(queue);
        }
        if (!share) {
            return NULL;
        }
    }
    if (share->budget <= 0) { // there is nobody to whom it could owe
        share->budget = share->turn_ticks;
    }
    return queue_pop(&share->ready);
}

/*@
  // What is left of a budget: a new turn, where there is nobody to whom it could owe.
  logic integer share_left(integer budget, integer turn) = budget > 0 ? budget : turn;
  logic integer share_debt(integer budget) = budget > 0 ? 0 : budget;
*/

// While no thread is ready, `from` has run for `ticks`, and what runs next is a thread of `to` that
// has just been woken: the same as if that one had been pushed and popped, and `from` owes nobody.
/*@
  requires \valid(queue) && \valid(from) && \valid(to) && 1 <= turn <= INT64_MAX;
  requires \separated(&queue->holder, from) && \separated(&queue->holder, to);
  requires from == to || \separated(from, to);
  requires from->turn_ticks >= 1 && ticks <= INT64_MAX && from->budget - ticks >= INT64_MIN;
  terminates \true;
  assigns from->budget, to->turn_ticks, to->budget, queue->holder;
  ensures to->turn_ticks == turn && to->budget > 0 && from->budget > 0;
  ensures from != to ==>
    from->budget == share_left(\old(from->budget) - ticks, \old(from->turn_ticks));
  ensures from != to && (to == &queue->shares[SHARE_URGENT] || to == \old(queue->holder)) ==>
    to->budget == share_left(\old(to->budget), turn) && queue->holder == \old(queue->holder);
  ensures from != to && to != &queue->shares[SHARE_URGENT] && to != \old(queue->holder) ==>
    to->budget == share_left(share_debt(\old(to->budget)) + turn, turn) && queue->holder == to;
*/
static inline void share_hand_over(struct share_queue *queue, struct share *from, uint64_t ticks,
                                   struct share *to, uint64_t turn)
{
    from->budget -= (int64_t)ticks;
    if (from->budget <= 0) {
        from->budget = from->turn_ticks;
    }
    to->turn_ticks = (int64_t)turn;
    if (queue->holder != to && to != &queue->shares[SHARE_URGENT]) {
        to->budget = (to->budget < 0 ? to->budget : 0) + to->turn_ticks;
        queue->holder = to;
    }
    if (to->budget <= 0) {
        to->budget = to->turn_ticks;
    }
}

// True when a thread of at least `priority` is ready.
/*@
  requires \valid_read(queue) && (queue->holder == \null || \valid_read(queue->holder));
  terminates \true;
  assigns \nothing;
  ensures \result <==>
    (priority < PRIORITY_COUNT && queue->shares[SHARE_URGENT].ready.head != \null) ||
    (priority == 0 && (queue->turns.head != \null ||
       (queue->holder != \null && queue->holder->ready.head != \null)));
*/
static inline bool share_waits(const struct share_queue *queue, uint32_t priority)
{
    const struct share *holder = queue->holder;

    return (priority < PRIORITY_COUNT && queue->shares[SHARE_URGENT].ready.head) ||
           (priority == 0 && (queue->turns.head || (holder && holder->ready.head)));
}

// The share has run for `ticks` of its turn.
/*@
  requires \valid(share) && ticks <= INT64_MAX && share->budget - ticks >= INT64_MIN;
  terminates \true;
  assigns share->budget;
  ensures share->budget == \old(share->budget) - ticks;
*/
static inline void share_charge(struct share *share, uint64_t ticks)
{
    share->budget -= (int64_t)ticks;
}

// Ends the turn of the share; what it owes stays.
/*@
  requires \valid(share);
  terminates \true;
  assigns share->budget;
  ensures share->budget == (\old(share->budget) > 0 ? 0 : \old(share->budget));
*/
static inline void share_end_turn(struct share *share)
{
    if (share->budget > 0) {
        share->budget = 0;
    }
}

// A new turn begins for the share that runs, without anything owed: it had the CPU to itself.
/*@
  requires \valid(share);
  terminates \true;
  assigns share->budget;
  ensures share->budget == share->turn_ticks;
*/
static inline void share_renew(struct share *share)
{
    share->budget = share->turn_ticks;
}
