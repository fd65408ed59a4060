// SPDX-License-Identifier: MIT
// The queues of the scheduler, as pure lists of nodes embedded in threads: first-in first-out
// queues, a run queue with two priorities, and the deadline queue. No locks: a CPU's queues are
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

// Appends a node that is in no queue.
void queue_push(struct queue *queue, struct queue_node *node);

// Removes and returns the oldest node; null when empty.
struct queue_node *queue_pop(struct queue *queue);

// Takes a node out of whatever queue holds it; nothing happens if none does.
void queue_remove(struct queue_node *node);

struct run_queue {
    struct queue ready[PRIORITY_COUNT];
};

// Appends to the queue of `priority` (< PRIORITY_COUNT).
void run_queue_push(struct run_queue *queue, struct queue_node *node, uint32_t priority);

// Removes the first node of the highest priority that has one; null when all are empty.
struct queue_node *run_queue_pop(struct run_queue *queue);

// True when a node of at least `priority` waits.
bool run_queue_has(const struct run_queue *queue, uint32_t priority);

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

// Inserts `node` (not queued) by its deadline; equal deadlines keep their order of insertion.
void deadline_queue_insert(struct deadline_queue *queue, struct deadline_node *node,
                           uint64_t deadline);

// Takes the node out; nothing happens if it is not queued.
void deadline_queue_remove(struct deadline_queue *queue, struct deadline_node *node);

// Removes and returns the earliest node whose deadline is <= now; null when there is none.
struct deadline_node *deadline_queue_pop_due(struct deadline_queue *queue, uint64_t now);

// The earliest deadline, DEADLINE_NONE when empty.
uint64_t deadline_queue_next(const struct deadline_queue *queue);
