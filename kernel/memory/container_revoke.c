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

// Ends `id` if nothing is charged to it: what that changes, as the walks below look at it.
/*@
  requires container_tree_valid(tree) && container_used(tree, id) && id != CONTAINER_ROOT;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_tree_valid(tree);
  ensures container_places_same{Pre, Post}(tree);
  ensures container_own_same{Pre, Post}(tree);
  ensures used: \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id ==>
    tree->slots[i].used == \old(tree->slots[i].used);
  ensures rest: \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id &&
    i != \old(tree->slots[id].parent) ==>
    tree->slots[i].usage == \old(tree->slots[i].usage) &&
    tree->slots[i].lent == \old(tree->slots[i].lent) &&
    tree->slots[i].children == \old(tree->slots[i].children);
  ensures ended: \result ==> tree->slots[id].used == 0 && \old(tree->slots[id].lent) == 0 &&
    \old(tree->slots[id].usage) == 0;
  ensures kept: !\result ==> container_all_same{Pre, Post}(tree) &&
    (tree->slots[id].usage != 0 || tree->slots[id].children != 0);
*/
static bool container_revoke_if_empty(struct container_tree *tree, uint32_t id)
{
    return container_revoke_locked(tree, id) == STATUS_OK;
}

// Ends `id` if nothing is charged to it, then each of its parents below `top` that this leaves
// empty.
/*@
  requires container_tree_valid(tree) && container_used(tree, id) && container_used(tree, top);
  requires container_in(tree, id, top);
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_tree_valid(tree);
  ensures container_places_same{Pre, Post}(tree);
  ensures container_own_same{Pre, Post}(tree);
  ensures container_only_empty_ended{Pre, Post}(tree, top);
  ensures container_rest_same{Pre, Post}(tree, top);
  ensures leaves: \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != top &&
    tree->slots[i].used != 0 && tree->slots[i].usage == 0 && tree->slots[i].children == 0 ==>
    \old(tree->slots[i].usage) == 0 && \old(tree->slots[i].children) == 0 && i != id;
*/
static void container_revoke_upwards(struct container_tree *tree, uint32_t id, uint32_t top)
{
    /*@
      loop invariant lock_held(&tree->lock);
      loop invariant valid: container_tree_valid(tree);
      loop invariant used: container_used(tree, id) && container_used(tree, top);
      loop invariant within: container_in{Pre}(tree, id, top);
      loop invariant places: container_places_same{Pre, Here}(tree);
      loop invariant own: container_own_same{Pre, Here}(tree);
      loop invariant ended: container_only_empty_ended{Pre, Here}(tree, top);
      loop invariant rest: container_rest_same{Pre, Here}(tree, top);
      loop invariant leaves: \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != top && i != id &&
        tree->slots[i].used != 0 && tree->slots[i].usage == 0 && tree->slots[i].children == 0 ==>
        \at(tree->slots[i].usage, Pre) == 0 && \at(tree->slots[i].children, Pre) == 0 &&
        i != \at(id, Pre);
      loop assigns id, tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
      loop variant tree->slots[id].depth;
    */
    while (id != top) {
        uint32_t parent = tree->slots[id].parent;
        //@ assert was: container_used{Pre}(tree, id) && container_used{Pre}(tree, parent);
        //@ assert above: id != CONTAINER_ROOT && container_in{Pre}(tree, parent, top);
        if (!container_revoke_if_empty(tree, id)) {
            break;
        }
        id = parent;
    }
}

