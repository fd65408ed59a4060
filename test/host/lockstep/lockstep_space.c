// SPDX-License-Identifier: MIT
// Lock-step: address spaces (kernel/memory/address_space.c with region list, page tables,
// containers and page allocator behind them), copies from and to them (user_copy.c), and their
// specification. Two of them share a space_pool of borrowed frames (space_world.h), and one of the
// two CPUs that may run on them is told to drop its translations.
#include <string.h>
#include "kernel/memory/container.h"
#include "kernel/memory/page_allocator.h"
#include "kernel/memory/user_copy.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/space_world.h"

#define BUFFER (3 * PAGE_SIZE)

static uint8_t buffer[BUFFER];
static uint8_t expected[BUFFER];

// -- calls, on CPU 0 -----------------------------------------------------------------------------

static void call_init(void *container)
{
    order.status = address_space_init(order.space, *(const uint32_t *)container);
}

static void call_destroy(void *unused)
{
    (void)unused;
    address_space_destroy(order.space);
}

static void call_allocate_at(void *unused)
{
    (void)unused;
    order.status =
        address_space_allocate_at(order.space, order.address, order.bytes, order.permission);
}

static void call_pin(void *unused)
{
    (void)unused;
    order.status = address_space_pin(order.space, order.address, order.bytes, order.writable);
}

static void call_unpin(void *unused)
{
    (void)unused;
    address_space_unpin(order.space, order.address);
}

static void call_translate(void *unused)
{
    (void)unused;
    order.status = address_space_translate(order.space, order.address, &order.mapping);
}

static void call_copy_from(void *unused)
{
    (void)unused;
    order.status = copy_from_user(order.space, buffer, order.address, order.bytes);
}

static void call_copy_to(void *unused)
{
    (void)unused;
    order.status = copy_to_user(order.space, order.address, buffer, order.bytes);
}

static void call_write(void *unused)
{
    (void)unused;
    order.status = address_space_write(order.space, order.address, buffer, order.bytes);
}

static void call_check(void *unused)
{
    (void)unused;
    order.status = user_range_check(order.space, order.address, order.bytes, order.writable);
}

// What a panic leaves locked is freed, since the test goes on.
static void call_stops(void *function)
{
    bool panicked = host_panics(*(void (**)(void *))function, NULL);

    order.status = panicked ? SPEC_PANIC : STATUS_OK;
    if (panicked && order.space->lock.holder != 0) {
        lock_release(&order.space->lock);
    }
}

static void run_stopping(void (*function)(void *))
{
    host_on_cpu(0, call_stops, &function);
}

// -- what is asked for ---------------------------------------------------------------------------

static uint64_t any_address(const struct side *side)
{
    const struct spec_region *region;

    if (side->spec.count == 0 || lockstep_chance(10)) {
        return lockstep_chance(50) ? USER_LIMIT - lockstep_below(3 * PAGE_SIZE)
                                   : lockstep_boundary(USER_LIMIT);
    }
    region = &side->spec.regions[lockstep_below(side->spec.count)];
    switch (lockstep_below(7)) {
    case 0:
    case 1:
        return region->start;
    case 2:
        return region->start - 1 - lockstep_below(2 * PAGE_SIZE);
    case 3:
        return region->start + region->bytes - 1 - lockstep_below(PAGE_SIZE);
    case 4:
        return region->start + region->bytes;
    default:
        return region->start + lockstep_random() % region->bytes;
    }
}

static uint64_t any_size(void)
{
    switch (lockstep_below(40)) {
    case 0:
        return lockstep_boundary(USER_DYNAMIC_END - USER_DYNAMIC_BASE);
    case 1:
        return LARGE_PAGE_SIZE * (1 + lockstep_below(3)) + lockstep_below(3 * PAGE_SIZE) -
               PAGE_SIZE;
    case 2:
        return 0;
    default:
        return 1 + lockstep_below(4 * PAGE_SIZE);
    }
}

