// SPDX-License-Identifier: MIT
// The kernel's own address space: the upper half that every process shares.
// Built at boot; afterwards changed only by the calls below under the kernel's address-space lock.
#pragma once

#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// The kernel's page table; its lower half is empty after boot.
struct page_table *kernel_space(void);

// Maps a kernel stack into a slot of the stack area, from the four pages given, lowest first.
// STATUS_BUSY: the slot is in use; STATUS_INVALID: no such slot; else the error of source->take.
MUST_CHECK enum status kernel_space_map_stack(uint32_t slot, const hpa_t pages[4],
                                              const struct page_source *source);

// Unmaps it and invalidates this CPU's translations. The caller frees the pages.
MUST_CHECK enum status kernel_space_unmap_stack(uint32_t slot, const struct page_source *source);

// Invalidates this CPU's translations of a stack slot: before a CPU uses a new stack, since the
// slot may have held another one that was unmapped on another CPU.
void kernel_space_forget_stack(uint32_t slot);

// Maps [physical, physical + size) of a device, or of firmware tables outside RAM, for good and
// stores the address to *address; any alignment. permissions: PAGE_READ, PAGE_WRITE; type: device
// registers are MEMORY_UNCACHEABLE. Errors: those of page_table_map, STATUS_NO_MEMORY when the
// device area is full.
MUST_CHECK enum status kernel_space_map_device(hpa_t physical, uint64_t size, uint32_t permissions,
                                               enum memory_type type,
                                               const struct page_source *source, void **address);
