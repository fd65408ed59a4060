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

// Makes a tree of up to `slots` containers (at most CONTAINER_MAXIMUM) whose root may use `quota`
// pages. The tree is zeroed memory, or an old tree.
void container_tree_init(struct container_tree *tree, uint64_t quota, uint32_t slots);

struct container_child {
    enum status status;
    uint32_t id; // of the child that was made
};

// Makes a child of `parent` with a quota of `quota` pages, taken from the parent. STATUS_NOT_FOUND:
// no such parent; STATUS_INVALID: quota 0; STATUS_QUOTA: more than the parent has left;
// STATUS_NO_MEMORY: no slot left, or the parent is one of the lowest that there may be.
MUST_CHECK struct container_child container_split(struct container_tree *tree, uint32_t parent,
                                                  uint64_t quota);

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

// A copy of a container as it is now; its `used` is 0 where there is no such container.
struct container container_get(struct container_tree *tree, uint32_t id);

// True when `id` is `ancestor` or below it.
bool container_is_within(struct container_tree *tree, uint32_t id, uint32_t ancestor);