static void change_supply(struct side *side)
{
    uint32_t left = lockstep_chance(70) ? 7 : lockstep_below(4);

    space_leave_blocks(left);
    side_leave_quota(side, lockstep_chance(50) ? SIDE_QUOTA
                                               : lockstep_below(20 + 500 * lockstep_below(3)));
}

// -- steps ---------------------------------------------------------------------------------------

// A region was asked for: as specified, and its new frames are zero.
static void added(const char *what, struct side *side, enum spec_rule rule, uint64_t address)
{
    if (rule == SPEC_ALLOWED) {
        lockstep_equal("address", order.address, address);
        side_learn_frames(side, address, order.bytes);
        side_compare_bytes(side, address, address + order.bytes);
    }
    side_compare(what, side, rule, true);
}

static void allocate(struct side *side)
{
    struct spec_supply supply = side_supply(side);
    uint64_t address = 0;

    side_snapshot(side);
    order.bytes = any_size();
    order.permission = lockstep_below(4);
    host_on_cpu(0, space_call_allocate, NULL);
    enum spec_rule rule = space_allocate_spec(&side->spec, &supply, order.bytes, order.permission,
                                              &side->spec, &address);
    added("allocate", side, rule, address);
}

static void allocate_at(struct side *side)
{
    struct spec_supply supply = side_supply(side);
    uint64_t address = any_address(side);

    if (lockstep_chance(90)) {
        address &= ~PAGE_MASK;
    }
    if (lockstep_chance(5)) {
        address = lockstep_below(4) * LARGE_PAGE_SIZE + lockstep_below(600) * PAGE_SIZE;
    }
    side_snapshot(side);
    order.address = address;
    order.bytes = lockstep_chance(90) ? (any_size() + PAGE_MASK) & ~PAGE_MASK : any_size();
    order.permission = lockstep_below(4);
    host_on_cpu(0, call_allocate_at, NULL);
    added("allocate_at", side,
          space_allocate_at_spec(&side->spec, &supply, address, order.bytes, order.permission,
                                 &side->spec),
          address);
}

static void map_borrowed(struct side *side)
{
    struct spec_supply supply = side_supply(side);
    uint64_t page = lockstep_chance(80) ? lockstep_below(PAGES_PER_BLOCK) : 0;
    bool many = side->spec.table.count < 600 && lockstep_chance(3);
    uint64_t pages = many ? PAGES_PER_BLOCK : lockstep_below(5);
    uint64_t address = 0;

    side_snapshot(side);
    order.frames = space_pool + page * PAGE_SIZE;
    order.bytes = (page + pages > PAGES_PER_BLOCK ? PAGES_PER_BLOCK - page : pages) * PAGE_SIZE;
    if (lockstep_chance(4)) {
        order.frames += lockstep_chance(50) ? 8 : 1ull << 40;
    } else if (lockstep_chance(2)) {
        order.bytes = lockstep_chance(50) ? UINT64_MAX << PAGE_SHIFT : 1ull << 45;
    }
    order.permission = lockstep_below(4);
    host_on_cpu(0, space_call_borrow, NULL);
    enum spec_rule rule = space_map_borrowed_spec(&side->spec, &supply, order.frames, order.bytes,
                                                  order.permission, &side->spec, &address);
    added("map_borrowed", side, rule, address);
}

static void free_region(struct side *side)
{
    bool member = (side->process.space.cpus.bits & 2) != 0;

    side_snapshot(side);
    order.address = any_address(side);
    order.bytes = any_size();
    order.kind = (enum region_kind)lockstep_below(3);
    if (side->spec.count > 0 && lockstep_chance(80)) { // it goes, mostly
        const struct spec_region *region = &side->spec.regions[lockstep_below(side->spec.count)];

        order.address = region->start;
        order.bytes = region->bytes - lockstep_below(PAGE_SIZE + 1);
        order.kind = lockstep_chance(90) ? (enum region_kind)region->kind : order.kind;
    }
    host_on_cpu(0, space_call_free, NULL);
    enum spec_rule rule =
        space_free_spec(&side->spec, order.address, order.bytes, order.kind, &side->spec);
    side_compare("free", side, rule, true);
    bool freed = rule == SPEC_ALLOWED;
    lockstep_equal("dropped here", side_invalidations(0) > 0, freed);
    lockstep_equal("dropped there", side_invalidations(1) > 0, freed && member);
}

