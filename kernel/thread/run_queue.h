// SPDX-License-Identifier: MIT
// The queues of the scheduler, as pure lists of nodes embedded in threads: first-in first-out
// queues, and the deadline queue. No locks: a CPU's queues are
// touched by that CPU alone; the queue of a condition is guarded by the lock of what it belongs to.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRIORITY_COUNT 2u

struct queue_node {
    struct queue_node *next;
    struct queue_node *previous;
    struct queue *queue; // the one it is in; null: none
};

struct queue {
    struct queue_node *head;
    struct queue_node *tail;
    size_t length;
};

// For contracts: the neighbours of a node of a queue know it.
// clang-format off
#define LINKS_VALID(queue, node)                                                                   \
    (((node)->previous != \null ==> \valid((node)->previous) &&                                    \
        (node)->previous->next == (node) && \separated((node), (node)->previous) &&                \
        \separated((queue), (node)->previous)) &&                                                  \
     ((node)->next != \null ==> \valid((node)->next) && (node)->next->previous == (node) &&        \
        \separated((node), (node)->next) && \separated((queue), (node)->next)) &&                  \
     ((node)->previous != \null && (node)->next != \null ==>                                       \
        \separated((node)->previous, (node)->next)))

// That `other` is not `node`, though it may be one of its neighbours.
#define OTHER_NODE(other, queue, node)                                                             \
    (\separated((other), (node)) && \separated((other), (queue)) &&                                \
     ((other) == (node)->previous || \separated((other), (node)->previous)) &&                     \
     ((other) == (node)->next || \separated((other), (node)->next)))
// clang-format on

/*@
  // The ends of a queue: both null, or first and last of a chain.
  predicate queue_ends{L}(struct queue *queue) =
    \valid(queue) && (queue->head == \null <==> queue->tail == \null) &&
    (queue->head == \null <==> queue->length == 0) &&
    (queue->head != \null ==> \valid(queue->head) && \valid(queue->tail) &&
       queue->head->previous == \null && queue->tail->next == \null &&
       \separated(queue, queue->head) && \separated(queue, queue->tail));

  // A node of the queue, and its neighbours, which know it.
  predicate queue_holds{L}(struct queue *queue, struct queue_node *node) =
    queue_ends(queue) && \valid(node) && \separated(queue, node) && node->queue == queue &&
    queue->length > 0 &&
    (node->previous == \null <==> queue->head == node) &&
    (node->next == \null <==> queue->tail == node) &&
    LINKS_VALID(queue, node);
*/

// Appends a node that is in no queue.
/*@
  requires queue_ends(queue) && queue->length < SIZE_MAX;
  requires \valid(node) && \separated(queue, node);
  requires queue->tail == \null || \separated(queue->tail, node);
  terminates \true;
  assigns *node, queue->head, queue->tail, queue->length, queue->tail->next;
  ensures queue->tail == node && node->next == \null && node->queue == queue;
  ensures node->previous == \old(queue->tail) && queue->length == \old(queue->length) + 1;
  ensures \old(queue->tail) == \null ==> queue->head == node;
  ensures \old(queue->tail) != \null ==>
    queue->head == \old(queue->head) && \at(queue->tail, Pre)->next == node;
*/
void queue_push(struct queue *queue, struct queue_node *node);

// Removes and returns the oldest node; null when empty.
/*@
  requires queue_ends(queue) && (queue->head != \null ==> queue_holds(queue, queue->head));
  terminates \true;
  assigns queue->head, queue->tail, queue->length, *queue->head, queue->head->next->previous;
  ensures \result == \old(queue->head);
  behavior empty:
    assumes queue->head == \null;
    assigns \nothing;
    ensures queue->head == \null && queue->length == \old(queue->length);
  behavior some:
    assumes queue->head != \null;
    ensures queue->head == \old(queue->head->next) && queue->length == \old(queue->length) - 1;
    ensures queue->head == \null ==> queue->tail == \null;
    ensures queue->head != \null ==>
      queue->head->previous == \null && queue->tail == \old(queue->tail);
    ensures \result->queue == \null && \result->next == \null && \result->previous == \null;
  complete behaviors;
  disjoint behaviors;
*/
struct queue_node *queue_pop(struct queue *queue);

// Takes a node out of whatever queue holds it; nothing happens if none does.
/*@
  requires \valid(node) && (node->queue == \null || queue_holds(node->queue, node));
  terminates \true;
  assigns *node, node->queue->head, node->queue->tail, node->queue->length,
    node->previous->next, node->next->previous;
  ensures node->queue == \null;
  behavior none:
    assumes node->queue == \null;
    assigns \nothing;
  behavior held:
    assumes node->queue != \null;
    ensures node->next == \null && node->previous == \null;
    ensures \at(node->queue, Pre)->length == \old(node->queue->length) - 1;
    ensures \old(node->previous) != \null ==>
      \at(node->previous, Pre)->next == \old(node->next) &&
      \at(node->queue, Pre)->head == \old(node->queue->head);
    ensures \old(node->previous) == \null ==> \at(node->queue, Pre)->head == \old(node->next);
    ensures \old(node->next) != \null ==>
      \at(node->next, Pre)->previous == \old(node->previous) &&
      \at(node->queue, Pre)->tail == \old(node->queue->tail);
    ensures \old(node->next) == \null ==> \at(node->queue, Pre)->tail == \old(node->previous);
  complete behaviors;
  disjoint behaviors;
*/
void queue_remove(struct queue_node *node);