// Ends all below `top` that can be.
/*@
  requires container_tree_valid(tree) && container_used(tree, top);
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_tree_valid(tree);
  ensures container_places_same{Pre, Post}(tree);
  ensures container_own_same{Pre, Post}(tree);
  ensures container_only_empty_ended{Pre, Post}(tree, top);
  ensures container_rest_same{Pre, Post}(tree, top);
  ensures container_none_empty(tree, top);
  ensures tree->slots[top].usage == 0 && tree->slots[top].children == 0 <==>
    container_uncharged{Pre}(tree, top);
  ensures tree->slots[top].children == 0 ==> \forall integer id; 0 <= id < CONTAINER_MAXIMUM &&
    \old(tree->slots[id].used) != 0 && id != top && container_in{Pre}(tree, id, top) ==>
    tree->slots[id].used == 0;
*/
static void container_revoke_below(struct container_tree *tree, uint32_t top)
{
    /*@
      loop invariant 1 <= i <= CONTAINER_MAXIMUM;
      loop invariant lock_held(&tree->lock);
      loop invariant container_tree_valid(tree) && container_used(tree, top);
      loop invariant container_places_same{Pre, Here}(tree);
      loop invariant container_own_same{Pre, Here}(tree);
      loop invariant container_only_empty_ended{Pre, Here}(tree, top);
      loop invariant container_rest_same{Pre, Here}(tree, top);
      loop invariant \forall integer id; 0 < id < i && tree->slots[id].used != 0 && id != top &&
        container_in{Pre}(tree, id, top) ==>
        tree->slots[id].usage != 0 || tree->slots[id].children != 0;
      loop assigns i, tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
      loop variant CONTAINER_MAXIMUM - i;
    */
    for (uint32_t i = CONTAINER_ROOT + 1; i < CONTAINER_MAXIMUM && tree->slots[top].children; i++) {
        //@ ghost CONTAINER_BELOW_KEPT(Pre, top)
        //@ assert kept: container_in_same{Pre, Here}(tree, top);
        if (tree->slots[i].used && !tree->slots[i].usage && container_descends(tree, i, top)) {
            //@ ghost before:;
            container_revoke_upwards(tree, i, top);
            /*@ assert were: \forall integer id; 0 <= id < CONTAINER_MAXIMUM &&
                  \at(tree->slots[id].used, before) != 0 ==> \at(tree->slots[id].used, Pre) != 0 &&
                  (container_in{before}(tree, id, top) ==> container_in{Pre}(tree, id, top)) &&
                  (\at(tree->slots[id].usage, before) == \at(tree->slots[id].lent, before) ==>
                     \at(tree->slots[id].usage, Pre) == \at(tree->slots[id].lent, Pre)); */
            //@ assert now: container_only_empty_ended{before, Here}(tree, top);
            //@ assert ended: container_only_empty_ended{Pre, Here}(tree, top);
            //@ assert rest: container_rest_same{Pre, Here}(tree, top);
        }
        /*@ assert behind: \forall integer id; 0 < id < i && tree->slots[id].used != 0 &&
              id != top && container_in{Pre}(tree, id, top) ==>
              tree->slots[id].usage != 0 || tree->slots[id].children != 0; */
        /*@ assert this: tree->slots[i].used != 0 && i != top && container_in{Pre}(tree, i, top) ==>
              tree->slots[i].usage != 0 || tree->slots[i].children != 0; */
    }
    //@ ghost CONTAINER_BELOW_KEPT(Pre, top)
    //@ assert kept: container_in_same{Pre, Here}(tree, top);
    //@ ghost if (tree->slots[top].children == 0) container_childless(tree, top);
    //@ assert none: container_none_empty(tree, top);
    //@ ghost container_deepest_is_empty(tree, top);
    //@ assert same: container_uncharged{Pre}(tree, top) ==> container_uncharged(tree, top);
}

