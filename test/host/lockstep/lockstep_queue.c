// SPDX-License-Identifier: MIT
// Lock-step: kernel/thread/run_queue.c and the specification of queues.
#include <string.h>
#include "kernel/thread/run_queue.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/queue.h"

#define NODES 24u

static struct world {
    struct queue ready[PRIORITY_COUNT];
    struct queue_node nodes[NODES];
    struct deadline_queue deadlines;
    struct deadline_node timed[NODES];
} world, before;

static struct spec_queue run[PRIORITY_COUNT];
static struct spec_deadlines deadlines;

// -- comparing ----------------------------------------------------------------------------------

static uint32_t number_of(const struct queue_node *node)
{
    return node != NULL ? (uint32_t)(node - world.nodes) : SPEC_NONE;
}

static uint32_t timed_number(const struct deadline_node *node)
{
    return node != NULL ? (uint32_t)(node - world.timed) : SPEC_NONE;
}

// Both directions of the list hold the specification's sequence.
static void compare_queue(const struct queue *queue, const struct spec_queue *spec)
{
    const struct queue_node *previous = NULL;
    const struct queue_node *node = queue->head;

    lockstep_equal("length", queue->length, spec->length);
    for (uint32_t i = 0; i < spec->length; i++, node = node->next) {
        lockstep_equal("node", number_of(node), spec->nodes[i]);
        lockstep_equal("the node's queue", node->queue == queue, true);
        lockstep_equal("its neighbour", node->previous == previous, true);
        previous = node;
    }
    lockstep_equal("the end", node == NULL && queue->tail == previous, true);
}

static void compare_deadlines(void)
{
    const struct deadline_node *previous = NULL;
    uint32_t count = 0;

    for (const struct deadline_node *node = world.deadlines.first; node; node = node->next) {
        lockstep_equal("queued", node->queued, true);
        lockstep_equal("its neighbour", node->previous == previous, true);
        lockstep_equal("in order", previous == NULL || previous->deadline <= node->deadline, true);
        previous = node;
        count++;
    }
    lockstep_equal("sleepers", count, deadlines.length);
    lockstep_equal("next deadline", deadline_queue_next(&world.deadlines),
                   deadline_next_spec(&deadlines));
}

static bool in_spec(uint32_t node)
{
    for (uint32_t i = 0; i < PRIORITY_COUNT; i++) {
        for (uint32_t at = 0; at < run[i].length; at++) {
            if (run[i].nodes[at] == node) {
                return true;
            }
        }
    }
    return false;
}

static void compare(void)
{
    for (uint32_t i = 0; i < PRIORITY_COUNT; i++) {
        compare_queue(&world.ready[i], &run[i]);
    }
    compare_deadlines();
    for (uint32_t i = 0; i < NODES; i++) {
        const struct queue_node *node = &world.nodes[i];

        lockstep_equal("in a queue", node->queue != NULL, in_spec(i));
        if (node->queue == NULL && (node->next != NULL || node->previous != NULL)) {
            lockstep_fail("a node of no queue has neighbours");
        }
    }
}

// Only the half of the world that an operation is about may have changed, and nothing of it if
// the operation was refused.
static void only_half(const char *what, const void *start, size_t size, bool refused)
{
    const struct lockstep_field half = {start, refused ? 0 : size};

    lockstep_only(what, &world, &before, sizeof(world), &half, 1);
    compare();
}

static void only_run(const char *what, bool refused)
{
    only_half(what, &world.ready, offsetof(struct world, deadlines), refused);
}

static void only_deadlines(const char *what, bool refused)
{
    only_half(what, &world.deadlines, sizeof(world) - offsetof(struct world, deadlines), refused);
}

// -- operations -----------------------------------------------------------------------------------

static void push(uint32_t node)
{
    uint32_t priority = lockstep_below(PRIORITY_COUNT);

    queue_push(&world.ready[priority], &world.nodes[node]);
    queue_push_spec(&run[priority], node, &run[priority]);
    lockstep_counted(SPEC_ALLOWED);
    only_run("push", false);
}

static void pop(void)
{
    uint32_t expected = SPEC_NONE;
    uint32_t priority = lockstep_below(PRIORITY_COUNT);
    const struct queue_node *node = queue_pop(&world.ready[priority]);
    enum spec_rule rule = queue_pop_spec(&run[priority], &run[priority], &expected);

    lockstep_same("pop", rule, node != NULL ? STATUS_OK : STATUS_EMPTY);
    lockstep_equal("popped", number_of(node), expected);
    only_run("pop", node == NULL);
}

static void take_out(uint32_t node)
{
    bool queued = world.nodes[node].queue != NULL;

    queue_remove(&world.nodes[node]);
    lockstep_same("remove", queue_remove_spec(run, PRIORITY_COUNT, node, run),
                  queued ? STATUS_OK : STATUS_NOT_FOUND);
    only_run("remove", !queued);
}

static void insert(uint32_t node)
{
    uint64_t deadline = lockstep_chance(90) ? lockstep_below(30) : lockstep_boundary(UINT64_MAX);

    deadline_queue_insert(&world.deadlines, &world.timed[node], deadline);
    deadline_insert_spec(&deadlines, node, deadline, &deadlines);
    lockstep_counted(SPEC_ALLOWED);
    only_deadlines("insert", false);
}

static void cancel(uint32_t node)
{
    bool queued = world.timed[node].queued;

    deadline_queue_remove(&world.deadlines, &world.timed[node]);
    lockstep_same("cancel", deadline_remove_spec(&deadlines, node, &deadlines),
                  queued ? STATUS_OK : STATUS_NOT_FOUND);
    only_deadlines("cancel", !queued);
}

static void pop_due(void)
{
    uint64_t time = lockstep_chance(90) ? lockstep_below(30) : lockstep_boundary(UINT64_MAX);
    uint32_t expected = SPEC_NONE;

    const struct deadline_node *node = deadline_queue_pop_due(&world.deadlines, time);
    enum spec_rule rule = deadline_pop_due_spec(&deadlines, time, &deadlines, &expected);
    lockstep_same("due", rule, node != NULL ? STATUS_OK : STATUS_EMPTY);
    lockstep_equal("due", timed_number(node), expected);
    only_deadlines("due", node == NULL);
}

static void step(void)
{
    uint32_t node = lockstep_below(NODES);

    before = world;
    switch (lockstep_below(6)) {
    case 0:
        if (!in_spec(node)) {
            push(node);
        } else {
            take_out(node);
        }
        break;
    case 1:
        pop();
        break;
    case 2:
        take_out(node);
        break;
    case 3:
        if (!world.timed[node].queued) {
            insert(node);
        } else {
            cancel(node);
        }
        break;
    case 4:
        pop_due();
        break;
    default:
        cancel(node);
        break;
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_QUEUE};

    lockstep_begin(argc, argv, "queues", 200000);
    while (lockstep_more()) {
        step();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
