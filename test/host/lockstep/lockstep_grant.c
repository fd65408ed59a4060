// SPDX-License-Identifier: MIT
// Lock-step: guest memory (kernel/vm/vm.c) over a process's address space (space_world.h), and its
// specification. A backend that does nothing but count stands for the processor's. What a guest may
// use stays where it is until it is taken away, and then no CPU keeps a translation of it.
#include <string.h>
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/vm/log.h"
#include "kernel/vm/objects.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/space_world.h"
#include "test/spec/grant.h"

#define GUEST_PAGES 4096u // guest-physical addresses that are asked for, mostly

static struct side *const side = &sides[0];
static struct vm *vm; // null: none
static struct spec_vm spec;
static uint64_t invalidated[2]; // by each CPU

// -- the backend ----------------------------------------------------------------------------------

static enum status start(const struct virt_page *page)
{
    return page->address != NULL ? STATUS_OK : STATUS_INVALID;
}

static enum page_level largest(void)
{
    return PAGE_LEVEL_2M;
}

static void init_vm(struct virt_vm *virt, const struct virt_page *pages,
                    const struct page_table *nested)
{
    (void)pages;
    virt->nested = nested;
}

static void invalidate(void)
{
    invalidated[host_cpu]++;
}

static const struct virt_ops backend = {.name = "counting",
                                        .cpu_start = start,
                                        .nested_format = PAGE_FORMAT_EPT,
                                        .nested_largest = largest,
                                        .vm_init = init_vm,
                                        .invalidate = invalidate};

const struct virt_ops *virt_probe(struct vm_support *support)
{
    support->lack = VM_LACKS_NOTHING;
    return &backend;
}

const struct virt_ops *vm_log_events(const struct virt_ops *ops)
{
    return ops;
}

void vcpu_free(struct vcpu *vcpu)
{
    (void)vcpu;
    lockstep_fail("there are no vCPUs here");
}

// -- calls, on CPU 0 ------------------------------------------------------------------------------

static uint64_t guest; // address
static uint32_t flags;

static void call_start(void *unused)
{
    (void)unused;
    virt_init();
}

static void call_space(void *unused)
{
    (void)unused;
    order.status = address_space_init(order.space, side->container);
}

static void call_make(void *unused)
{
    (void)unused;
    order.status = vm_create(&side->process, &vm);
}

static void call_end(void *unused)
{
    (void)unused;
    object_release(&vm->object);
}

static void call_grant(void *unused)
{
    (void)unused;
    order.status = vm_grant(vm, guest, order.address, order.bytes, flags);
}

static void call_revoke(void *unused)
{
    (void)unused;
    order.status = vm_revoke(vm, guest, order.bytes);
}

static void call_program(void *unused)
{
    (void)unused;
    order.status =
        address_space_allocate_at(order.space, order.address, order.bytes, order.permission);
}

// -- comparing ------------------------------------------------------------------------------------

static void compare_nested(void)
{
    struct page_mapping leaf = {0};
    uint32_t count = 0;

    while (page_table_next(&vm->nested, leaf.address + leaf.size, 1ull << 40, &leaf) == STATUS_OK) {
        const struct spec_leaf *model = &spec.nested.leaves[count++];

        lockstep_equal("guest-physical address", leaf.address, model->address);
        lockstep_equal("size", leaf.size, model->size);
        lockstep_equal("frame", leaf.physical.value, model->physical);
        lockstep_equal("permissions", leaf.permissions, model->permissions);
        lockstep_equal("type", leaf.type, model->type);
    }
    lockstep_equal("leaves", count, spec.nested.count);
}

