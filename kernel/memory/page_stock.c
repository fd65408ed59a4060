// SPDX-License-Identifier: MIT
// What each CPU keeps of the page allocator, so that most calls take no lock: filled out of the
// blocks, and given back to them.
#include "kernel/memory/page_stock.h"

// Adds a page to the `count` that a CPU keeps.
/*@
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires count == cpu->free_page_count && count < CPU_FREE_PAGES;
  requires page < allocator->page_count && allocator->owners[page] == PAGE_OWNER_KEPT;
  requires \forall integer k; 0 <= k < count ==> cpu->free_pages[k] != page;
  terminates \true;
  assigns cpu->free_pages[count], cpu->free_page_count;
  ensures page_tables(allocator);
  ensures order: page_order_valid(allocator);
  ensures parts: page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator) && page_large_valid(allocator);
  ensures kept: page_kept_valid(allocator, cpu);
  ensures cpu->free_page_count == count + 1 && cpu->free_pages[count] == page;
*/
static void keep_page(struct cpu *cpu, uint64_t count, uint32_t page)
/*@ ghost (struct page_allocator *allocator) */
{
    cpu->free_pages[count] = page;
    keep(cpu, count + 1);
}

// Takes a page for a CPU that keeps `count`, out of the last block that has one.
static void keep_one(struct page_allocator *allocator, struct cpu *cpu, uint64_t count)
{
    uint32_t page = page_take_from(allocator, allocator->order[allocator->usable - 1]);

    keep_page(cpu, count, page) /*@ ghost (allocator) */;
}

void page_keep_some(struct page_allocator *allocator, struct cpu *cpu)
{
    for (uint64_t i = 0;
         i < CPU_FREE_PAGES / 2 && allocator->usable > (i > 0 ? allocator->whole : 0); i++) {
        keep_one(allocator, cpu, i);
    }
}

// Gives the last of the `count` pages that a CPU keeps back to its block.
static void give_back_one(struct page_allocator *allocator, struct cpu *cpu, uint64_t count)
{
    keep(cpu, count - 1);
    page_mark_free(allocator, cpu->free_pages[count - 1]);
}

void page_give_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t left)
{
    for (uint64_t count = kept_by(cpu); count > left; count--) {
        give_back_one(allocator, cpu, count);
    }
}