static void pin(struct side *side)
{
    side_snapshot(side);
    order.address = any_address(side);
    order.bytes = lockstep_chance(80) ? lockstep_below(2 * PAGE_SIZE) : lockstep_boundary(1u << 21);
    order.writable = lockstep_chance(50);
    host_on_cpu(0, call_pin, NULL);
    side_compare(
        "pin", side,
        space_pin_spec(&side->spec, order.address, order.bytes, order.writable, &side->spec),
        false);
}

static void unpin(struct side *side)
{
    side_snapshot(side);
    order.address = any_address(side);
    run_stopping(call_unpin);
    side_compare("unpin", side, space_unpin_spec(&side->spec, order.address, &side->spec), false);
}

// A region that is pinned as often as can be counted is pinned once more.
static void pin_too_often(struct side *side)
{
    uint32_t at = lockstep_below(side->spec.count + 1);

    if (at == side->spec.count) {
        return;
    }
    uint32_t pins = side->spec.regions[at].pins;
    side->process.space.regions->entries[at].pins = side->spec.regions[at].pins = UINT32_MAX;
    side_snapshot(side);
    order.address = side->spec.regions[at].start;
    order.bytes = 1;
    order.writable = false;
    host_on_cpu(0, call_pin, NULL);
    side_compare("pin", side, space_pin_spec(&side->spec, order.address, 1, false, &side->spec),
                 false);
    side->process.space.regions->entries[at].pins = side->spec.regions[at].pins = pins;
}

static void translate(struct side *side)
{
    struct spec_leaf leaf;

    side_snapshot(side);
    order.address = any_address(side);
    host_on_cpu(0, call_translate, NULL);
    enum spec_rule rule = space_translate_spec(&side->spec, order.address, &leaf);
    side_compare("translate", side, rule, false);
    if (rule == SPEC_ALLOWED) {
        lockstep_equal("frame", order.mapping.address.value,
                       leaf.physical + (order.address - leaf.address));
        lockstep_equal("size", order.mapping.page_size, leaf.size);
        lockstep_equal("writable", order.mapping.writable, (leaf.permissions & SPEC_WRITE) != 0);
        lockstep_equal("executable", order.mapping.executable,
                       (leaf.permissions & SPEC_EXECUTE) != 0);
    }
}

// Chooses a range; `buffer` and `expected` hold the same random bytes.
static void choose_copy(struct side *side)
{
    side_snapshot(side);
    order.address = any_address(side);
    order.bytes = lockstep_chance(80) ? lockstep_below(300) : lockstep_below(BUFFER + 1);
    for (uint32_t i = 0; i < BUFFER; i += 8) {
        uint64_t word = lockstep_random();

        memcpy(buffer + i, &word, 8);
    }
    memcpy(expected, buffer, BUFFER);
}

static void copy_from(struct side *side)
{
    choose_copy(side);
    host_on_cpu(0, call_copy_from, NULL);
    side_compare("copy_from_user", side,
                 copy_from_user_spec(&side->spec, spec_ram, order.address, order.bytes, expected),
                 false);
    if (memcmp(buffer, expected, BUFFER) != 0) {
        lockstep_fail("copy_from_user gave other bytes");
    }
}

static void copy_to(struct side *side)
{
    bool as_program = lockstep_chance(70);

    choose_copy(side);
    host_on_cpu(0, as_program ? call_copy_to : call_write, NULL);
    side_compare(
        "copy to the user", side,
        copy_to_user_spec(&side->spec, order.address, order.bytes, as_program, expected, spec_ram),
        false);
    side_compare_bytes(side, order.address, order.address + order.bytes);
}

