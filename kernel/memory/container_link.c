// SPDX-License-Identifier: MIT
// Making a free slot of the container tree a child, and freeing it. Each is three functions for the
// sake of its proof: what is written, what that does to the sums over the children and to the chain
// of free slots, what that does to the other invariants.
#include "kernel/memory/container_link.h"

// Making the first free slot, `id`, a child of `parent_id`: what is written.
/*@
  requires \valid(tree) && container_is_free(tree, id) && id == tree->free;
  requires container_used(tree, parent_id);
  requires tree->slots[parent_id].usage + quota <= UINT64_MAX;
  requires tree->slots[parent_id].lent + quota <= UINT64_MAX;
  requires tree->slots[parent_id].children < CONTAINER_MAXIMUM;
  requires tree->slots[parent_id].depth < CONTAINER_DEPTH;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures \old(tree->slots[id].used) == 0 && tree->slots[id].used == 1 &&
    tree->slots[id].parent == parent_id && tree->slots[id].quota == quota;
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id ==>
    \old(tree->slots[i].used) == tree->slots[i].used &&
    \old(tree->slots[i].parent) == tree->slots[i].parent &&
    \old(tree->slots[i].quota) == tree->slots[i].quota;
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && tree->slots[i].used == 0 ==>
    \old(tree->slots[i].used) == 0 && i != id &&
    \old(tree->slots[i].children) == tree->slots[i].children;
  ensures tree->free == \old(tree->slots[id].children);
  ensures container_linked{Pre, Post}(tree, parent_id, id, quota);
*/
static void container_fill(struct container_tree *tree, uint32_t parent_id, uint32_t id,
                           uint64_t quota)
{
    struct container *parent = &tree->slots[parent_id];
    struct container *child = &tree->slots[id];

    tree->free = child->children;
    parent->usage += quota;
    parent->lent += quota;
    parent->children++;
    child->quota = quota;
    child->usage = 0;
    child->lent = 0;
    child->parent = parent_id;
    child->children = 0;
    child->generation++;
    child->used = 1;
    child->depth = (uint16_t)(parent->depth + 1);
}

// What that does to the sums and the chain.
/*@
  requires \valid(tree) && container_chain_valid(tree);
  requires id == tree->free && id != 0 && container_used(tree, parent_id);
  requires tree->slots[parent_id].usage + quota <= UINT64_MAX;
  requires tree->slots[parent_id].lent + quota <= UINT64_MAX;
  requires tree->slots[parent_id].children < CONTAINER_MAXIMUM;
  requires tree->slots[parent_id].depth < CONTAINER_DEPTH;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id ==>
    \old(tree->slots[i].used) == tree->slots[i].used &&
    \old(tree->slots[i].parent) == tree->slots[i].parent &&
    \old(tree->slots[i].quota) == tree->slots[i].quota;
  ensures container_linked{Pre, Post}(tree, parent_id, id, quota);
  ensures container_chain_valid(tree);
  ensures container_counts{Pre, Post}(tree, CONTAINER_MAXIMUM, id, parent_id, 1);
  ensures container_loans{Pre, Post}(tree, CONTAINER_MAXIMUM, id, parent_id, quota);
*/
static void container_link(struct container_tree *tree, uint32_t parent_id, uint32_t id,
                           uint64_t quota)
{
    container_fill(tree, parent_id, id, quota);
    //@ assert first: container_first_free(tree);
    //@ assert next: container_next_free(tree);
    //@ assert apart: container_first_follows_none(tree);
    //@ assert once: container_next_follows_one(tree);
    //@ assert chain: container_chain_valid(tree);
    //@ ghost CONTAINER_SUMS(Pre, id, parent_id, 1, quota)
}

