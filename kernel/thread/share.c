// SPDX-License-Identifier: MIT
// Shares of the CPU (share.h). Host-tested.
#include "kernel/thread/share.h"
#include "kernel/lib/compiler.h"

static uint32_t priority_of(uint32_t index)
{
    return index == SHARE_URGENT ? PRIORITY_COUNT - 1 : 0;
}

void share_push(struct share_queue *queue, uint32_t index, uint64_t turn, struct queue_node *node)
{
    struct share *share = &queue->shares[index];
    uint32_t priority = priority_of(index);

    share->turn_ticks = (int64_t)turn;
    if (!share->ready.head && queue->holder[priority] != share) {
        share_end_turn(queue, index);
        queue_push(&queue->turns[priority], &share->turn);
    }
    queue_push(&share->ready, node);
}

// The share of this priority whose turn it is; null when none has a ready thread.
static struct share *take_turn(struct share_queue *queue, uint32_t priority)
{
    struct queue *turns = &queue->turns[priority];
    struct share *share = queue->holder[priority];
    struct queue_node *node;

    if (share && share->ready.head) {
        if (share->budget > 0) {
            return share;
        }
        if (!turns->head) { // there is nobody to whom it could owe
            share->budget = share->turn_ticks;
            return share;
        }
        queue_push(turns, &share->turn);
    }
    queue->holder[priority] = NULL;
    while ((node = queue_pop(turns)) != NULL) {
        share = CONTAINER_OF(node, struct share, turn);
        share->budget += share->turn_ticks;
        if (share->budget <= 0 && !turns->head) {
            share->budget = share->turn_ticks;
        }
        if (share->budget > 0) {
            queue->holder[priority] = share;
            return share;
        }
        queue_push(turns, node);
    }
    return NULL;
}

struct queue_node *share_pop(struct share_queue *queue)
{
    for (uint32_t priority = PRIORITY_COUNT; priority-- > 0;) {
        struct share *share = take_turn(queue, priority);

        if (share) {
            return queue_pop(&share->ready);
        }
    }
    return NULL;
}

bool share_waits(const struct share_queue *queue, uint32_t priority)
{
    for (uint32_t i = priority; i < PRIORITY_COUNT; i++) {
        const struct share *holder = queue->holder[i];

        if (queue->turns[i].head || (holder && holder->ready.head)) {
            return true;
        }
    }
    return false;
}

void share_charge(struct share_queue *queue, uint32_t index, uint64_t ticks)
{
    queue->shares[index].budget -= (int64_t)ticks;
}

void share_end_turn(struct share_queue *queue, uint32_t index)
{
    struct share *share = &queue->shares[index];

    if (share->budget > 0) {
        share->budget = 0;
    }
}

void share_renew(struct share_queue *queue, uint32_t index)
{
    struct share *share = &queue->shares[index];

    share->budget = share->turn_ticks;
}

uint64_t share_budget(const struct share_queue *queue, uint32_t index)
{
    return (uint64_t)queue->shares[index].budget;
}