#define DEADLINE_NONE UINT64_MAX

struct deadline_node {
    struct deadline_node *next;
    struct deadline_node *previous;
    uint64_t deadline; // absolute TSC
    bool queued;
};

struct deadline_queue {
    struct deadline_node *first; // the earliest
};

/*@
  // A node of the queue, and its neighbours, which know it.
  predicate deadline_holds{L}(struct deadline_queue *queue, struct deadline_node *node) =
    \valid(queue) && \valid(node) && \separated(queue, node) &&
    (node->previous == \null <==> queue->first == node) &&
    LINKS_VALID(queue, node);

  // From `from` on there are at most `count` nodes, by their deadlines, each with its neighbour,
  // and `node` is none of them.
  predicate deadline_chain{L}(struct deadline_queue *queue, struct deadline_node *from,
                              struct deadline_node *node, integer count) =
    from == \null || (count > 0 && \valid(from) && \separated(from, node) &&
      \separated(from, queue) && deadline_chain(queue, from->next, node, count - 1) &&
      (from->next != \null ==> from->next->previous == from && \separated(from, from->next) &&
         from->deadline <= from->next->deadline));
*/

// Inserts `node` (not queued) by its deadline; equal deadlines keep their order of insertion.
/*@
  requires \valid(queue) && \valid(node) && \separated(queue, node);
  requires deadline_chain(queue, queue->first, node, SIZE_MAX);
  requires queue->first != \null ==> queue->first->previous == \null;
  terminates \true;
  ensures node->queued && node->deadline == deadline;
  ensures node->previous == \null ==> queue->first == node && node->next == \old(queue->first);
  ensures node->previous != \null ==> queue->first == \old(queue->first) &&
    node->previous->next == node && node->previous->deadline <= deadline &&
    \old(\at(node->previous, Post)->next) == node->next;
  ensures node->next != \null ==>
    node->next->previous == node && deadline < node->next->deadline &&
    \old(\at(node->next, Post)->previous) == node->previous;
  ensures \forall struct deadline_node *other; OTHER_NODE(other, queue, node) ==>
    other->deadline == \old(other->deadline) && other->queued == \old(other->queued);
  ensures \forall struct deadline_node *other; OTHER_NODE(other, queue, node) &&
    other != node->previous ==> other->next == \old(other->next);
  ensures \forall struct deadline_node *other; OTHER_NODE(other, queue, node) &&
    other != node->next ==> other->previous == \old(other->previous);
*/
void deadline_queue_insert(struct deadline_queue *queue, struct deadline_node *node,
                           uint64_t deadline);

// Takes the node out; nothing happens if it is not queued.
/*@
  requires \valid(queue) && \valid(node) && (node->queued ==> deadline_holds(queue, node));
  terminates \true;
  assigns *node, queue->first, node->previous->next, node->next->previous;
  ensures !node->queued;
  behavior none:
    assumes !node->queued;
    assigns \nothing;
  behavior held:
    assumes node->queued != 0;
    ensures node->next == \null && node->previous == \null;
    ensures \old(node->previous) == \null ==> queue->first == \old(node->next);
    ensures \old(node->previous) != \null ==> queue->first == \old(queue->first) &&
      \at(node->previous, Pre)->next == \old(node->next);
    ensures \old(node->next) != \null ==>
      \at(node->next, Pre)->previous == \old(node->previous);
  complete behaviors;
  disjoint behaviors;
*/
void deadline_queue_remove(struct deadline_queue *queue, struct deadline_node *node);

// Removes and returns the earliest node whose deadline is <= now; null when there is none.
/*@
  requires \valid(queue) && (queue->first == \null ||
    (queue->first->queued && deadline_holds(queue, queue->first)));
  terminates \true;
  assigns queue->first, *queue->first, queue->first->next->previous;
  behavior none:
    assumes queue->first == \null || queue->first->deadline > now;
    assigns \nothing;
    ensures \result == \null;
  behavior due:
    assumes queue->first != \null && queue->first->deadline <= now;
    ensures \result == \old(queue->first) && queue->first == \old(queue->first->next);
    ensures !\result->queued && \result->next == \null && \result->previous == \null;
    ensures queue->first != \null ==> queue->first->previous == \null;
  complete behaviors;
  disjoint behaviors;
*/
struct deadline_node *deadline_queue_pop_due(struct deadline_queue *queue, uint64_t now);

// The earliest deadline, DEADLINE_NONE when empty.
/*@
  requires \valid(queue) && (queue->first == \null || \valid(queue->first));
  terminates \true;
  assigns \nothing;
  ensures \result == (queue->first == \null ? DEADLINE_NONE : queue->first->deadline);
*/
uint64_t deadline_queue_next(const struct deadline_queue *queue);
