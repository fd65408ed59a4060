// SPDX-License-Identifier: MIT
// The page allocator: 4 KiB pages and 2 MiB blocks of RAM, each with exactly one owner.
// Memory is managed by 2 MiB block; single pages come from blocks already broken, so that whole
// blocks stay whole. Pure but for the lock, which each public function takes itself: memory is
// reached through the direct-map base that it was given. Charging a container is done one layer
// up, in kernel/memory/memory.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/lock/lock.h"
#include "kernel/thread/run_queue.h"

#define PAGES_PER_BLOCK 512u

// Owners: container ids, and two of the allocator's own.
#define PAGE_OWNER_FREE     0xffffu
#define PAGE_OWNER_RESERVED 0xfffeu // not RAM, firmware, kernel image, boot modules, descriptors
#define PAGE_OWNER_KERNEL   0xfffdu // allocated by the kernel for itself

enum page_fill {
    PAGE_ZEROED,        // what leaves the kernel, and page tables
    PAGE_CONTENTS_KEPT, // the caller overwrites all of it before anyone can see it
};

struct page_range { // bytes, host physical; [start, end)
    uint64_t start;
    uint64_t end;
};

struct page_block {
    uint64_t free_bits[PAGES_PER_BLOCK / 64]; // bit set: page is free
    struct queue_node node;                   // in the queue that `state` names
    uint16_t free_count;
    uint8_t state; // enum page_block_state
    uint8_t reserved[5];
};

enum page_block_state {
    BLOCK_WHOLE,   // all free, in queue `whole`
    BLOCK_PARTIAL, // some free, in queue `partial`
    BLOCK_FULL,    // none free, in no queue
    BLOCK_LARGE,   // given out as one 2 MiB page, in no queue
};

struct page_allocator {
    struct lock lock;
    // All below is guarded by lock; the pointers and block_count are constant after initialising.
    uint8_t *memory; // where host-physical address 0 is mapped
    struct page_block *blocks;
    uint16_t *owners; // of each page
    uint32_t block_count;
    struct queue whole;
    struct queue partial;
    uint64_t total_pages; // usable pages, the descriptors' own not counted
    uint64_t free_pages;
};

extern struct page_allocator kernel_pages;

// Takes over RAM. `usable` are the ranges of RAM that nobody uses, in any order, not overlapping;
// the descriptors are put into one of them. `memory` is where host-physical 0 is mapped.
// STATUS_INVALID: a range is reversed or not page aligned; STATUS_NO_MEMORY: no range can hold the
// descriptors.
MUST_CHECK enum status page_allocator_init(struct page_allocator *allocator,
                                           const struct page_range *usable, size_t count,
                                           void *memory);

// Gives out one aligned page of `size` bytes, PAGE_SIZE or LARGE_PAGE_SIZE, to `owner`.
// STATUS_NO_MEMORY; STATUS_INVALID: another size, or `owner` is PAGE_OWNER_FREE or
// PAGE_OWNER_RESERVED.
MUST_CHECK enum status page_allocate(struct page_allocator *allocator, uint32_t owner,
                                     uint64_t size, enum page_fill fill, hpa_t *page);

// Takes back what page_allocate gave out. STATUS_INVALID: not the address of a page of that size;
// STATUS_DENIED: `owner` does not own it.
MUST_CHECK enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page,
                                 uint64_t size);

// The owner of the page that holds `address`; PAGE_OWNER_RESERVED outside RAM.
uint32_t page_owner(struct page_allocator *allocator, hpa_t address);

// Free pages now, those in whole blocks included.
uint64_t page_free_count(struct page_allocator *allocator);
