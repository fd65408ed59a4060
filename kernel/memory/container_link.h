// SPDX-License-Identifier: MIT
// What the files of the container tree share: its lock, looking up, and the two changes of its
// shape, for who has checked that they may be made and holds the lock.
#pragma once

#include <stddef.h>
#include "kernel/memory/container_contract.h"

// Makes the first free slot a child of `parent_id`, with `quota` of its pages.
/*@
  requires container_tree_valid(tree) && container_used(tree, parent_id);
  requires tree->free != 0 && tree->slots[parent_id].depth < CONTAINER_DEPTH;
  requires tree->slots[parent_id].usage + quota <= tree->slots[parent_id].quota;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_linked{Pre, Post}(tree, parent_id, \old(tree->free), quota);
  ensures container_tree_valid(tree);
*/
void container_adopt(struct container_tree *tree, uint32_t parent_id, uint64_t quota);

// Frees `id`, to which nothing is charged; its parent has its quota back.
/*@
  requires container_tree_valid(tree) && container_used(tree, id) && id != CONTAINER_ROOT;
  requires tree->slots[id].usage == 0 && tree->slots[id].children == 0;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures container_unlinked{Pre, Post}(tree, \old(tree->slots[id].parent), id);
  ensures container_tree_valid(tree);
*/
void container_disown(struct container_tree *tree, uint32_t id);

/*@
  requires container_tree_valid(tree);
  terminates \true;
  assigns \result \from tree, id, tree->slots[0 .. CONTAINER_MAXIMUM - 1];
  ensures container_used(tree, id) ? \result == &tree->slots[id] : \result == \null;
*/
static inline struct container *container_find(struct container_tree *tree, uint32_t id)
{
    if (id >= CONTAINER_MAXIMUM || !tree->slots[id].used) {
        return NULL;
    }
    return &tree->slots[id];
}

// The lock is no part of what the tree says.
/*@
  requires container_tree_valid(tree) && lock_free(&tree->lock);
  terminates \true;
  assigns tree->lock.last;
  ensures container_tree_valid(tree) && lock_held(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
*/
static inline void container_enter(struct container_tree *tree)
{
    lock_acquire(&tree->lock);
    //@ ghost CONTAINER_SUMS_KEPT(Pre)
}

/*@
  requires container_tree_valid(tree);
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->lock.turn;
  ensures container_tree_valid(tree) && lock_free(&tree->lock);
  ensures container_all_same{Pre, Post}(tree);
*/
static inline void container_leave(struct container_tree *tree)
{
    lock_release(&tree->lock);
    //@ ghost CONTAINER_SUMS_KEPT(Pre)
}

// Whether `id` is `ancestor` or below it. The caller holds the lock.
/*@
  requires container_tree_valid(tree) && container_used(tree, id);
  terminates \true;
  assigns \nothing;
  ensures \result <==> container_below(tree, id, ancestor, tree->slots[id].depth);
*/
static inline bool container_descends(const struct container_tree *tree, uint32_t id,
                                      uint32_t ancestor)
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
