// SPDX-License-Identifier: MIT
// The lists of run_queue.h. Host-tested.
#include "kernel/thread/run_queue.h"

void queue_push(struct queue *queue, struct queue_node *node)
{
    node->next = NULL;
    node->previous = queue->tail;
    node->queue = queue;
    if (queue->tail) {
        queue->tail->next = node;
    } else {
        queue->head = node;
    }
    queue->tail = node;
    queue->length++;
}

void queue_remove(struct queue_node *node)
{
    struct queue *queue = node->queue;

    if (!queue) {
        return;
    }
    if (node->previous) {
        node->previous->next = node->next;
    } else {
        queue->head = node->next;
    }
    if (node->next) {
        node->next->previous = node->previous;
    } else {
        queue->tail = node->previous;
    }
    queue->length--;
    *node = (struct queue_node){0};
}

struct queue_node *queue_pop(struct queue *queue)
{
    struct queue_node *node = queue->head;

    if (node) {
        queue->head = node->next;
        if (node->next) {
            node->next->previous = NULL;
        } else {
            queue->tail = NULL;
        }
        queue->length--;
        *node = (struct queue_node){0};
    }
    return node;
}

void deadline_queue_insert(struct deadline_queue *queue, struct deadline_node *node,
                           uint64_t deadline)
{
    struct deadline_node *previous = NULL;
    struct deadline_node *next = queue->first;

    //@ ghost size_t left = SIZE_MAX;
    /*@
      loop invariant deadline_chain(queue, next, node, left);
      loop invariant previous == \null ==> next == queue->first;
      loop invariant previous != \null ==> \valid(previous) && \separated(previous, node) &&
        \separated(previous, queue) && previous->next == next && previous->deadline <= deadline;
      loop invariant next != \null ==> next->previous == previous;
      loop invariant previous != \null && next != \null ==> \separated(previous, next);
      loop assigns next, previous, left;
      loop variant left;
    */
    while (next && next->deadline <= deadline) {
        //@ ghost left--;
        previous = next;
        next = next->next;
    }
    *node = (struct deadline_node){next, previous, deadline, true};
    if (previous) {
        previous->next = node;
    } else {
        queue->first = node;
    }
    if (next) {
        next->previous = node;
    }
}

void deadline_queue_remove(struct deadline_queue *queue, struct deadline_node *node)
{
    if (!node->queued) {
        return;
    }
    if (node->previous) {
        node->previous->next = node->next;
    } else {
        queue->first = node->next;
    }
    if (node->next) {
        node->next->previous = node->previous;
    }
    *node = (struct deadline_node){0};
}

struct deadline_node *deadline_queue_pop_due(struct deadline_queue *queue, uint64_t now)
{
    struct deadline_node *node = queue->first;

    if (!node || node->deadline > now) {
        return NULL;
    }
    deadline_queue_remove(queue, node);
    return node;
}

uint64_t deadline_queue_next(const struct deadline_queue *queue)
{
    return queue->first ? queue->first->deadline : DEADLINE_NONE;
}
