// SPDX-License-Identifier: MIT
// Containers: the tree of page quotas. Every page in use is charged to one container; the quota of
// a child comes out of its parent's usage and goes back when the child is revoked.
// Pure but for the lock, which each function takes itself; the kernel's tree is kernel_containers.
//
// Invariants after every call: used children are in range and point back to their parent;
// usage <= quota; the sum of the children's quotas <= usage; the parent of a used slot is used.
// Splitting, charging, giving back and ending one container take the same few steps however many
// there are. Nesting has a limit, so that who looks for an ancestor does not hold the lock for
// long.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/status.h"
#include "kernel/lib/compiler.h"
#include "kernel/lock/lock.h"

#define CONTAINER_MAXIMUM 16384u
#define CONTAINER_ROOT    0u
#define CONTAINER_DEPTH   32u // of the lowest ones; the root's is 1

struct container {
    uint64_t quota; // pages
    uint64_t usage; // pages: own ones and the quotas of the children
    uint64_t lent;  // pages: the quotas of the children
    uint32_t parent;
    uint32_t children;   // how many; of a free slot: the next free one, 0: none
    uint32_t generation; // counts the lives of the slot, to tell a stale handle from a fresh one
    uint16_t used;       // 1: this slot is a container
    uint16_t depth;
};

struct container_tree {
    struct lock lock;
    // Guarded by lock.
    uint32_t free; // the first of the chain of free slots, 0: none
    struct container slots[CONTAINER_MAXIMUM];
};

extern struct container_tree kernel_containers;

/*@
  predicate container_used{L}(struct container_tree *tree, integer id) =
    0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0;

  predicate container_is_child{L}(struct container_tree *tree, integer parent, integer id) =
    tree->slots[id].used != 0 && tree->slots[id].parent == parent;

  // Number and quotas of the children of `parent` among the slots below `end`.
  logic integer container_count{L}(struct container_tree *tree, integer parent, integer end) =
    end <= 1 ? 0 : container_count(tree, parent, end - 1) +
      (tree->slots[end - 1].used != 0 && tree->slots[end - 1].parent == parent ? 1 : 0);
  logic integer container_lent{L}(struct container_tree *tree, integer parent, integer end) =
    end <= 1 ? 0 : container_lent(tree, parent, end - 1) +
      (tree->slots[end - 1].used != 0 && tree->slots[end - 1].parent == parent ?
         tree->slots[end - 1].quota : 0);

  // The invariants above, for each used slot.
  predicate container_slot_valid{L}(struct container_tree *tree, integer id) =
    tree->slots[id].usage <= tree->slots[id].quota &&
    container_used(tree, tree->slots[id].parent) &&
    tree->slots[id].children == container_count(tree, id, CONTAINER_MAXIMUM) &&
    tree->slots[id].lent == container_lent(tree, id, CONTAINER_MAXIMUM) &&
    tree->slots[id].lent <= tree->slots[id].usage;

  // The chain of the free slots: each is free, and follows at most one.
  predicate container_is_free{L}(struct container_tree *tree, integer id) =
    CONTAINER_ROOT < id < CONTAINER_MAXIMUM && tree->slots[id].used == 0;
  predicate container_chain_valid{L}(struct container_tree *tree) =
    (tree->free != 0 ==> container_is_free(tree, tree->free)) &&
    (\forall integer id; container_is_free(tree, id) && tree->slots[id].children != 0 ==>
       container_is_free(tree, tree->slots[id].children) &&
       tree->slots[id].children != tree->free) &&
    (\forall integer a, b; container_is_free(tree, a) && container_is_free(tree, b) && a != b &&
       tree->slots[a].children != 0 ==> tree->slots[a].children != tree->slots[b].children);

  predicate container_tree_valid{L}(struct container_tree *tree) =
    \valid(tree) && container_used(tree, CONTAINER_ROOT) && container_chain_valid(tree) &&
    \forall integer id; container_used(tree, id) ==> container_slot_valid(tree, id);

  // What an owner of `id` itself uses, its children left out.
  logic integer container_own{L}(struct container_tree *tree, integer id) =
    tree->slots[id].usage - container_lent(tree, id, CONTAINER_MAXIMUM);

  // From A to B nothing of slot `id` but its usage changed, or not even that.
  predicate container_same_family{A, B}(struct container_tree *tree, integer id) =
    \at(tree->slots[id].quota, A) == \at(tree->slots[id].quota, B) &&
    \at(tree->slots[id].lent, A) == \at(tree->slots[id].lent, B) &&
    \at(tree->slots[id].parent, A) == \at(tree->slots[id].parent, B) &&
    \at(tree->slots[id].children, A) == \at(tree->slots[id].children, B) &&
    \at(tree->slots[id].generation, A) == \at(tree->slots[id].generation, B) &&
    \at(tree->slots[id].used, A) == \at(tree->slots[id].used, B) &&
    \at(tree->slots[id].depth, A) == \at(tree->slots[id].depth, B);
  predicate container_same{A, B}(struct container_tree *tree, integer id) =
    container_same_family{A, B}(tree, id) &&
    \at(tree->slots[id].usage, A) == \at(tree->slots[id].usage, B);
  predicate container_others_same{A, B}(struct container_tree *tree, integer a, integer b) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && id != a && id != b ==>
      container_same{A, B}(tree, id);
  predicate container_all_same{A, B}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM ==> container_same{A, B}(tree, id);

  // What the slots below `end` say about the children of all, where child `id` of `parent` came
  // (change = 1), went (-1) or neither did (0).
  predicate container_counts{A, B}(struct container_tree *tree, integer end, integer id,
                                   integer parent, integer change) =
    \forall integer p; 0 <= p < CONTAINER_MAXIMUM ==>
      container_count{B}(tree, p, end) == container_count{A}(tree, p, end) +
        ((id < end && p == parent) ? change : 0);
  predicate container_loans{A, B}(struct container_tree *tree, integer end, integer id,
                                  integer parent, integer change) =
    \forall integer p; 0 <= p < CONTAINER_MAXIMUM ==>
      container_lent{B}(tree, p, end) == container_lent{A}(tree, p, end) +
        ((id < end && p == parent) ? change : 0);

  // What the number of the children below `end` says about them.
  predicate container_sums_sane{L}(struct container_tree *tree, integer end) =
    \forall integer p; 0 <= p < CONTAINER_MAXIMUM ==>
      0 <= container_count(tree, p, end) <= end && 0 <= container_lent(tree, p, end) &&
      (container_count(tree, p, end) == 0 ==> container_lent(tree, p, end) == 0) &&
      (\forall integer m; 0 <= m <= end ==>
         0 <= container_lent(tree, p, m) <= container_lent(tree, p, end)) &&
      (\forall integer i; 1 <= i < end && container_is_child(tree, p, i) ==>
         container_count(tree, p, end) > 0 &&
         tree->slots[i].quota <= container_lent(tree, p, end));
*/

