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
/*@
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires page_memory_valid(allocator);
  requires cpu->free_page_count == 0;
  terminates \true;
  assigns allocator->owners[0 .. allocator->page_count - 1], allocator->free_pages,
    allocator->whole, allocator->usable, allocator->blocks[0 .. page_blocks(allocator) - 1],
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1],
    cpu->free_pages[0 .. CPU_FREE_PAGES - 1], cpu->free_page_count;
  ensures page_allocator_valid(allocator);
  ensures kept: page_kept_valid(allocator, cpu);
  ensures memory: page_memory_valid(allocator);
  ensures allocator->page_count == \old(allocator->page_count);
  ensures some: cpu->free_page_count > 0 <==> \old(allocator->usable) > 0;
  ensures moved: \forall integer p; 0 <= p < allocator->page_count ==>
    allocator->owners[p] == \old(allocator->owners[p]) ||
    (\old(allocator->owners[p]) == PAGE_OWNER_FREE && allocator->owners[p] == PAGE_OWNER_KEPT &&
     page_is_kept(cpu, p));
*/
void page_keep_some(struct page_allocator *allocator, struct cpu *cpu);

// Gives what this CPU keeps back to its blocks, but for `left` pages.
/*@
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires page_memory_valid(allocator);
  terminates \true;
  assigns allocator->owners[0 .. allocator->page_count - 1], allocator->free_pages,
    allocator->whole, allocator->usable, allocator->blocks[0 .. page_blocks(allocator) - 1],
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1], cpu->free_page_count;
  ensures page_allocator_valid(allocator);
  ensures kept: page_kept_valid(allocator, cpu);
  ensures memory: page_memory_valid(allocator);
  ensures allocator->page_count == \old(allocator->page_count);
  ensures cpu->free_page_count ==
    (\old(cpu->free_page_count) > left ? left : \old(cpu->free_page_count));
  ensures moved: \forall integer p; 0 <= p < allocator->page_count ==>
    allocator->owners[p] == \old(allocator->owners[p]) ||
    (\old(allocator->owners[p]) == PAGE_OWNER_KEPT && allocator->owners[p] == PAGE_OWNER_FREE &&
     page_is_kept{Pre}(cpu, p));
*/
void page_give_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t left);