void container_adopt(struct container_tree *tree, uint32_t parent_id, uint64_t quota)
{
    uint32_t id = tree->free;

    //@ ghost container_count_fits(tree, parent_id);
    //@ ghost container_free_has_none(tree, id);
    container_link(tree, parent_id, id, quota);
    //@ assert usages: container_usages_valid(tree);
    //@ assert parents: container_parents_valid(tree);
    //@ assert depths: container_depths_valid(tree);
    //@ assert sums: container_sums_valid(tree);
}

// Freeing `id`, a child of `parent_id`: what is written.
/*@
  requires \valid(tree) && 0 < id < CONTAINER_MAXIMUM && container_used(tree, id);
  requires container_used(tree, parent_id) && id != parent_id;
  requires tree->slots[id].quota <= tree->slots[parent_id].usage;
  requires tree->slots[id].quota <= tree->slots[parent_id].lent;
  requires tree->slots[parent_id].children > 0;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures \old(tree->slots[id].used) != 0 && tree->slots[id].used == 0 && tree->free == id &&
    tree->slots[id].children == \old(tree->free);
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id ==>
    \old(tree->slots[i].used) == tree->slots[i].used &&
    \old(tree->slots[i].parent) == tree->slots[i].parent &&
    \old(tree->slots[i].quota) == tree->slots[i].quota;
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && tree->slots[i].used == 0 && i != id ==>
    \old(tree->slots[i].used) == 0 && \old(tree->slots[i].children) == tree->slots[i].children;
  ensures container_unlinked{Pre, Post}(tree, parent_id, id);
*/
static void container_clear(struct container_tree *tree, uint32_t parent_id, uint32_t id)
{
    struct container *parent = &tree->slots[parent_id];
    struct container *child = &tree->slots[id];

    parent->usage -= child->quota;
    parent->lent -= child->quota;
    parent->children--;
    child->used = 0;
    child->children = tree->free;
    tree->free = id;
}

// What that does to the sums and the chain.
/*@
  requires container_chain_valid(tree);
  requires \valid(tree) && 0 < id < CONTAINER_MAXIMUM && container_used(tree, id);
  requires container_used(tree, parent_id) && id != parent_id;
  requires parent_id == tree->slots[id].parent;
  requires tree->slots[id].quota <= tree->slots[parent_id].usage;
  requires tree->slots[id].quota <= tree->slots[parent_id].lent;
  requires tree->slots[parent_id].children > 0;
  requires lock_held(&tree->lock);
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures lock_held(&tree->lock);
  ensures \forall integer i; 0 <= i < CONTAINER_MAXIMUM && i != id ==>
    \old(tree->slots[i].used) == tree->slots[i].used &&
    \old(tree->slots[i].parent) == tree->slots[i].parent &&
    \old(tree->slots[i].quota) == tree->slots[i].quota;
  ensures container_unlinked{Pre, Post}(tree, parent_id, id);
  ensures container_chain_valid(tree);
  ensures container_counts{Pre, Post}(tree, CONTAINER_MAXIMUM, id, parent_id, -1);
  ensures container_loans{Pre, Post}(tree, CONTAINER_MAXIMUM, id, parent_id,
                                     -\old(tree->slots[id].quota));
*/
static void container_unlink(struct container_tree *tree, uint32_t parent_id, uint32_t id)
{
    //@ ghost uint64_t quota = tree->slots[id].quota;
    container_clear(tree, parent_id, id);
    //@ assert chain: container_chain_valid(tree);
    //@ ghost CONTAINER_SUMS(Pre, id, parent_id, -1, -quota)
}

void container_disown(struct container_tree *tree, uint32_t id)
{
    uint32_t parent_id = tree->slots[id].parent;

    //@ ghost container_child_counts(tree, parent_id, id);
    //@ ghost container_none_has_none(tree, id);
    container_unlink(tree, parent_id, id);
    //@ assert usages: container_usages_valid(tree);
    //@ assert parents: container_parents_valid(tree);
    //@ assert depths: container_depths_valid(tree);
    //@ assert sums: container_sums_valid(tree);
}
