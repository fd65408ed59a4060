// SPDX-License-Identifier: MIT
// The quota tree of container.h: an array of slots, each naming its parent. The free ones form a
// chain. What the contracts say is in container_contract.h.
#include "kernel/memory/container.h"
#include "kernel/memory/container_link.h"
#include "kernel/core/event_log.h"

struct container_tree kernel_containers;

/*@
  requires \valid(tree) && lock_free(&tree->lock) && slots <= CONTAINER_MAXIMUM;
  terminates \true;
  assigns *tree;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures tree->slots[CONTAINER_ROOT].quota == quota;
  ensures tree->slots[CONTAINER_ROOT].usage == 0 && tree->slots[CONTAINER_ROOT].children == 0;
  ensures tree->free == (slots > 1 ? 1 : 0);
  ensures \forall integer id; 0 < id < CONTAINER_MAXIMUM ==> tree->slots[id].used == 0 &&
    tree->slots[id].generation == 0 && tree->slots[id].children == (id + 1 < slots ? id + 1 : 0);
*/
void container_tree_init(struct container_tree *tree, uint64_t quota, uint32_t slots)
{
    struct container *root = &tree->slots[CONTAINER_ROOT];

    lock_initialize(&tree->lock, LOCK_CONTAINERS);
    tree->free = slots > 1;
    root->quota = quota;
    root->usage = 0;
    root->lent = 0;
    root->parent = CONTAINER_ROOT;
    root->children = 0;
    root->generation = 1;
    root->used = 1;
    root->depth = 1;
    /*@
      loop invariant 1 <= id <= CONTAINER_MAXIMUM;
      loop invariant \forall integer i; 0 < i < id ==> tree->slots[i].used == 0;
      loop invariant \forall integer i; 0 < i < id ==> tree->slots[i].generation == 0;
      loop invariant \forall integer i; 0 < i < id ==>
        tree->slots[i].children == (i + 1 < slots ? i + 1 : 0);
      loop invariant tree->slots[0].used == 1 && tree->slots[0].children == 0 &&
        tree->slots[0].parent == 0 && tree->slots[0].depth == 1;
      loop invariant tree->free == (slots > 1 ? 1 : 0);
      loop assigns id, tree->slots[1 .. CONTAINER_MAXIMUM - 1].used,
        tree->slots[1 .. CONTAINER_MAXIMUM - 1].generation,
        tree->slots[1 .. CONTAINER_MAXIMUM - 1].children;
      loop variant CONTAINER_MAXIMUM - id;
    */
    for (uint32_t id = CONTAINER_ROOT + 1; id < CONTAINER_MAXIMUM; id++) {
        tree->slots[id].used = 0;
        tree->slots[id].generation = 0;
        tree->slots[id].children = id + 1 < slots ? id + 1 : 0;
    }
    /*@
      ghost
      /@
        loop invariant 0 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_count(tree, CONTAINER_ROOT, end) == 0;
        loop invariant container_lent(tree, CONTAINER_ROOT, end) == 0;
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {
      }
    */
    //@ assert only: \forall integer i; container_used(tree, i) ==> i == CONTAINER_ROOT;
    //@ assert first: container_first_free(tree);
    //@ assert next: container_next_free(tree);
    //@ assert follows: container_first_follows_none(tree);
    //@ assert once: container_next_follows_one(tree);
    //@ assert depths: container_depths_valid(tree);
    //@ assert sums: container_sums_valid(tree);
    event_log(EVENT_SPLIT, CONTAINER_ROOT, quota, CONTAINER_ROOT);
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

// The public functions take the lock; what they do under it is in the functions called ..._locked.
/*@
  requires container_tree_valid(tree) && lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_tree_valid(tree) && lock_held(&tree->lock);
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

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free, tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures \result.status == STATUS_OK || container_all_same{Pre, Post}(tree);
  ensures \result.status == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, parent);
  ensures \result.status == STATUS_INVALID <==> container_used{Pre}(tree, parent) && quota == 0;
  ensures \result.status == STATUS_QUOTA <==> container_used{Pre}(tree, parent) &&
    quota > \old(tree->slots[parent].quota) - \old(tree->slots[parent].usage);
  ensures \result.status == STATUS_NO_MEMORY <==> container_used{Pre}(tree, parent) && 0 < quota <=
    \old(tree->slots[parent].quota) - \old(tree->slots[parent].usage) &&
    (\old(tree->free) == 0 || \old(tree->slots[parent].depth) >= CONTAINER_DEPTH);
  ensures \result.status == STATUS_OK ==> \result.id == \old(tree->free) &&
    container_is_free{Pre}(tree, \result.id) &&
    container_linked{Pre, Post}(tree, parent, \result.id, quota);
  ensures \result.status == STATUS_OK || \result.status == STATUS_NOT_FOUND ||
    \result.status == STATUS_INVALID || \result.status == STATUS_QUOTA ||
    \result.status == STATUS_NO_MEMORY;
*/
struct container_child container_split(struct container_tree *tree, uint32_t parent, uint64_t quota)
{
    container_enter(tree);
    struct container_child child = {.id = tree->free}; // what it becomes
    child.status = container_split_locked(tree, parent, quota);
    /*@ assert rest: child.status == STATUS_OK ==>
          container_others_same{Pre, Here}(tree, parent, child.id); */
    EVENT_LOG_DONE(child.status, EVENT_SPLIT, child.id, quota, parent);
    container_leave(tree);
    return child;
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
    //@ ghost CONTAINER_SUMS_KEPT(Pre)
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
    //@ ghost CONTAINER_SUMS_KEPT(Pre)
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
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
  ensures \result.used != 0 <==> container_used(tree, id);
  ensures \result.used != 0 ==> \result == \old(tree->slots[id]);
*/
struct container container_get(struct container_tree *tree, uint32_t id)
{
    container_enter(tree);
    const struct container *container = container_find(tree, id);
    struct container copy = container ? *container : (struct container){0};
    container_leave(tree);
    return copy;
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
