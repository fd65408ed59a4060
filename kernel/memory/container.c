// SPDX-License-Identifier: MIT
// The quota tree of container.h: an array of slots, each naming its parent. The free ones form a
// chain. What the contracts say is in container_contract.h.
#include "kernel/memory/container.h"
#include "kernel/memory/container_link.h"
#include "kernel/core/event_log.h"
#include "kernel/lib/string.h"

struct container_tree kernel_containers;

void container_tree_init(struct container_tree *tree, uint64_t quota, uint32_t slots)
{
    memset(tree, 0, sizeof(*tree));
    lock_initialize(&tree->lock, LOCK_CONTAINERS);
    for (uint32_t id = slots; --id > CONTAINER_ROOT; tree->free = id) {
        tree->slots[id].children = tree->free;
    }
    tree->slots[CONTAINER_ROOT] = (struct container){
        .quota = quota, .parent = CONTAINER_ROOT, .generation = 1, .used = 1, .depth = 1};
    event_log(EVENT_SPLIT, CONTAINER_ROOT, quota, CONTAINER_ROOT);
}

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns \result \from tree, id, tree->slots[0 .. CONTAINER_MAXIMUM - 1];
  ensures container_used(tree, id) ? \result == &tree->slots[id] : \result == \null;
*/
static struct container *container_find(struct container_tree *tree, uint32_t id)
{
    if (id >= CONTAINER_MAXIMUM || !tree->slots[id].used) {
        return NULL;
    }
    return &tree->slots[id];
}

/*@
  requires \valid_read(container) && container->usage <= container->quota;
  terminates \true;
  assigns \nothing;
  ensures \result <==> container->usage + pages <= container->quota;
*/
static bool container_has_room(const struct container *container, uint64_t pages)
{
    return pages <= container->quota - container->usage;
}

// The lock is no part of what the tree says.
/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->lock.last;
  ensures container_tree_valid(tree) && lock_held(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
*/
static void container_enter(struct container_tree *tree)
{
    lock_acquire(&tree->lock);
    /*@
      ghost
      /@
        loop invariant 0 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_counts{Pre, Here}(tree, end, 0, 0, 0);
        loop invariant container_loans{Pre, Here}(tree, end, 0, 0, 0);
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {
      }
    */
}

/*@
  requires container_tree_valid(tree);
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
*/
static void container_leave(struct container_tree *tree)
{
    lock_release(&tree->lock);
    /*@
      ghost
      /@
        loop invariant 0 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_counts{Pre, Here}(tree, end, 0, 0, 0);
        loop invariant container_loans{Pre, Here}(tree, end, 0, 0, 0);
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {
      }
    */
}

// The public functions take the lock; what they do under it is in the functions called ..._locked.
/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_tree_valid(tree);
  ensures \result == STATUS_OK || container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, parent_id);
  ensures \result == STATUS_INVALID <==> container_used{Pre}(tree, parent_id) && quota == 0;
  ensures \result == STATUS_QUOTA <==> container_used{Pre}(tree, parent_id) &&
    quota > \old(tree->slots[parent_id].quota) - \old(tree->slots[parent_id].usage);
  ensures \result == STATUS_NO_MEMORY <==> container_used{Pre}(tree, parent_id) && 0 < quota <=
    \old(tree->slots[parent_id].quota) - \old(tree->slots[parent_id].usage) &&
    (\old(tree->free) == 0 || \old(tree->slots[parent_id].depth) >= CONTAINER_DEPTH);
  ensures \result == STATUS_OK ==> container_is_free{Pre}(tree, \old(tree->free)) &&
    container_linked{Pre, Post}(tree, parent_id, \old(tree->free), quota);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_INVALID ||
    \result == STATUS_QUOTA || \result == STATUS_NO_MEMORY;
*/
static enum status container_split_locked(struct container_tree *tree, uint32_t parent_id,
                                          uint64_t quota)
{
    struct container *parent = container_find(tree, parent_id);

    if (!parent) {
        return STATUS_NOT_FOUND;
    }
    if (quota == 0) {
        return STATUS_INVALID;
    }
    if (!container_has_room(parent, quota)) {
        return STATUS_QUOTA;
    }
    if (tree->free == 0 || parent->depth >= CONTAINER_DEPTH) {
        return STATUS_NO_MEMORY;
    }
    container_adopt(tree, parent_id, quota);
    return STATUS_OK;
}

enum status container_split(struct container_tree *tree, uint32_t parent, uint64_t quota,
                            uint32_t *child)
{
    container_enter(tree);
    uint32_t id = tree->free; // what it becomes
    enum status status = container_split_locked(tree, parent, quota);
    if (status == STATUS_OK) {
        *child = id;
    }
    EVENT_LOG_DONE(status, EVENT_SPLIT, id, quota, parent);
    container_leave(tree);
    return status;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
  ensures \result <==> container_used{Pre}(tree, id) &&
    \old(tree->slots[id].usage) + pages <= \old(tree->slots[id].quota);
*/
bool container_can_consume(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    container_enter(tree);
    const struct container *container = container_find(tree, id);
    bool can = container && container_has_room(container, pages);
    container_leave(tree);
    return can;
}

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1].usage;
  ensures container_tree_valid(tree);
  ensures container_charged{Pre, Post}(tree, id, \result == STATUS_OK ? pages : 0);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_QUOTA <==> container_used{Pre}(tree, id) &&
    \old(tree->slots[id].usage) + pages > \old(tree->slots[id].quota);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_QUOTA;
