// SPDX-License-Identifier: MIT
// Inside the page allocator: the few free pages that each CPU keeps. Only the CPU itself changes
// them; with the lock of the allocator where blocks change too.
#pragma once

#include "kernel/memory/page_blocks.h"

/*@
  requires \valid_read(&cpu->free_page_count);
  terminates \true;
  assigns \nothing;
  ensures \result == cpu->free_page_count;
*/
static inline uint64_t kept_by(const struct cpu *cpu)
{
    return atomic_load_explicit(&cpu->free_page_count, memory_order_relaxed);
}

/*@
  requires \valid(&cpu->free_page_count);
  terminates \true;
  assigns cpu->free_page_count;
  ensures cpu->free_page_count == count;
*/
static inline void keep(struct cpu *cpu, uint64_t count)
{
    atomic_store_explicit(&cpu->free_page_count, count, memory_order_relaxed);
}

// Takes some pages for this CPU, which has none, but breaks no whole block for more than one.
void page_keep_some(struct page_allocator *allocator, struct cpu *cpu);

// Gives what this CPU keeps back to its blocks, but for `left` pages.
void page_give_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t left);
