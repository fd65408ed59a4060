// SPDX-License-Identifier: MIT
// The tree of quotas (container.h), with sums where the kernel keeps counters.
#include "test/spec/container.h"

void spec_containers_init(struct spec_containers *containers, uint64_t quota)
{
    *containers = (struct spec_containers){0};
    containers->slots[0] = (struct spec_container){.used = true, .quota = quota, .generation = 1};
}

static bool used(const struct spec_containers *containers, uint32_t id)
{
    return id < SPEC_CONTAINERS && containers->slots[id].used;
}

static bool is_child(const struct spec_containers *containers, uint32_t parent, uint32_t id)
{
    return id != 0 && containers->slots[id].used && containers->slots[id].parent == parent;
}

static uint32_t children_of(const struct spec_containers *containers, uint32_t id)
{
    uint32_t count = 0;

    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        count += is_child(containers, id, i);
    }
    return count;
}

// The quotas that the children of `id` have from it.
static uint64_t lent_by(const struct spec_containers *containers, uint32_t id)
{
    uint64_t lent = 0;

    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        lent += is_child(containers, id, i) ? containers->slots[i].quota : 0;
    }
    return lent;
}

const char *spec_containers_invariant(const struct spec_containers *containers)
{
    uint64_t lent[SPEC_CONTAINERS] = {0};

    if (!containers->slots[0].used || containers->slots[0].parent != 0) {
        return "the root is in use and has no parent";
    }
    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        if (containers->slots[i].used) {
            if (!used(containers, containers->slots[i].parent)) {
                return "the parent of a container in use is in use";
            }
            lent[containers->slots[i].parent] += containers->slots[i].quota;
        }
    }
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        if (containers->slots[i].used && containers->slots[i].usage > containers->slots[i].quota) {
            return "usage is at most the quota";
        }
        if (containers->slots[i].used && lent[i] > containers->slots[i].usage) {
            return "the quotas of the children are part of the usage";
        }
    }
    return NULL;
}

static bool any_free(const struct spec_containers *containers)
{
    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        if (!containers->slots[i].used) {
            return true;
        }
    }
    return false;
}

static uint32_t depth_of(const struct spec_containers *containers, uint32_t id)
{
    uint32_t depth = 1;

    for (; id != 0; id = containers->slots[id].parent) {
        depth++;
    }
    return depth;
}

static void begin(const struct spec_containers *now, struct spec_containers *next)
{
    if (next != now) {
        *next = *now;
    }
}

enum spec_rule container_split_spec(const struct spec_containers *now, uint32_t parent,
                                    uint64_t quota, uint32_t child, struct spec_containers *next)
{
    if (!used(now, parent)) {
        return SPLIT_PARENT;
    }
    if (quota == 0) {
        return SPLIT_QUOTA_ZERO;
    }
    if (quota > now->slots[parent].quota - now->slots[parent].usage) {
        return SPLIT_QUOTA;
    }
    if (!any_free(now)) {
        return SPLIT_SLOT;
    }
    if (depth_of(now, parent) == SPEC_DEPTH) {
        return SPLIT_DEPTH;
    }
    if (child == 0 || child >= SPEC_CONTAINERS || now->slots[child].used) {
        return SPLIT_CHILD;
    }
    begin(now, next);
    next->slots[parent].usage += quota;
    next->slots[child] = (struct spec_container){.used = true,
                                                 .parent = parent,
                                                 .quota = quota,
                                                 .generation = now->slots[child].generation + 1};
    return SPEC_ALLOWED;
}

enum spec_rule container_alloc_spec(const struct spec_containers *now, uint32_t id, uint64_t pages,
                                    struct spec_containers *next)
{
    if (!used(now, id)) {
        return ALLOC_CONTAINER;
    }
    if (pages > now->slots[id].quota - now->slots[id].usage) {
        return ALLOC_QUOTA;
    }
    begin(now, next);
    next->slots[id].usage += pages;
    return SPEC_ALLOWED;
}

enum spec_rule container_free_spec(const struct spec_containers *now, uint32_t id, uint64_t pages,
                                   struct spec_containers *next)
{
    if (!used(now, id)) {
        return FREE_CONTAINER;
    }
    if (pages > now->slots[id].usage - lent_by(now, id)) {
        return FREE_OWN;
    }
    begin(now, next);
    next->slots[id].usage -= pages;
    return SPEC_ALLOWED;
}

enum spec_rule container_revoke_spec(const struct spec_containers *now, uint32_t id,
                                     struct spec_containers *next)
{
    if (!used(now, id)) {
        return REVOKE_CONTAINER;
    }
    if (id == 0) {
        return REVOKE_ROOT;
    }
    if (now->slots[id].usage != 0 || children_of(now, id) != 0) {
        return REVOKE_EMPTY;
    }
    begin(now, next);
    next->slots[now->slots[id].parent].usage -= now->slots[id].quota;
    next->slots[id].used = false;
    return SPEC_ALLOWED;
}

bool container_can_consume_spec(const struct spec_containers *now, uint32_t id, uint64_t pages)
{
    return used(now, id) && pages <= now->slots[id].quota - now->slots[id].usage;
}

enum spec_rule container_get_spec(const struct spec_containers *now, uint32_t id,
                                  struct spec_container *copy, uint32_t *children)
{
    if (!used(now, id)) {
        return GET_CONTAINER;
    }
    *copy = now->slots[id];
    *children = children_of(now, id);
    return SPEC_ALLOWED;
}

bool container_is_within_spec(const struct spec_containers *now, uint32_t id, uint32_t ancestor)
{
    if (!used(now, id) || !used(now, ancestor)) {
        return false;
    }
    while (id != ancestor && id != 0) {
        id = now->slots[id].parent;
    }
    return id == ancestor;
}