// Makes a tree of up to `slots` containers (at most CONTAINER_MAXIMUM) whose root may use `quota`
// pages.
void container_tree_init(struct container_tree *tree, uint64_t quota, uint32_t slots);

// Makes a child of `parent` with a quota of `quota` pages, taken from the parent. STATUS_NOT_FOUND:
// no such parent; STATUS_INVALID: quota 0; STATUS_QUOTA: more than the parent has left;
// STATUS_NO_MEMORY: no slot left, or the parent is one of the lowest that there may be. `*child` is
// written on success only.
MUST_CHECK enum status container_split(struct container_tree *tree, uint32_t parent, uint64_t quota,
                                       uint32_t *child);

// True when `id` is a container that could be charged `pages` more.
bool container_can_consume(struct container_tree *tree, uint32_t id, uint64_t pages);

// Charges `pages`. STATUS_NOT_FOUND, STATUS_QUOTA.
MUST_CHECK enum status container_alloc(struct container_tree *tree, uint32_t id, uint64_t pages);

// Takes back a charge of container_alloc. STATUS_NOT_FOUND; STATUS_STATE: more than is charged.
MUST_CHECK enum status container_free(struct container_tree *tree, uint32_t id, uint64_t pages);

// Ends the container and returns its quota to its parent. STATUS_NOT_FOUND; STATUS_DENIED: the
// root; STATUS_BUSY: pages or children are still charged to it.
MUST_CHECK enum status container_revoke(struct container_tree *tree, uint32_t id);

// Ends the container and all below it, lowest first, in one step to other CPUs. Errors as
// container_revoke; those that could be ended are.
MUST_CHECK enum status container_revoke_all(struct container_tree *tree, uint32_t id);

// Copies quota, usage, parent, number of children and generation; false: no such container.
bool container_get(struct container_tree *tree, uint32_t id, struct container *copy);

// True when `id` is `ancestor` or below it.
bool container_is_within(struct container_tree *tree, uint32_t id, uint32_t ancestor);
