// SPDX-License-Identifier: MIT
// The page allocator: 4 KiB pages and 2 MiB blocks of RAM, each with exactly one owner.
// Memory is managed by 2 MiB block; single pages come from blocks already broken, so that whole
// blocks stay whole. Each CPU keeps a few single pages of its allocator at hand
// (arch/x86/cpu/cpu.h), so that most calls take no lock; in their blocks they count as given out.
// Memory is reached through the direct-map base that the allocator was given. Charging a container
// is done one layer up, in kernel/memory/memory.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/lock/lock.h"

#define PAGES_PER_BLOCK 512u

// Owners: container ids, and two of the allocator's own.
#define PAGE_OWNER_FREE     0x7fffu
#define PAGE_OWNER_RESERVED 0x7ffeu // not RAM, firmware, kernel image, boot modules, descriptors
#define PAGE_OWNER_KERNEL   0x7ffdu // allocated by the kernel for itself
#define PAGE_OWNER_LARGE    0x8000u // with the owner's number, inside: one of the 512 of 2 MiB
#define PAGE_OWNER_KEPT     0xffffu // inside: free, and kept by a CPU

enum page_fill {
    PAGE_ZEROED,        // what leaves the kernel, and page tables
    PAGE_CONTENTS_KEPT, // the caller overwrites all of it before anyone can see it
};

struct page_range { // bytes, host physical; [start, end)
    uint64_t start;
    uint64_t end;
};

struct page_block {
    uint64_t free_count; // pages: those that CPUs keep not counted
    uint64_t lowest;     // of its pages, none before this one is free
};

struct page_allocator {
    // Constant after initialising.
    uint8_t *memory;          // where host-physical address 0 is mapped
    _Atomic uint16_t *owners; // of each page: what is written here is up to its owner's calls
    struct page_block *blocks;
    uint32_t *order;      // the numbers of all blocks
    uint32_t *places;     // of each block in the order
    uint64_t page_count;  // of `owners`
    uint64_t total_pages; // usable pages, the descriptors' own not counted

    struct lock lock;
    // Guarded by lock, as is what `blocks`, `order` and `places` point to.
    uint64_t whole;      // so many blocks, the first of the order, have all pages free
    uint64_t usable;     // so many have some or all
    uint64_t free_pages; // but for those that CPUs keep
};

extern struct page_allocator kernel_pages;

// Takes over RAM. `usable` are the ranges of RAM that nobody uses, in any order, not overlapping;
// the descriptors are put into one of them. `memory` is where host-physical 0 is mapped.
// STATUS_INVALID: a range is reversed, not page aligned or above 16 TiB; STATUS_NO_MEMORY: no range
// can hold the descriptors.
MUST_CHECK enum status page_allocator_init(struct page_allocator *allocator,
                                           const struct page_range *usable, size_t count,
                                           void *memory);

// Gives out one aligned page of `size` bytes, PAGE_SIZE or LARGE_PAGE_SIZE, to `owner`.
// STATUS_NO_MEMORY: none is left but what other CPUs keep, CPU_FREE_PAGES each at most;
// STATUS_INVALID: another size, or `owner` is PAGE_OWNER_FREE or PAGE_OWNER_RESERVED.
MUST_CHECK enum status page_allocate(struct page_allocator *allocator, uint32_t owner,
                                     uint64_t size, enum page_fill fill, hpa_t *page);

// Takes back what page_allocate gave out. STATUS_INVALID: not the address of a page of that size;
// STATUS_DENIED: `owner` does not own it.
MUST_CHECK enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page,
                                 uint64_t size);

// The owner of the page that holds `address`; PAGE_OWNER_RESERVED outside RAM.
uint32_t page_owner(const struct page_allocator *allocator, hpa_t address);

// Free pages now, those in whole blocks and those that CPUs keep included.
uint64_t page_free_count(struct page_allocator *allocator);
