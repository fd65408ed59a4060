// SPDX-License-Identifier: MIT
// Queues as sequences (queue.h).
#include "test/spec/queue.h"
#include <string.h>

static void begin(const struct spec_queue *now, uint32_t count, struct spec_queue *next)
{
    if (next != now) {
        memcpy(next, now, count * sizeof(*now));
    }
}

void queue_push_spec(const struct spec_queue *now, uint32_t node, struct spec_queue *next)
{
    begin(now, 1, next);
    next->nodes[next->length++] = node;
}

static void take(struct spec_queue *queue, uint32_t at)
{
    queue->length--;
    memmove(&queue->nodes[at], &queue->nodes[at + 1],
            (queue->length - at) * sizeof(queue->nodes[0]));
}

enum spec_rule queue_pop_spec(const struct spec_queue *now, struct spec_queue *next, uint32_t *node)
{
    if (now->length == 0) {
        return QUEUE_EMPTY;
    }
    *node = now->nodes[0];
    begin(now, 1, next);
    take(next, 0);
    return SPEC_ALLOWED;
}

enum spec_rule queue_remove_spec(const struct spec_queue *now, uint32_t count, uint32_t node,
                                 struct spec_queue *next)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < now[i].length; at++) {
            if (now[i].nodes[at] == node) {
                begin(now, count, next);
                take(&next[i], at);
                return SPEC_ALLOWED;
            }
        }
    }
    return QUEUE_ABSENT;
}

// -- deadlines ------------------------------------------------------------------------------------

void deadline_insert_spec(const struct spec_deadlines *now, uint32_t node, uint64_t deadline,
                          struct spec_deadlines *next)
{
    if (next != now) {
        *next = *now;
    }
    next->nodes[next->length] = node;
    next->deadlines[next->length++] = deadline;
}

static void drop(const struct spec_deadlines *now, uint32_t at, struct spec_deadlines *next)
{
    if (next != now) {
        *next = *now;
    }
    next->length--;
    memmove(&next->nodes[at], &next->nodes[at + 1], (next->length - at) * sizeof(next->nodes[0]));
    memmove(&next->deadlines[at], &next->deadlines[at + 1],
            (next->length - at) * sizeof(next->deadlines[0]));
}

enum spec_rule deadline_remove_spec(const struct spec_deadlines *now, uint32_t node,
                                    struct spec_deadlines *next)
{
    for (uint32_t at = 0; at < now->length; at++) {
        if (now->nodes[at] == node) {
            drop(now, at, next);
            return SPEC_ALLOWED;
        }
    }
    return DEADLINE_ABSENT;
}

// The place of the first that is due first; `length` when there is none.
static uint32_t earliest(const struct spec_deadlines *now)
{
    uint32_t found = 0;

    for (uint32_t at = 1; at < now->length; at++) {
        if (now->deadlines[at] < now->deadlines[found]) {
            found = at;
        }
    }
    return found;
}

enum spec_rule deadline_pop_due_spec(const struct spec_deadlines *now, uint64_t time,
                                     struct spec_deadlines *next, uint32_t *node)
{
    uint32_t at = earliest(now);

    if (now->length == 0 || now->deadlines[at] > time) {
        return DEADLINE_NOT_DUE;
    }
    *node = now->nodes[at];
    drop(now, at, next);
    return SPEC_ALLOWED;
}

uint64_t deadline_next_spec(const struct spec_deadlines *now)
{
    return now->length > 0 ? now->deadlines[earliest(now)] : UINT64_MAX;
}
