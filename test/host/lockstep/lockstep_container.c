// SPDX-License-Identifier: MIT
// Lock-step: kernel/memory/container.c and the specification of containers.
#include <string.h>
#include "kernel/memory/container.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/container.h"

static struct container_tree tree;
static struct container_tree before;
static struct spec_containers spec;

static_assert(SPEC_CONTAINERS <= CONTAINER_MAXIMUM && SPEC_DEPTH == CONTAINER_DEPTH, "as many");

// Of the tree, what the slots that it may use are.
#define TREE_BYTES offsetof(struct container_tree, slots[SPEC_CONTAINERS])

// The kernel's tree is what the specification says, counters and sums included.
static void compare(void)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        const struct container *product = &tree.slots[i];
        const struct spec_container *slot = &spec.slots[i];

        lockstep_equal("used", product->used, slot->used);
        lockstep_equal("generation", product->generation, slot->generation);
        if (slot->used) {
            lockstep_equal("parent", product->parent, slot->parent);
            lockstep_equal("depth", product->depth, i ? tree.slots[slot->parent].depth + 1 : 1);
            lockstep_equal("quota", product->quota, slot->quota);
            lockstep_equal("usage", product->usage, slot->usage);
        }
    }
    const char *broken = spec_containers_invariant(&spec);
    if (broken != NULL) {
        lockstep_fail("broken: %s", broken);
    }
    lockstep_equal("lock", tree.lock.last, tree.lock.turn);
}

static void snapshot(void)
{
    memcpy(&before, &tree, TREE_BYTES);
}

// Slots `a` and `b` may have changed, and with `a` the chain of free ones; or none with SPEC_NONE.
static void only(const char *what, uint32_t a, uint32_t b)
{
    struct lockstep_field fields[4] = {LOCKSTEP_FIELD(tree.lock)};
    size_t count = 1;

    if (a != SPEC_NONE) {
        fields[count++] = (struct lockstep_field)LOCKSTEP_FIELD(tree.free);
        fields[count++] = (struct lockstep_field)LOCKSTEP_FIELD(tree.slots[a]);
    }
    if (b != SPEC_NONE) {
        fields[count++] = (struct lockstep_field)LOCKSTEP_FIELD(tree.slots[b]);
    }
    lockstep_only(what, &tree, &before, TREE_BYTES, fields, count);
    compare();
}

// A container id: mostly in use, now and then any number.
static uint32_t any_id(void)
{
    uint32_t id = lockstep_below(SPEC_CONTAINERS);

    if (lockstep_chance(2)) {
        return (uint32_t)lockstep_boundary(SPEC_CONTAINERS);
    }
    for (uint32_t i = 0; i < 8 && !spec.slots[id].used; i++) {
        id = lockstep_below(1 + lockstep_below(SPEC_CONTAINERS));
    }
    return id;
}

static uint64_t any_pages(uint32_t id)
{
    uint64_t left = 100;

    if (id < SPEC_CONTAINERS && spec.slots[id].used) {
        left = spec.slots[id].quota - spec.slots[id].usage;
    }
    return lockstep_chance(80) ? lockstep_below(1 + (uint32_t)(left / 4)) : lockstep_boundary(left);
}

static void split(uint32_t parent, uint64_t quota)
{
    snapshot();
    struct container_child made = container_split(&tree, parent, quota);
    enum status status = made.status;
    uint32_t child = made.id;
    if (status == STATUS_OK) {
        lockstep_same("split", container_split_spec(&spec, parent, quota, child, &spec), status);
        only("split", parent, child);
        lockstep_equal("children", tree.slots[child].children, 0);
        lockstep_equal("children", tree.slots[parent].children, before.slots[parent].children + 1);
        return;
    }
    // Whatever slot it had chosen: it is refused because of the rest, or because there is none.
    lockstep_same("split", container_split_spec(&spec, parent, quota, 0, &spec), status);
    only("split refused", SPEC_NONE, SPEC_NONE);
}

static void charge(uint32_t id, uint64_t pages)
{
    bool can = container_can_consume(&tree, id, pages);

    lockstep_equal("can_consume", can, container_can_consume_spec(&spec, id, pages));
    snapshot();
    enum status status = container_alloc(&tree, id, pages);
    lockstep_same("alloc", container_alloc_spec(&spec, id, pages, &spec), status);
    only("alloc", status == STATUS_OK ? id : SPEC_NONE, SPEC_NONE);
    lockstep_equal("can_consume told it", status == STATUS_OK, can);
}

static void uncharge(uint32_t id, uint64_t pages)
{
    snapshot();
    enum status status = container_free(&tree, id, pages);
    lockstep_same("free", container_free_spec(&spec, id, pages, &spec), status);
    only("free", status == STATUS_OK ? id : SPEC_NONE, SPEC_NONE);
}