// container_revoke_all, for who holds the lock.
/*@
  requires container_tree_valid(tree) && lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_tree_valid(tree);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_DENIED <==> id == CONTAINER_ROOT;
  ensures \result == STATUS_OK <==> container_used{Pre}(tree, id) && id != CONTAINER_ROOT &&
    container_uncharged{Pre}(tree, id);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_DENIED ||
    \result == STATUS_BUSY;
  ensures \result == STATUS_NOT_FOUND ==> container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_DENIED || \result == STATUS_BUSY ==>
    container_ended{Pre, Post}(tree, id) && container_none_empty(tree, id);
  ensures \result == STATUS_OK ==>
    container_all_ended{Pre, Post}(tree, id, \old(tree->slots[id].parent));
*/
static enum status container_revoke_all_locked(struct container_tree *tree, uint32_t id)
{
    if (!container_find(tree, id)) {
        return STATUS_NOT_FOUND;
    }
    //@ ghost container_below_is_deeper(tree, id);
    container_revoke_below(tree, id);
    //@ ghost below:;
    enum status status = container_revoke_locked(tree, id);
    //@ assert places_now: container_places_same{below, Here}(tree);
    //@ ghost CONTAINER_BELOW_KEPT(below, id)
    //@ assert still: container_in_same{below, Here}(tree, id);
    //@ assert places: container_places_same{Pre, Here}(tree);
    //@ assert own: status != STATUS_OK ==> container_own_same{Pre, Here}(tree);
    //@ assert empty: status != STATUS_OK ==> container_only_empty_ended{Pre, Here}(tree, id);
    //@ assert rest: status != STATUS_OK ==> container_rest_same{Pre, Here}(tree, id);
    //@ assert none: status != STATUS_OK ==> container_none_empty(tree, id);
    /*@ assert above: status == STATUS_OK ==>
          !container_in{Pre}(tree, \at(tree->slots[id].parent, Pre), id); */
    /*@ assert gone: status == STATUS_OK ==> \forall integer i; 0 <= i < CONTAINER_MAXIMUM &&
          \at(tree->slots[i].used, Pre) != 0 && container_in{Pre}(tree, i, id) ==>
          tree->slots[i].used == 0 &&
          \at(tree->slots[i].usage, Pre) == \at(tree->slots[i].lent, Pre); */
    /*@ assert others: status == STATUS_OK ==> \forall integer i; 0 <= i < CONTAINER_MAXIMUM &&
          i != \at(tree->slots[id].parent, Pre) &&
          (\at(tree->slots[i].used, Pre) == 0 || !container_in{Pre}(tree, i, id)) ==>
          \at(tree->slots[i].used, Pre) == tree->slots[i].used &&
          \at(tree->slots[i].usage, Pre) == tree->slots[i].usage &&
          \at(tree->slots[i].lent, Pre) == tree->slots[i].lent &&
          \at(tree->slots[i].children, Pre) == tree->slots[i].children; */
    return status;
}

/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free, tree->lock.last, tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures \result == STATUS_NOT_FOUND <==> !container_used{Pre}(tree, id);
  ensures \result == STATUS_DENIED <==> id == CONTAINER_ROOT;
  ensures \result == STATUS_OK <==> container_used{Pre}(tree, id) && id != CONTAINER_ROOT &&
    container_uncharged{Pre}(tree, id);
  ensures \result == STATUS_OK || \result == STATUS_NOT_FOUND || \result == STATUS_DENIED ||
    \result == STATUS_BUSY;
  ensures \result == STATUS_NOT_FOUND ==> container_all_same{Pre, Post}(tree);
  ensures \result == STATUS_DENIED || \result == STATUS_BUSY ==>
    container_ended{Pre, Post}(tree, id) && container_none_empty(tree, id);
  ensures \result == STATUS_OK ==>
    container_all_ended{Pre, Post}(tree, id, \old(tree->slots[id].parent));
*/
enum status container_revoke_all(struct container_tree *tree, uint32_t id)
{
    container_enter(tree); // once: a CPU may wait long for its turn
    //@ ghost CONTAINER_BELOW_KEPT(Pre, id)
    //@ assert kept: container_in_same{Pre, Here}(tree, id);
    //@ assert charged: container_uncharged{Pre}(tree, id) <==> container_uncharged(tree, id);
    enum status status = container_revoke_all_locked(tree, id);
    //@ ghost done:;
    container_leave(tree);
    //@ ghost CONTAINER_BELOW_KEPT(done, id)
    //@ assert still: container_in_same{done, Here}(tree, id);
    //@ assert places: status != STATUS_NOT_FOUND ==> container_places_same{Pre, Here}(tree);
    //@ ghost bool left = status == STATUS_BUSY || status == STATUS_DENIED;
    //@ assert own: left ==> container_own_same{Pre, Here}(tree);
    //@ assert empty: left ==> container_only_empty_ended{Pre, Here}(tree, id);
    //@ assert rest: left ==> container_rest_same{Pre, Here}(tree, id);
    //@ assert none: left ==> container_none_empty(tree, id);
    return status;
}
