// SPDX-License-Identifier: MIT
// Guest memory (grant.h).
#include "test/spec/grant.h"

#define PAGE       4096ull
#define BLOCK      (1ull << 21)
#define WRITE_BACK 6u
#define ALL_FLAGS  (SPEC_GRANT_READ | SPEC_GRANT_WRITE | SPEC_GRANT_EXECUTE)

static uint64_t lower(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

// Where the process's memory at `address` is, and in *bytes how much follows there in one piece.
static uint64_t piece(const struct spec_space *space, uint64_t address, uint64_t *bytes)
{
    struct spec_leaf leaf = {0};

    (void)space_translate_spec(space, address, &leaf);
    *bytes = leaf.size - (address - leaf.address);
    return leaf.physical + (address - leaf.address);
}

static bool is_seen(const struct spec_vm *vm, const struct spec_space *space,
                    const struct spec_grant *grant)
{
    for (uint64_t at = 0; at < grant->bytes; at += PAGE) {
        struct spec_leaf leaf;
        uint64_t bytes;

        if (table_translate_spec(&vm->nested, grant->gpa + at, &leaf) != SPEC_ALLOWED ||
            leaf.physical + (grant->gpa + at - leaf.address) !=
                piece(space, grant->address + at, &bytes)) {
            return false;
        }
    }
    return true;
}

const char *spec_vm_invariant(const struct spec_vm *vm, const struct spec_space *space)
{
    uint64_t granted = 0;
    uint64_t mapped = 0;
    uint64_t pins = 0;

    for (uint32_t i = 0; i < vm->count; i++) {
        if (!is_seen(vm, space, &vm->grants[i])) {
            return "a VM sees what it was granted, where its process has it";
        }
        granted += vm->grants[i].bytes;
    }
    for (uint32_t i = 0; i < vm->nested.count; i++) {
        mapped += vm->nested.leaves[i].size;
    }
    for (uint32_t i = 0; i < space->count; i++) {
        pins += space->regions[i].pins;
    }
    if (mapped != granted) {
        return "a VM sees nothing else";
    }
    return pins == vm->count ? NULL : "each grant is pinned once";
}

enum spec_rule vm_make_spec(uint64_t quota, uint64_t physical_limit, struct spec_vm *next)
{
    if (quota < SPEC_VM_PAGES) {
        return VM_QUOTA;
    }
    next->charged = SPEC_VM_PAGES;
    next->physical_limit = physical_limit;
    next->count = 0;
    spec_table_init(&next->nested, SPEC_FORMAT_EPT, BLOCK, physical_limit);
    return SPEC_ALLOWED;
}

void vm_end_spec(struct spec_vm *vm, struct spec_space *space)
{
    while (vm->count > 0) {
        (void)space_unpin_spec(space, vm->grants[--vm->count].address, space);
    }
    vm->charged = 0;
}

static bool overlaps(const struct spec_vm *vm, const struct spec_grant *wanted)
{
    for (uint32_t i = 0; i < vm->count; i++) {
        const struct spec_grant *grant = &vm->grants[i];

        if (wanted->gpa < grant->gpa + grant->bytes && grant->gpa < wanted->gpa + wanted->bytes) {
            return true;
        }
    }
    return false;
}

static bool is_range(const struct spec_vm *vm, const struct spec_grant *wanted)
{
    return wanted->bytes != 0 && (wanted->gpa | wanted->address | wanted->bytes) % PAGE == 0 &&
           wanted->gpa <= vm->physical_limit && wanted->bytes <= vm->physical_limit - wanted->gpa &&
           wanted->address <= SPEC_USER_END && wanted->bytes <= SPEC_USER_END - wanted->address;
}

// Maps the pieces one by one; all of them, if `quota` pays for the tables.
static enum spec_rule map(struct spec_vm *vm, const struct spec_space *space, uint64_t quota,
                          const struct spec_grant *wanted, uint32_t flags)
{
    uint32_t permissions = SPEC_READ | (flags & SPEC_GRANT_WRITE ? SPEC_WRITE : 0) |
                           (flags & SPEC_GRANT_EXECUTE ? SPEC_EXECUTE : 0);
    uint64_t before = table_pages_spec(&vm->nested);
    uint64_t bytes;

    for (uint64_t done = 0; done < wanted->bytes; done += bytes) {
        uint64_t frame = piece(space, wanted->address + done, &bytes);

        bytes = lower(bytes, wanted->bytes - done);
        (void)table_map_spec(&vm->nested, wanted->gpa + done, frame, bytes, permissions, WRITE_BACK,
                             UINT32_MAX, &vm->nested);
    }
    uint64_t pages = table_pages_spec(&vm->nested) - before;
    if (pages > quota) {
        (void)table_unmap_spec(&vm->nested, wanted->gpa, wanted->bytes, &vm->nested);
        return GRANT_QUOTA;
    }
    vm->charged += pages;
    return SPEC_ALLOWED;
}

static enum spec_rule pin(struct spec_space *space, const struct spec_grant *wanted, uint32_t flags)
{
    enum spec_rule rule = space_pin_spec(space, wanted->address, wanted->bytes,
                                         (flags & SPEC_GRANT_WRITE) != 0, space);

    if (rule == SPEC_ALLOWED) {
        return rule;
    }
    return rule == SPACE_PIN_REGION ? GRANT_MEMORY : GRANT_KIND;
}

enum spec_rule vm_grant_spec(struct spec_vm *vm, struct spec_space *space, uint64_t quota,
                             const struct spec_grant *wanted, uint32_t flags)
{
    if (!is_range(vm, wanted)) {
        return GRANT_RANGE;
    }
    if ((flags & SPEC_GRANT_READ) == 0 || (flags & ~(uint32_t)ALL_FLAGS) != 0) {
        return GRANT_FLAGS;
    }
    if (vm->count == SPEC_GRANTS) {
        return GRANT_ROOM;
    }
    if (overlaps(vm, wanted)) {
        return GRANT_BUSY;
    }
    enum spec_rule rule = pin(space, wanted, flags);
    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    rule = map(vm, space, quota, wanted, flags);
    if (rule == SPEC_ALLOWED) {
        vm->grants[vm->count++] = *wanted;
    } else {
        (void)space_unpin_spec(space, wanted->address, space);
    }
    return rule;
}

enum spec_rule vm_revoke_spec(struct spec_vm *vm, struct spec_space *space, uint64_t gpa,
                              uint64_t bytes)
{
    for (uint32_t i = 0; i < vm->count; i++) {
        if (vm->grants[i].gpa == gpa && vm->grants[i].bytes == bytes) {
            uint64_t before = table_pages_spec(&vm->nested);

            (void)table_unmap_spec(&vm->nested, gpa, bytes, &vm->nested);
            vm->charged -= before - table_pages_spec(&vm->nested);
            (void)space_unpin_spec(space, vm->grants[i].address, space);
            vm->grants[i] = vm->grants[--vm->count];
            return SPEC_ALLOWED;
        }
    }
    return REVOKE_GRANT;
}
