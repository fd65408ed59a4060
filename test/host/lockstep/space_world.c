// SPDX-License-Identifier: MIT
// The world of space_world.h: its memory, and the comparison of the kernel's address spaces with
// the specification's.
#include "test/host/lockstep/space_world.h"
#include <string.h>
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"

#define BROKEN_BLOCKS 8u // blocks of 2 MiB from which single pages come, enough of them

static_assert(SPEC_REGIONS == REGION_MAXIMUM && SPEC_DYNAMIC_END == USER_DYNAMIC_END, "the same");

struct side sides[SIDES];
struct space_order order;
uint8_t spec_ram[HOST_RAM];
uint64_t space_pool;

static uint64_t blocks;       // that are whole when no side has one
static hpa_t held_blocks[64]; // of these, those that the test keeps for itself
static uint32_t held_block_count;

// -- comparing -----------------------------------------------------------------------------------

static struct address_space space_before;
static struct region_list list_before;
static uint8_t root_before[PAGE_SIZE];
static uint64_t invalidations_before[2];

void side_snapshot(struct side *side)
{
    order.space = &side->process.space;
    space_before = side->process.space;
    list_before = *side->process.space.regions;
    memcpy(root_before, memory_pointer(side->process.space.table.root), PAGE_SIZE);
    for (uint32_t cpu = 0; cpu < 2; cpu++) {
        invalidations_before[cpu] = host_processors[cpu].invalidations;
    }
}

uint64_t side_invalidations(uint32_t cpu)
{
    return host_processors[cpu].invalidations - invalidations_before[cpu];
}

void side_learn_frames(struct side *side, uint64_t address, uint64_t bytes)
{
    struct page_mapping leaf = {.address = address};

    while (page_table_next(&side->process.space.table, leaf.address + leaf.size, address + bytes,
                           &leaf) == STATUS_OK) {
        if (leaf.physical.value - space_pool >= LARGE_PAGE_SIZE) {
            space_frame_spec(&side->spec, spec_ram, leaf.address, leaf.physical.value);
        }
    }
}

static void only_list(const char *what, struct side *side, bool list_may)
{
    struct lockstep_field fields[] = {LOCKSTEP_FIELD(side->process.space.lock),
                                      LOCKSTEP_FIELD(side->process.space.recent)};
    struct lockstep_field list = {side->process.space.regions, list_may ? sizeof(list_before) : 0};

    lockstep_only(what, &side->process.space, &space_before, sizeof(space_before), fields, 2);
    lockstep_only(what, side->process.space.regions, &list_before, sizeof(list_before), &list, 1);
}

void side_compare_regions(const struct side *side)
{
    const struct region_list *list = side->process.space.regions;

    lockstep_equal("regions", list->count, side->spec.count);
    for (uint32_t i = 0; i < side->spec.count; i++) {
        const struct region *product = &list->entries[i];
        const struct spec_region *model = &side->spec.regions[i];

        lockstep_equal("start", product->start, model->start);
        lockstep_equal("bytes", product->bytes, model->bytes);
        lockstep_equal("kind", product->kind, model->kind);
        lockstep_equal("permission", product->permission, model->permission);
        lockstep_equal("pins", product->pins, model->pins);
    }
    lockstep_equal("charged", kernel_containers.slots[side->container].usage,
                   side->spec.charged + side->others + side->held);
}

void side_compare_leaves(const struct side *side)
{
    struct page_mapping leaf = {0};
    uint32_t count = 0;

    while (page_table_next(&side->process.space.table, leaf.address + leaf.size, USER_LIMIT,
                           &leaf) == STATUS_OK) {
        const struct spec_leaf *model = &side->spec.table.leaves[count++];

        lockstep_equal("leaf", leaf.address, model->address);
        lockstep_equal("size", leaf.size, model->size);
        lockstep_equal("frame", leaf.physical.value, model->physical);
        lockstep_equal("permissions", leaf.permissions, model->permissions);
        lockstep_equal("type", leaf.type, model->type);
    }
    lockstep_equal("leaves", count, side->spec.table.count);
    const char *broken = spec_space_invariant(&side->spec);
    if (broken != NULL) {
        lockstep_fail("it does not hold any more that %s", broken);
    }
}

void side_compare_bytes(const struct side *side, uint64_t from, uint64_t to)
{
    for (uint32_t i = 0; i < side->spec.table.count; i++) {
        const struct spec_leaf *leaf = &side->spec.table.leaves[i];

        if (leaf->address < to && leaf->address + leaf->size > from &&
            memcmp(memory_pointer(hpa(leaf->physical)), spec_ram + leaf->physical, leaf->size) !=
                0) {
            lockstep_fail("other bytes are at 0x%lx than were written", leaf->address);
        }
    }
}

static void compare_owners(void *unused)
{
    static uint8_t mapped[HOST_RAM / PAGE_SIZE];

    (void)unused;
    memset(mapped, 0, sizeof(mapped));
    for (uint32_t i = 0; i < SIDES * SPEC_LEAVES; i++) {
        const struct side *side = &sides[i % SIDES];
        const struct spec_leaf *leaf = &side->spec.table.leaves[i / SIDES];

        for (uint64_t at = 0; i / SIDES < side->spec.table.count && at < leaf->size;
             at += PAGE_SIZE) {
            uint64_t frame = leaf->physical + at;
            bool lent = frame - space_pool < LARGE_PAGE_SIZE;

            lockstep_equal("owner", page_owner(&kernel_pages, hpa(frame)),
                           lent ? PAGE_OWNER_KERNEL : side->container);
            lockstep_equal("mapped twice", !lent && mapped[frame / PAGE_SIZE]++, false);
        }
    }
}

