// SPDX-License-Identifier: MIT
// Shares of the CPU (share.h). Host-tested.
#include "kernel/thread/share.h"
#include "kernel/lib/compiler.h"

void share_enter(struct share_queue *queue, struct share *share, uint64_t turn)
{
    share->turn_ticks = (int64_t)turn;
    if (share != &queue->shares[SHARE_URGENT] && queue->holder != share) {
        share_end_turn(share);
        queue_push(&queue->turns, &share->turn);
    }
}

struct share *share_next(struct share_queue *queue)
{
    struct share *share = queue->holder;
    struct queue_node *node;

    if (share && share->ready.head) {
        queue_push(&queue->turns, &share->turn);
    }
    queue->holder = NULL;
    while (!queue->holder && (node = queue_pop(&queue->turns)) != NULL) {
        share = CONTAINER_OF(node, struct share, turn);
        share->budget += share->turn_ticks;
        if (share->budget > 0 || !queue->turns.head) {
            queue->holder = share;
        } else {
            queue_push(&queue->turns, node);
        }
    }
    return queue->holder;
}
