// SPDX-License-Identifier: MIT
// Ending containers of container.h, one or a whole subtree.
#include "kernel/memory/container.h"
#include "kernel/memory/container_link.h"
#include "kernel/core/event_log.h"

/*@
  requires container_tree_valid(tree);
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_tree_valid(tree);
  ensures \result == STATUS_OK || container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_DENIED <==> id == CONTAINER_ROOT;
  ensures \result == STATUS_BUSY <==> container_used{Pre}(tree, id) && id != CONTAINER_ROOT &&
    (\old(tree->slots[id].usage) != 0 || \old(tree->slots[id].children) != 0);
  ensures \result == STATUS_OK ==>
    \old(tree->slots[id].usage) == 0 && \old(tree->slots[id].children) == 0 &&
    container_unlinked{Pre, Post}(tree, \old(tree->slots[id].parent), id);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_DENIED ||
    \result == STATUS_BUSY;
*/
static enum status container_revoke_locked(struct container_tree *tree, uint32_t id)
{
    const struct container *container = container_find(tree, id);

    if (!container) {
        return STATUS_NOT_FOUND;
    }
    if (id == CONTAINER_ROOT) {
        return STATUS_DENIED;
    }
    if (container->usage || container->children) {
        return STATUS_BUSY;
    }
    container_disown(tree, id);
    event_log(EVENT_REVOKE, id, container->quota, container->parent);
    return STATUS_OK;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free, tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures \result == STATUS_OK || container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_DENIED <==> id == CONTAINER_ROOT;
  ensures \result == STATUS_BUSY <==> container_used{Pre}(tree, id) && id != CONTAINER_ROOT &&
    (\old(tree->slots[id].usage) != 0 || \old(tree->slots[id].children) != 0);
  ensures \result == STATUS_OK ==>
    container_unlinked{Pre, Post}(tree, \old(tree->slots[id].parent), id);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_DENIED ||
    \result == STATUS_BUSY;
*/
enum status container_revoke(struct container_tree *tree, uint32_t id)
{
    container_enter(tree);
    enum status status = container_revoke_locked(tree, id);
    container_leave(tree);
    return status;
}

// Ends `id` if nothing is charged to it, then each of its parents below `top` that this leaves
// empty.
static void container_revoke_upwards(struct container_tree *tree, uint32_t id, uint32_t top)
{
    while (id != top && container_revoke_locked(tree, id) == STATUS_OK) {
        id = tree->slots[id].parent;
    }
}

enum status container_revoke_all(struct container_tree *tree, uint32_t id)
{
    container_enter(tree); // once: a CPU may wait long for its turn
    const struct container *top = container_find(tree, id);
    for (uint32_t i = CONTAINER_ROOT + 1; i < CONTAINER_MAXIMUM && top && top->children; i++) {
        if (tree->slots[i].used && !tree->slots[i].usage && container_descends(tree, i, id)) {
            container_revoke_upwards(tree, i, id);
        }
    }
    enum status status = container_revoke_locked(tree, id);
    container_leave(tree);
    return status;
}