void space_compare_owners(void)
{
    host_on_cpu(0, compare_owners, NULL);
}

void side_compare(const char *what, struct side *side, enum spec_rule rule, bool table)
{
    static uint32_t compared;

    lockstep_same(what, rule, order.status);
    only_list(what, side, rule == SPEC_ALLOWED);
    side_compare_regions(side);
    if (rule == SPEC_ALLOWED ? table : ++compared % 8 == 0) {
        side_compare_leaves(side);
    }
    if (rule != SPEC_ALLOWED &&
        memcmp(root_before, memory_pointer(side->process.space.table.root), PAGE_SIZE) != 0) {
        lockstep_fail("%s: refused, and changed the root table", what);
    }
}

// -- what there is -------------------------------------------------------------------------------

struct spec_supply side_supply(const struct side *side)
{
    uint64_t whole = blocks - held_block_count;

    for (uint32_t i = 0; i < SIDES; i++) {
        for (uint32_t k = 0; k < sides[i].spec.table.count; k++) {
            const struct spec_leaf *leaf = &sides[i].spec.table.leaves[k];

            whole -= leaf->size == LARGE_PAGE_SIZE && leaf->physical != space_pool;
        }
    }
    return (struct spec_supply){SIDE_QUOTA - side->spec.charged - side->others - side->held, whole};
}

static void leave_quota(void *argument)
{
    struct side *side = argument;
    uint64_t free = SIDE_QUOTA - side->spec.charged - side->others;

    if (container_free(&kernel_containers, side->container, side->held) != STATUS_OK) {
        lockstep_fail("no quota to give back");
    }
    side->held = side->left < free ? free - side->left : 0;
    if (container_alloc(&kernel_containers, side->container, side->held) != STATUS_OK) {
        lockstep_fail("no quota to take");
    }
}

static void leave_blocks(void *left)
{
    while (held_block_count > 0) {
        lockstep_equal("a block",
                       page_free(&kernel_pages, PAGE_OWNER_KERNEL, held_blocks[--held_block_count],
                                 LARGE_PAGE_SIZE),
                       STATUS_OK);
    }
    while (side_supply(&sides[0]).blocks > *(const uint32_t *)left) {
        lockstep_equal("a block",
                       page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, LARGE_PAGE_SIZE,
                                     PAGE_CONTENTS_KEPT, &held_blocks[held_block_count++]),
                       STATUS_OK);
    }
}

void side_leave_quota(struct side *side, uint64_t left)
{
    side->left = left;
    host_on_cpu(0, leave_quota, side);
}

void space_leave_blocks(uint32_t left)
{
    host_on_cpu(0, leave_blocks, &left);
}

// -- the machine ---------------------------------------------------------------------------------

// Single pages come from BROKEN_BLOCKS blocks, one page of each of which is never given back.
static void break_blocks(void)
{
    static hpa_t pages[BROKEN_BLOCKS * PAGES_PER_BLOCK];
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < ARRAY_COUNT(pages) && status == STATUS_OK; i++) {
        status = page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, PAGE_SIZE, PAGE_CONTENTS_KEPT,
                               &pages[i]);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(pages) && status == STATUS_OK; i++) {
        if (i % 256 != 0) {
            status = page_free(&kernel_pages, PAGE_OWNER_KERNEL, pages[i], PAGE_SIZE);
        }
    }
    lockstep_equal("broken blocks", status, STATUS_OK);
}

static void make_machine(void *unused)
{
    hpa_t frames = hpa(0);

    (void)unused;
    break_blocks();
    lockstep_equal(
        "pool",
        page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, LARGE_PAGE_SIZE, PAGE_ZEROED, &frames),
        STATUS_OK);
    space_pool = frames.value;
    for (uint32_t i = 0; i < SIDES; i++) {
        struct container_child made =
            container_split(&kernel_containers, CONTAINER_ROOT, SIDE_QUOTA);

        lockstep_equal("container", made.status, STATUS_OK);
        sides[i].container = made.id;
    }
    while (page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, LARGE_PAGE_SIZE, PAGE_CONTENTS_KEPT,
                         &held_blocks[held_block_count]) == STATUS_OK) {
        held_block_count++;
    }
    blocks = held_block_count;
}

void space_world_start(void)
{
    host_machine_start(2);
    host_on_cpu(0, make_machine, NULL);
}

void space_call_allocate(void *unused)
{
    (void)unused;
    order.status =
        address_space_allocate(order.space, order.bytes, order.permission, &order.address);
}

void space_call_borrow(void *unused)
{
    (void)unused;
    order.status = address_space_map_borrowed(order.space, hpa(order.frames), order.bytes,
                                              order.permission, &order.address);
}

void space_call_free(void *unused)
{
    (void)unused;
    order.status = address_space_free(order.space, order.address, order.bytes, order.kind);
}
