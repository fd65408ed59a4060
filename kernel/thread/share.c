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

// The turn of `share` comes, which is no longer in `turns`: true when it has something left then,
// or nobody else waits.
/*@
  requires \valid_read(queue) && \valid(share) && \separated(&queue->turns, share);
  requires share->budget <= 0 && share->turn_ticks >= 1;
  terminates \true;
  assigns share->budget;
  ensures share->budget == \old(share->budget) + share->turn_ticks;
  ensures \result <==> \old(share->budget) + share->turn_ticks > 0 || queue->turns.head == \null;
*/
static bool share_begins(const struct share_queue *queue, struct share *share)
{
    share->budget += share->turn_ticks;
    return share->budget > 0 || !queue->turns.head;
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
        if (share_begins(queue, share)) {
            queue->holder = share;
        } else {
            queue_push(&queue->turns, node);
        }
    }
    return queue->holder;
}