*/
static enum status container_alloc_locked(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    struct container *container = container_find(tree, id);

    if (!container) {
        return STATUS_NOT_FOUND;
    }
    if (!container_has_room(container, pages)) {
        return STATUS_QUOTA;
    }
    container->usage += pages;
    /*@
      ghost
      /@
        loop invariant 0 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_counts{Pre, Here}(tree, end, 0, 0, 0);
        loop invariant container_loans{Pre, Here}(tree, end, 0, 0, 0);
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {
      }
    */
    return STATUS_OK;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1].usage, tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_charged{Pre, Post}(tree, id, \result == STATUS_OK ? pages : 0);
  ensures \result == STATUS_OK <==> container_used{Pre}(tree, id) &&
    \old(tree->slots[id].usage) + pages <= \old(tree->slots[id].quota);
*/
enum status container_alloc(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    container_enter(tree);
    enum status status = container_alloc_locked(tree, id, pages);
    EVENT_LOG_DONE(status, EVENT_ALLOC, id, pages, tree->slots[id].usage);
    container_leave(tree);
    return status;
}

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1].usage;
  ensures container_tree_valid(tree);
  ensures tree->lock.last == \old(tree->lock.last) && tree->lock.turn == \old(tree->lock.turn);
  ensures container_charged{Pre, Post}(tree, id, \result == STATUS_OK ? -pages : 0);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_STATE <==> container_used{Pre}(tree, id) &&
    pages > container_own{Pre}(tree, id);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_STATE;
*/
static enum status container_free_locked(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    struct container *container = container_find(tree, id);

    if (!container) {
        return STATUS_NOT_FOUND;
    }
    if (pages > container->usage - container->lent) {
        return STATUS_STATE;
    }
    container->usage -= pages;
    /*@
      ghost
      /@
        loop invariant 0 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_counts{Pre, Here}(tree, end, 0, 0, 0);
        loop invariant container_loans{Pre, Here}(tree, end, 0, 0, 0);
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {
      }
    */
    //@ assert usages: container_usages_valid(tree);
    //@ assert parents: container_parents_valid(tree);
    //@ assert depths: container_depths_valid(tree);
    //@ assert sums: container_sums_valid(tree);
    //@ assert chain: container_chain_valid(tree);
    return STATUS_OK;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1].usage, tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_charged{Pre, Post}(tree, id, \result == STATUS_OK ? -pages : 0);
  ensures \result == STATUS_OK <==> container_used{Pre}(tree, id) &&
    pages <= \old(tree->slots[id].usage) - \old(tree->slots[id].lent);
*/
enum status container_free(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    container_enter(tree);
    enum status status = container_free_locked(tree, id, pages);
    EVENT_LOG_DONE(status, EVENT_FREE, id, pages, tree->slots[id].usage);
    container_leave(tree);
    return status;
}

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_tree_valid(tree);
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
    return STATUS_OK;
}

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_tree_valid(tree);
  ensures \result == STATUS_OK || container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_OK <==> container_used{Pre}(tree, id) && id != CONTAINER_ROOT &&
    \old(tree->slots[id].usage) == 0 && \old(tree->slots[id].children) == 0;
  ensures \result == STATUS_OK ==>
    container_unlinked{Pre, Post}(tree, \old(tree->slots[id].parent), id);
*/
static enum status container_revoke_logged(struct container_tree *tree, uint32_t id)
{
    enum status status = container_revoke_locked(tree, id);

    EVENT_LOG_DONE(status, EVENT_REVOKE, id, tree->slots[id].quota, tree->slots[id].parent);
    return status;
}

enum status container_revoke(struct container_tree *tree, uint32_t id)
{
    container_enter(tree);
    enum status status = container_revoke_logged(tree, id);
    container_leave(tree);
    return status;
}

// Whether `id` is `ancestor` or below it. The caller holds the lock.
/*@
  requires container_tree_valid(tree) && container_used(tree, id);
  terminates \true;
  assigns \nothing;
  ensures \result <==> container_below(tree, id, ancestor, tree->slots[id].depth);
*/
static bool container_descends(const struct container_tree *tree, uint32_t id, uint32_t ancestor)
{
    /*@
      loop invariant container_used(tree, id);
      loop invariant container_below(tree, id, ancestor, tree->slots[id].depth) <==>
        container_below(tree, \at(id, Pre), ancestor, \at(tree->slots[id].depth, Pre));
      loop assigns id;
      loop variant tree->slots[id].depth;
    */
    while (id != ancestor && id != CONTAINER_ROOT) {
        id = tree->slots[id].parent;
    }
    return id == ancestor;
}

// Ends `id` if nothing is charged to it, then each of its parents below `top` that this leaves
// empty.
static void container_revoke_upwards(struct container_tree *tree, uint32_t id, uint32_t top)
{
    while (id != top && container_revoke_logged(tree, id) == STATUS_OK) {
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
    enum status status = container_revoke_logged(tree, id);
    container_leave(tree);
    return status;
}

bool container_get(struct container_tree *tree, uint32_t id, struct container *copy)
{
    container_enter(tree);
    const struct container *container = container_find(tree, id);
    if (container) {
        *copy = *container;
    }
    container_leave(tree);
    return container != NULL;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
  ensures \result <==> container_used(tree, id) && container_used(tree, ancestor) &&
    container_below(tree, id, ancestor, tree->slots[id].depth);
*/
bool container_is_within(struct container_tree *tree, uint32_t id, uint32_t ancestor)
{
    container_enter(tree);
    bool within = container_find(tree, id) && container_find(tree, ancestor) &&
                  container_descends(tree, id, ancestor);
    container_leave(tree);
    return within;
}