static void compare(const char *what, enum spec_rule rule)
{
    static uint32_t compared;
    uint64_t granted = 0;

    side->others = spec.charged;
    lockstep_same(what, rule, order.status);
    side_compare_regions(side);
    if (vm == NULL) {
        return;
    }
    for (uint32_t i = 0; i < spec.count; i++) {
        granted += spec.grants[i].bytes;
    }
    lockstep_equal("granted", vm->granted_bytes, granted);
    // All of it now and then; whatever changed it wrongly is still there.
    if (++compared % 4 != 0) {
        return;
    }
    compare_nested();
    const char *broken = spec_vm_invariant(&spec, &side->spec);
    if (broken != NULL) {
        lockstep_fail("after %s it does not hold any more that %s", what, broken);
    }
}

// -- steps ----------------------------------------------------------------------------------------

static const struct spec_region *any_region(void)
{
    static const struct spec_region none = {SPEC_DYNAMIC_BASE, PAGE_SIZE, 0, 0, 0};

    return side->spec.count > 0 ? &side->spec.regions[lockstep_below(side->spec.count)] : &none;
}

static uint64_t any_size(void)
{
    return lockstep_chance(90) ? (1 + lockstep_below(8)) * PAGE_SIZE
                               : LARGE_PAGE_SIZE + lockstep_below(3) * PAGE_SIZE;
}

static void add_region(void)
{
    struct spec_supply supply = side_supply(side);
    enum spec_rule rule;

    order.bytes = any_size();
    order.permission = lockstep_chance(80) ? SPEC_USER_WRITE : lockstep_below(4);
    order.frames = space_pool + lockstep_below(300) * PAGE_SIZE;
    if (lockstep_chance(60)) {
        host_on_cpu(0, space_call_allocate, NULL);
        rule = space_allocate_spec(&side->spec, &supply, order.bytes, order.permission, &side->spec,
                                   &order.address);
    } else if (lockstep_chance(50)) {
        order.bytes %= LARGE_PAGE_SIZE;
        order.bytes += PAGE_SIZE;
        host_on_cpu(0, space_call_borrow, NULL);
        rule = space_map_borrowed_spec(&side->spec, &supply, order.frames, order.bytes,
                                       order.permission, &side->spec, &order.address);
    } else {
        order.address = LARGE_PAGE_SIZE + lockstep_below(300) * PAGE_SIZE;
        host_on_cpu(0, call_program, NULL);
        rule = space_allocate_at_spec(&side->spec, &supply, order.address, order.bytes,
                                      order.permission, &side->spec);
    }
    if (rule == SPEC_ALLOWED) {
        side_learn_frames(side, order.address, order.bytes);
    }
    compare("a region", rule);
    side_compare_leaves(side);
}

static void free_region(void)
{
    const struct spec_region *region = any_region();

    order.address = region->start;
    order.bytes = region->bytes;
    order.kind = (enum region_kind)region->kind;
    host_on_cpu(0, space_call_free, NULL);
    compare("free",
            space_free_spec(&side->spec, order.address, order.bytes, order.kind, &side->spec));
}

// Mostly a part of a region, at an address that is free or hardly not.
static struct spec_grant any_grant(void)
{
    const struct spec_region *region = any_region();
    uint64_t pages = region->bytes / PAGE_SIZE;
    uint64_t first = lockstep_chance(50) ? 0 : lockstep_random() % pages;
    uint64_t count = lockstep_chance(40) ? pages - first : lockstep_below(6);
    struct spec_grant grant = {lockstep_below(GUEST_PAGES) * PAGE_SIZE, count * PAGE_SIZE,
                               region->start + first * PAGE_SIZE};

    if (lockstep_chance(30)) { // as aligned as the memory is
        grant.gpa = (grant.gpa & ~(LARGE_PAGE_SIZE - 1)) + grant.address % LARGE_PAGE_SIZE;
    }
    switch (lockstep_below(40)) {
    case 0:
        grant.address += 8;
        break;
    case 1:
        grant.gpa = (1ull << 40) - lockstep_below(4) * PAGE_SIZE;
        break;
    case 2:
        grant.address = lockstep_boundary(USER_LIMIT) & ~PAGE_MASK;
        break;
    default:
        break;
    }
    return grant;
}