static void revoke(uint32_t id)
{
    uint32_t parent = id < SPEC_CONTAINERS ? spec.slots[id].parent : SPEC_NONE;

    snapshot();
    enum status status = container_revoke(&tree, id);
    lockstep_same("revoke", container_revoke_spec(&spec, id, &spec), status);
    only("revoke", status == STATUS_OK ? id : SPEC_NONE, status == STATUS_OK ? parent : SPEC_NONE);
}

// The specification of ending a whole subtree: all leaves until `id` is one itself. The kernel may
// take the leaves in another order; what can be ended is the same.
static enum spec_rule revoke_all_spec(uint32_t id)
{
    enum spec_rule rule = container_revoke_spec(&spec, id, &spec);

    for (bool progress = true; progress && rule == REVOKE_EMPTY;) {
        progress = false;
        for (uint32_t i = SPEC_CONTAINERS; i-- > 1;) {
            progress |= i != id && container_is_within_spec(&spec, i, id) &&
                        container_revoke_spec(&spec, i, &spec) == SPEC_ALLOWED;
        }
        rule = container_revoke_spec(&spec, id, &spec);
    }
    return rule;
}

static void give_back_below(uint32_t id)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        if (container_is_within_spec(&spec, i, id)) {
            uint64_t lent = 0;

            for (uint32_t k = 1; k < SPEC_CONTAINERS; k++) {
                lent += spec.slots[k].used && spec.slots[k].parent == i ? spec.slots[k].quota : 0;
            }
            uncharge(i, spec.slots[i].usage - lent);
        }
    }
}

static void revoke_all(uint32_t id)
{
    if (id == CONTAINER_ROOT) {
        return; // ends the machine's containers; its refusal is revoke's
    }
    if (lockstep_chance(50)) {
        give_back_below(id);
    }
    enum status status = container_revoke_all(&tree, id);
    lockstep_same("revoke_all", revoke_all_spec(id), status);
    compare();
}

static void look(uint32_t id, uint32_t other)
{
    struct spec_container slot;
    uint32_t children;

    snapshot();
    struct container copy = container_get(&tree, id);
    bool found = copy.used;
    enum spec_rule rule = container_get_spec(&spec, id, &slot, &children);
    lockstep_same("get", rule, found ? STATUS_OK : STATUS_NOT_FOUND);
    lockstep_equal("quota", copy.quota, found ? slot.quota : 0);
    if (found) {
        lockstep_equal("usage", copy.usage, slot.usage);
        lockstep_equal("parent", copy.parent, slot.parent);
        lockstep_equal("children", copy.children, children);
        lockstep_equal("generation", copy.generation, slot.generation);
    }
    lockstep_equal("is_within", container_is_within(&tree, id, other),
                   container_is_within_spec(&spec, id, other));
    only("getters", SPEC_NONE, SPEC_NONE);
}

// A chain of children that goes as far down as it may, and one too far.
static void go_down(void)
{
    uint32_t id = CONTAINER_ROOT;

    for (uint64_t quota = 2 * CONTAINER_DEPTH; spec.slots[id].quota > 1; quota--) {
        uint32_t slot = tree.free;

        split(id, quota);
        if (!spec.slots[slot].used || spec.slots[slot].parent != id) {
            return;
        }
        id = slot;
    }
}

// All slots in use: a split has nowhere to go.
static void fill_slots(void)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        split(CONTAINER_ROOT, 1);
    }
}

// The specification alone refuses a child's slot that is not free, which the kernel never chooses.
static void check_choice_of_slot(void)
{
    lockstep_counted(container_split_spec(&spec, CONTAINER_ROOT, 1, CONTAINER_ROOT, &spec));
    compare();
}

static void start(void)
{
    uint64_t quota = lockstep_chance(10) ? UINT64_MAX : 1000 + lockstep_below(100000);

    container_tree_init(&tree, quota, SPEC_CONTAINERS);
    spec_containers_init(&spec, quota);
    compare();
    if (lockstep_chance(20)) {
        fill_slots();
    } else {
        go_down();
    }
    check_choice_of_slot();
}

static void step(void)
{
    uint32_t id = any_id();

    switch (lockstep_below(10)) {
    case 0:
    case 1:
    case 2:
        split(id, any_pages(id));
        break;
    case 3:
    case 4:
        charge(id, any_pages(id));
        break;
    case 5:
    case 6:
        uncharge(id, any_pages(id));
        break;
    case 7:
        revoke(id);
        break;
    case 8:
        look(id, any_id());
        break;
    default:
        if (lockstep_chance(10)) {
            revoke_all(id);
        }
        break;
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_CONTAINER};

    lockstep_begin(argc, argv, "containers", 200000);
    for (uint64_t i = 0; lockstep_more(); i++) {
        if (i % 5000 == 0) {
            start();
        }
        step();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
