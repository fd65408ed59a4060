// SPDX-License-Identifier: MIT
// The two changes of the shape of the container tree, for container.c, which has checked that they
// may be made and holds the lock.
#pragma once

#include "kernel/memory/container_contract.h"

// Makes the first free slot a child of `parent_id`, with `quota` of its pages.
/*@
  requires container_tree_valid(tree) && container_used(tree, parent_id);
  requires tree->free != 0 && tree->slots[parent_id].depth < CONTAINER_DEPTH;
  requires tree->slots[parent_id].usage + quota <= tree->slots[parent_id].quota;
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_linked{Pre, Post}(tree, parent_id, \old(tree->free), quota);
  ensures container_tree_valid(tree);
*/
void container_adopt(struct container_tree *tree, uint32_t parent_id, uint64_t quota);

// Frees `id`, to which nothing is charged; its parent has its quota back.
/*@
  requires container_tree_valid(tree) && container_used(tree, id) && id != CONTAINER_ROOT;
  requires tree->slots[id].usage == 0 && tree->slots[id].children == 0;
  terminates \true;
  assigns tree->slots[0 .. CONTAINER_MAXIMUM - 1], tree->free;
  ensures container_unlinked{Pre, Post}(tree, \old(tree->slots[id].parent), id);
  ensures container_tree_valid(tree);
*/
void container_disown(struct container_tree *tree, uint32_t id);
