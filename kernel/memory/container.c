// SPDX-License-Identifier: MIT
// The quota tree of container.h: an array of slots, each naming its parent. Host-tested.
#include "kernel/memory/container.h"
#include "kernel/lib/string.h"

struct container_tree kernel_containers;

void container_tree_init(struct container_tree *tree, uint64_t quota)
{
    memset(tree, 0, sizeof(*tree));
    tree->slots[CONTAINER_ROOT] =
        (struct container){.quota = quota, .parent = CONTAINER_ROOT, .generation = 1, .used = 1};
}

static struct container *container_find(struct container_tree *tree, uint32_t id)
{
    if (id >= CONTAINER_MAXIMUM || !tree->slots[id].used) {
        return NULL;
    }
    return &tree->slots[id];
}

static bool container_has_room(const struct container *container, uint64_t pages)
{
    return pages <= container->quota - container->usage;
}

static uint32_t container_free_slot(const struct container_tree *tree)
{
    uint32_t id = CONTAINER_ROOT + 1;

    while (id < CONTAINER_MAXIMUM && tree->slots[id].used) {
        id++;
    }
    return id;
}

static enum status container_split_locked(struct container_tree *tree, uint32_t parent_id,
                                          uint64_t quota, uint32_t *child)
{
    struct container *parent = container_find(tree, parent_id);
    uint32_t id = container_free_slot(tree);

    if (!parent) {
        return STATUS_NOT_FOUND;
    }
    if (quota == 0) {
        return STATUS_INVALID;
    }
    if (!container_has_room(parent, quota)) {
        return STATUS_QUOTA;
    }
    if (id == CONTAINER_MAXIMUM) {
        return STATUS_NO_MEMORY;
    }
    parent->usage += quota;
    parent->children++;
    tree->slots[id] = (struct container){.quota = quota,
                                         .parent = parent_id,
                                         .generation = tree->slots[id].generation + 1,
                                         .used = 1};
    *child = id;
    return STATUS_OK;
}

enum status container_split(struct container_tree *tree, uint32_t parent, uint64_t quota,
                            uint32_t *child)
{
    ticket_lock_acquire(&tree->lock);
    enum status status = container_split_locked(tree, parent, quota, child);
    ticket_lock_release(&tree->lock);
    return status;
}

bool container_can_consume(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    ticket_lock_acquire(&tree->lock);
    const struct container *container = container_find(tree, id);
    bool can = container && container_has_room(container, pages);
    ticket_lock_release(&tree->lock);
    return can;
}

enum status container_alloc(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    enum status status = STATUS_OK;

    ticket_lock_acquire(&tree->lock);
    struct container *container = container_find(tree, id);
    if (!container) {
        status = STATUS_NOT_FOUND;
    } else if (!container_has_room(container, pages)) {
        status = STATUS_QUOTA;
    } else {
        container->usage += pages;
    }
    ticket_lock_release(&tree->lock);
    return status;
}

static uint64_t container_own_usage(const struct container_tree *tree, uint32_t id)
{
    uint64_t own = tree->slots[id].usage;

    for (uint32_t i = CONTAINER_ROOT + 1; i < CONTAINER_MAXIMUM && tree->slots[id].children; i++) {
        if (tree->slots[i].used && tree->slots[i].parent == id) {
            own -= tree->slots[i].quota;
        }
    }
    return own;
}

enum status container_free(struct container_tree *tree, uint32_t id, uint64_t pages)
{
    enum status status = STATUS_OK;

    ticket_lock_acquire(&tree->lock);
    struct container *container = container_find(tree, id);
    if (!container) {
        status = STATUS_NOT_FOUND;
    } else if (pages > container_own_usage(tree, id)) {
        status = STATUS_STATE;
    } else {
        container->usage -= pages;
    }
    ticket_lock_release(&tree->lock);
    return status;
}

enum status container_revoke(struct container_tree *tree, uint32_t id)
{
    enum status status = STATUS_OK;

    ticket_lock_acquire(&tree->lock);
    struct container *container = container_find(tree, id);
    if (!container) {
        status = STATUS_NOT_FOUND;
    } else if (id == CONTAINER_ROOT) {
        status = STATUS_DENIED;
    } else if (container->usage || container->children) {
        status = STATUS_BUSY;
    } else {
        struct container *parent = &tree->slots[container->parent];
        parent->usage -= container->quota;
        parent->children--;
        container->used = 0;
    }
    ticket_lock_release(&tree->lock);
    return status;
}

// Some container without children at or below `id`.
static uint32_t container_find_leaf(struct container_tree *tree, uint32_t id)
{
    ticket_lock_acquire(&tree->lock);
    for (uint32_t i = 0; i < CONTAINER_MAXIMUM; i++) {
        if (tree->slots[i].used && tree->slots[i].parent == id && i != id) {
            id = i;
            i = 0;
        }
    }
    ticket_lock_release(&tree->lock);
    return id;
}

enum status container_revoke_all(struct container_tree *tree, uint32_t id)
{
    uint32_t leaf;

    do {
        leaf = container_find_leaf(tree, id);
        enum status status = container_revoke(tree, leaf);

        if (status != STATUS_OK) {
            return status;
        }
    } while (leaf != id);
    return STATUS_OK;
}

bool container_get(struct container_tree *tree, uint32_t id, struct container *copy)
{
    ticket_lock_acquire(&tree->lock);
    const struct container *container = container_find(tree, id);
    if (container) {
        *copy = *container;
    }
    ticket_lock_release(&tree->lock);
    return container != NULL;
}

bool container_is_within(struct container_tree *tree, uint32_t id, uint32_t ancestor)
{
    bool within = false;

    ticket_lock_acquire(&tree->lock);
    if (container_find(tree, id) && container_find(tree, ancestor)) {
        while (id != ancestor && id != CONTAINER_ROOT) {
            id = tree->slots[id].parent;
        }
        within = id == ancestor;
    }
    ticket_lock_release(&tree->lock);
    return within;
}