static void grant(void)
{
    struct spec_grant wanted = any_grant();

    flags = lockstep_chance(97) ? 1 | lockstep_below(8) : lockstep_below(16);
    guest = wanted.gpa;
    order.address = wanted.address;
    order.bytes = wanted.bytes;
    uint64_t quota = side_supply(side).quota;
    host_on_cpu(0, call_grant, NULL);
    compare("vm_grant", vm_grant_spec(&spec, &side->spec, quota, &wanted, flags));
}

static void revoke(void)
{
    uint64_t before[2] = {invalidated[0], invalidated[1]};
    bool member = (vm->cpus.bits & 2) != 0;

    guest = lockstep_below(GUEST_PAGES) * PAGE_SIZE;
    order.bytes = any_size();
    if (spec.count > 0 && lockstep_chance(90)) {
        const struct spec_grant *known = &spec.grants[lockstep_below(spec.count)];

        guest = known->gpa;
        order.bytes = known->bytes + (lockstep_chance(5) ? PAGE_SIZE : 0);
    }
    host_on_cpu(0, call_revoke, NULL);
    enum spec_rule rule = vm_revoke_spec(&spec, &side->spec, guest, order.bytes);
    compare("vm_revoke", rule);
    lockstep_equal("dropped here", invalidated[0] > before[0], rule == SPEC_ALLOWED);
    lockstep_equal("dropped there", invalidated[1] > before[1], rule == SPEC_ALLOWED && member);
}

static void end_vm(void)
{
    host_on_cpu(0, call_end, NULL);
    vm = NULL;
    vm_end_spec(&spec, &side->spec);
    order.status = STATUS_OK;
    compare("the end of a VM", SPEC_ALLOWED);
}

static void make_vm(void)
{
    side_leave_quota(side, lockstep_chance(60) ? SIDE_QUOTA : lockstep_below(10));
    uint64_t quota = side_supply(side).quota;

    host_on_cpu(0, call_make, NULL);
    enum spec_rule rule = vm_make_spec(quota, 1ull << 40, &spec);
    if (rule == SPEC_ALLOWED) {
        vm->cpus.bits = lockstep_below(2) << 1;
    } else {
        lockstep_equal("no VM", vm == NULL, true);
    }
    compare("vm_create", rule);
}

// All grants that a VM can have, of a page each, and one more.
static void fill(void)
{
    side_leave_quota(side, SIDE_QUOTA);
    for (uint32_t i = 0; i < 600 && spec.count < SPEC_GRANTS; i++) {
        grant();
    }
    grant();
    grant();
}

static void step(uint64_t i)
{
    if (i % 50 == 0) {
        side_leave_quota(side, lockstep_chance(50) ? SIDE_QUOTA : lockstep_below(12));
    }
    if (vm == NULL) {
        make_vm();
    } else if (i % 1500 == 1499) {
        fill();
    } else if (lockstep_below(300) == 0) {
        end_vm();
    } else if (lockstep_chance(45)) {
        grant();
    } else if (lockstep_chance(55)) {
        revoke();
    } else if (lockstep_chance(side->spec.count < 20 ? 70 : 20)) {
        add_region();
    } else {
        free_region();
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_GRANT};

    lockstep_begin(argc, argv, "guest memory", 40000);
    space_world_start();
    order.space = &side->process.space;
    side->process.container = side->container;
    host_on_cpu(0, call_start, NULL);
    lockstep_equal("virtualisation", virt_support()->lack, VM_LACKS_NOTHING);
    struct spec_supply supply = side_supply(side);
    host_on_cpu(0, call_space, NULL);
    lockstep_same("init", space_init_spec(&supply, 1ull << 40, &side->spec), order.status);
    space_leave_blocks(7);
    for (uint64_t i = 0; lockstep_more(); i++) {
        step(i);
    }
    if (vm != NULL) {
        end_vm();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
