// SPDX-License-Identifier: MIT
// The specification of the scheduler's queues: plain sequences of node numbers.
#pragma once

#include "test/spec/rule.h"

#define SPEC_NODES 64u

struct spec_queue {
    uint32_t length;
    uint32_t nodes[SPEC_NODES]; // oldest first
};

// A node may be in one queue of `count` at most. push has no refusal: the caller's node is in none.
void queue_push_spec(const struct spec_queue *now, uint32_t node, struct spec_queue *next);
enum spec_rule queue_pop_spec(const struct spec_queue *now, struct spec_queue *next,
                              uint32_t *node);
// Takes the node out of the queue that holds it.
enum spec_rule queue_remove_spec(const struct spec_queue *now, uint32_t count, uint32_t node,
                                 struct spec_queue *next);

// Nodes by deadline; equal ones in the order in which they came.
struct spec_deadlines {
    uint32_t length;
    uint32_t nodes[SPEC_NODES]; // in the order in which they came
    uint64_t deadlines[SPEC_NODES];
};

void deadline_insert_spec(const struct spec_deadlines *now, uint32_t node, uint64_t deadline,
                          struct spec_deadlines *next);
enum spec_rule deadline_remove_spec(const struct spec_deadlines *now, uint32_t node,
                                    struct spec_deadlines *next);
enum spec_rule deadline_pop_due_spec(const struct spec_deadlines *now, uint64_t time,
                                     struct spec_deadlines *next, uint32_t *node);
uint64_t deadline_next_spec(const struct spec_deadlines *now);
