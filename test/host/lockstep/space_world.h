// SPDX-License-Identifier: MIT
// The world of the lock-step test of address spaces: two of them with a container each, a pool of
// frames that both may borrow, and what memory there is. space_world.c keeps it and compares it
// with the specification, lockstep_space.c drives it.
#pragma once

#include "kernel/process/process.h"
#include "test/spec/space.h"

struct side {
    struct process process; // whose address space it is
    uint32_t container;
    uint64_t others;  // pages charged for anything else
    uint64_t held;    // pages that the test has charged,
    uint64_t left;    // so that this many are left
    uint32_t regions; // that it should have about now
    struct spec_space spec;
};

// The call in progress: its arguments and results.
struct space_order {
    struct address_space *space;
    uint64_t address;
    uint64_t bytes;
    uint64_t frames;
    uint32_t permission;
    enum region_kind kind;
    bool writable;
    struct user_mapping mapping;
    enum status status;
};

#define SIDES      2u
#define SIDE_QUOTA 1800u // pages of a side

extern struct side sides[SIDES];
extern struct space_order order;
extern uint8_t spec_ram[];  // the specification's physical memory
extern uint64_t space_pool; // LARGE_PAGE_SIZE bytes of frames that are lent

// Calls with `order`, for host_on_cpu.
void space_call_allocate(void *unused);
void space_call_borrow(void *unused);
void space_call_free(void *unused);

// Makes containers, pool and memory. Address spaces are the test's to begin.
void space_world_start(void);

// Before a call on `side`, and after it: the result is `rule`'s, only what may change has changed,
// and regions and charge are the specification's; so are page tables if there may be others now
// (`table`), else now and then.
void side_snapshot(struct side *side);
void side_compare(const char *what, struct side *side, enum spec_rule rule, bool table);

// The kernel has chosen frames for [address, address + bytes): the specification learns them.
void side_learn_frames(struct side *side, uint64_t address, uint64_t bytes);

// Parts of it: the regions and the charge; the page table and the invariant.
void side_compare_regions(const struct side *side);
void side_compare_leaves(const struct side *side);

// How often `cpu` has dropped translations since the snapshot.
uint64_t side_invalidations(uint32_t cpu);

// All that a side's leaves in [from, to) map holds what the specification says.
void side_compare_bytes(const struct side *side, uint64_t from, uint64_t to);

// Each frame is the container's that pays for it, or lent; nobody else's leaf maps it.
void space_compare_owners(void);

// What the side can take from now; leaves its container `left` pages, or as many as it can; and
// leaves up to `left` whole blocks of 2 MiB.
struct spec_supply side_supply(const struct side *side);
void side_leave_quota(struct side *side, uint64_t left);
void space_leave_blocks(uint32_t left);
