// SPDX-License-Identifier: MIT
// Charged memory: pages from the page allocator, paid for by a container. Everything that is made
// on behalf of a process comes through here. No lock of its own.
#pragma once

#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/memory/page_allocator.h"

// Where the kernel sees the host-physical address (the direct map of all RAM).
void *memory_pointer(hpa_t address);

// The host-physical address of a pointer that memory_pointer returned.
hpa_t memory_address(const void *pointer);

// Allocates one page of `size` bytes, PAGE_SIZE or LARGE_PAGE_SIZE (charged as 512 pages), for
// `container`. STATUS_QUOTA, STATUS_NO_MEMORY, STATUS_NOT_FOUND (no such container).
MUST_CHECK enum status memory_allocate(uint32_t container, uint64_t size, enum page_fill fill,
                                       hpa_t *page);

// Frees what memory_allocate gave to `container`. A wrong owner is a kernel bug: panics.
void memory_free(uint32_t container, hpa_t page, uint64_t size);

// One zeroed page as an object; null when quota or memory is short.
void *memory_allocate_object(uint32_t container);
void memory_free_object(uint32_t container, void *object);

// Where the pages of a page table of `container` come from and go to; PAGE_OWNER_KERNEL: the
// kernel's own tables, which nobody is charged for.
struct page_source memory_page_source(uint32_t container);