static void check_range(struct side *side)
{
    choose_copy(side);
    order.writable = lockstep_chance(50);
    order.bytes = lockstep_chance(10) ? lockstep_boundary(USER_LIMIT) : order.bytes;
    host_on_cpu(0, call_check, NULL);
    side_compare("user_range_check", side,
                 user_range_spec(&side->spec, order.address, order.bytes, order.writable), false);
}

// -- beginning and end of an address space -------------------------------------------------------

static void begin_space(struct side *side)
{
    struct spec_supply supply = side_supply(side);
    enum spec_rule rule = space_init_spec(&supply, 1ull << 40, &side->spec);

    order.space = &side->process.space;
    host_on_cpu(0, call_init, &side->container);
    lockstep_same("init", rule, order.status);
    if (rule != SPEC_ALLOWED) {
        lockstep_equal("nothing is charged", kernel_containers.slots[side->container].usage,
                       side->held);
        side_leave_quota(side, SIDE_QUOTA);
        begin_space(side);
        return;
    }
    side->process.space.cpus.bits = lockstep_below(2) << 1;
    side_compare_regions(side);
    side_compare_leaves(side);
}

static void end_space(struct side *side)
{
    order.space = &side->process.space;
    side->process.space.cpus.bits = 0;
    if (side->spec.count > 0 && side->spec.regions[0].pins > 0) {
        run_stopping(call_destroy);
        lockstep_same("destroy", space_destroy_spec(&side->spec, &side->spec), order.status);
        side_compare_leaves(side);
    }
    for (uint32_t i = 0; i < side->spec.count; i++) {
        side->process.space.regions->entries[i].pins = side->spec.regions[i].pins = 0;
    }
    host_on_cpu(0, call_destroy, NULL);
    lockstep_counted(space_destroy_spec(&side->spec, &side->spec));
    lockstep_equal("nothing is charged", kernel_containers.slots[side->container].usage,
                   side->held);
}

static void begin_again(struct side *side)
{
    end_space(side);
    side_leave_quota(side, lockstep_chance(60) ? SIDE_QUOTA : lockstep_below(4));
    begin_space(side);
}

// The list is full; more is asked for.
static void fill_list(struct side *side)
{
    side_leave_quota(side, SIDE_QUOTA);
    for (uint32_t i = 0; i < 400 && side->spec.count < REGION_MAXIMUM; i++) {
        map_borrowed(side);
    }
    for (uint32_t i = 0; i < 4; i++) {
        allocate(side);
        allocate_at(side);
        map_borrowed(side);
    }
}

static void step(uint64_t i)
{
    static void (*const others[])(struct side * side) = {
        pin, pin, unpin, translate, copy_from, copy_from, copy_to, copy_to, copy_to, check_range};
    static void (*const adding[])(struct side * side) = {allocate, allocate, allocate_at,
                                                         map_borrowed};
    struct side *side = &sides[lockstep_below(2)];

    if (i % 100 == 0) {
        change_supply(side);
        side->regions = 3 + lockstep_below(30);
    }
    if (lockstep_chance(50)) {
        others[lockstep_below(ARRAY_COUNT(others))](side);
    } else if (lockstep_chance(1)) {
        pin_too_often(side);
    } else if (lockstep_chance(side->spec.count < side->regions ? 90 : 30)) {
        adding[lockstep_below(ARRAY_COUNT(adding))](side);
    } else {
        free_region(side);
    }
    if (i % 256 == 0) {
        space_compare_owners();
        side_compare_bytes(&sides[0], 0, USER_LIMIT);
        side_compare_bytes(&sides[1], 0, USER_LIMIT);
    }
    if (i % 1000 == 500) {
        begin_again(side);
    } else if (i % 2000 == 999) {
        fill_list(side);
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_SPACE, SPEC_COPY};

    lockstep_begin(argc, argv, "address spaces, user copies", 60000);
    space_world_start();
    begin_space(&sides[0]);
    begin_space(&sides[1]);
    for (uint64_t i = 0; lockstep_more(); i++) {
        step(i);
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
