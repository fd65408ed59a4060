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
/*@
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires allocator->usable > 0;
  requires count == cpu->free_page_count && count < CPU_FREE_PAGES;
  terminates \true;
  assigns allocator->owners[0 .. allocator->page_count - 1], allocator->free_pages,
    allocator->whole, allocator->usable, allocator->blocks[0 .. page_blocks(allocator) - 1],
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1],
    cpu->free_pages[count], cpu->free_page_count;
  ensures page_tables(allocator);
  ensures order: page_order_valid(allocator);
  ensures parts: page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator) && page_large_valid(allocator);
  ensures kept: page_kept_valid(allocator, cpu);
  ensures allocator->page_count == \old(allocator->page_count);
  ensures cpu->free_page_count == count + 1;
  ensures \at(allocator->owners[\at(cpu->free_pages[count], Post)], Pre) == PAGE_OWNER_FREE;
  ensures page_owners_same{Pre, Post}(allocator, cpu->free_pages[count],
                                      cpu->free_pages[count] + 1);
  ensures allocator->owners[cpu->free_pages[count]] == PAGE_OWNER_KEPT;
  ensures \forall integer k; 0 <= k < count ==>
    cpu->free_pages[k] == \old(cpu->free_pages[k]);
*/
static void keep_one(struct page_allocator *allocator, struct cpu *cpu, uint64_t count)
{
    uint32_t page = page_take_from(allocator, allocator->order[allocator->usable - 1]);

    //@ assert valid: page_allocator_valid(allocator);
    /*@ assert same: cpu->free_page_count == count && \forall integer k; 0 <= k < count ==>
          cpu->free_pages[k] == \at(cpu->free_pages[k], Pre); */
    /*@ assert new: \forall integer k; 0 <= k < count ==> cpu->free_pages[k] != page; */
    /*@ assert cells: \forall integer k; 0 <= k < count ==>
          cpu->free_pages[k] < allocator->page_count &&
          allocator->owners[cpu->free_pages[k]] == PAGE_OWNER_KEPT; */
    /*@ assert apart: \forall integer j, k; 0 <= j < k < count ==>
          cpu->free_pages[j] != cpu->free_pages[k]; */
    //@ assert kept: page_kept_valid(allocator, cpu);
    keep_page(cpu, count, page) /*@ ghost (allocator) */;
}

void page_keep_some(struct page_allocator *allocator, struct cpu *cpu)
{
    /*@
      loop invariant 0 <= i <= CPU_FREE_PAGES / 2 && i == cpu->free_page_count;
      loop invariant page_allocator_valid(allocator);
      loop invariant kept: page_kept_valid(allocator, cpu);
      loop invariant allocator->page_count == \at(allocator->page_count, Pre);
      loop invariant i == 0 ==> allocator->usable == \at(allocator->usable, Pre);
      loop invariant i > 0 ==> \at(allocator->usable, Pre) > 0;
      loop invariant moved: \forall integer p; 0 <= p < allocator->page_count ==>
        allocator->owners[p] == \at(allocator->owners[p], Pre) ||
        (\at(allocator->owners[p], Pre) == PAGE_OWNER_FREE &&
         allocator->owners[p] == PAGE_OWNER_KEPT && page_is_kept(cpu, p));
      loop assigns i, allocator->owners[0 .. \at(allocator->page_count, Pre) - 1],
        allocator->free_pages, allocator->whole, allocator->usable,
        allocator->blocks[0 .. page_blocks{Pre}(allocator) - 1],
        allocator->order[0 .. page_blocks{Pre}(allocator) - 1],
        allocator->places[0 .. page_blocks{Pre}(allocator) - 1],
        cpu->free_pages[0 .. CPU_FREE_PAGES - 1], cpu->free_page_count;
      loop variant CPU_FREE_PAGES / 2 - i;
    */
    for (uint64_t i = 0;
         i < CPU_FREE_PAGES / 2 && allocator->usable > (i > 0 ? allocator->whole : 0); i++) {
        keep_one(allocator, cpu, i);
        //@ assert last: page_is_kept(cpu, cpu->free_pages[i]);
        /*@ assert all: \forall integer p; \at(page_is_kept(cpu, p), LoopCurrent) ==>
              page_is_kept(cpu, p); */
    }
}

// Gives the last of the `count` pages that a CPU keeps back to its block.
/*@
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires count == cpu->free_page_count && count > 0;
  terminates \true;
  assigns allocator->owners[cpu->free_pages[count - 1]], allocator->free_pages,
    allocator->whole, allocator->usable, allocator->blocks[0 .. page_blocks(allocator) - 1],
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1], cpu->free_page_count;
  ensures page_allocator_valid(allocator);
  ensures kept: page_kept_valid(allocator, cpu);
  ensures allocator->page_count == \old(allocator->page_count);
  ensures cpu->free_page_count == count - 1;
  ensures allocator->owners[cpu->free_pages[count - 1]] == PAGE_OWNER_FREE;
  ensures \forall integer k; 0 <= k < CPU_FREE_PAGES ==>
    cpu->free_pages[k] == \old(cpu->free_pages[k]);
*/
static void give_back_one(struct page_allocator *allocator, struct cpu *cpu, uint64_t count)
{
    keep(cpu, count - 1);
    //@ assert mine: allocator->owners[cpu->free_pages[count - 1]] == PAGE_OWNER_KEPT;
    page_mark_free(allocator, cpu->free_pages[count - 1]);
    /*@ assert same: \forall integer k; 0 <= k < CPU_FREE_PAGES ==>
          cpu->free_pages[k] == \at(cpu->free_pages[k], Pre); */
    /*@ assert cells: \forall integer k; 0 <= k < count - 1 ==>
          cpu->free_pages[k] < allocator->page_count &&
          allocator->owners[cpu->free_pages[k]] == PAGE_OWNER_KEPT; */
    /*@ assert apart: \forall integer j, k; 0 <= j < k < count - 1 ==>
          cpu->free_pages[j] != cpu->free_pages[k]; */
    //@ assert last: cpu->free_pages[count - 1] == \at(cpu->free_pages[count - 1], Pre);
}

void page_give_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t left)
{
    /*@
      loop invariant count == cpu->free_page_count;
      loop invariant count <= \at(cpu->free_page_count, Pre);
      loop invariant count >= left || count == \at(cpu->free_page_count, Pre);
      loop invariant page_allocator_valid(allocator);
      loop invariant kept: page_kept_valid(allocator, cpu);
      loop invariant allocator->page_count == \at(allocator->page_count, Pre);
      loop invariant \forall integer k; 0 <= k < CPU_FREE_PAGES ==>
        cpu->free_pages[k] == \at(cpu->free_pages[k], Pre);
      loop invariant moved: \forall integer p; 0 <= p < allocator->page_count ==>
        allocator->owners[p] == \at(allocator->owners[p], Pre) ||
        (\at(allocator->owners[p], Pre) == PAGE_OWNER_KEPT &&
         allocator->owners[p] == PAGE_OWNER_FREE && page_is_kept{Pre}(cpu, p));
      loop assigns count, allocator->owners[0 .. \at(allocator->page_count, Pre) - 1],
        allocator->free_pages, allocator->whole, allocator->usable,
        allocator->blocks[0 .. page_blocks{Pre}(allocator) - 1],
        allocator->order[0 .. page_blocks{Pre}(allocator) - 1],
        allocator->places[0 .. page_blocks{Pre}(allocator) - 1],
        cpu->free_page_count;
      loop variant count;
    */
    for (uint64_t count = kept_by(cpu); count > left; count--) {
        //@ assert was: page_is_kept{Pre}(cpu, cpu->free_pages[count - 1]);
        give_back_one(allocator, cpu, count);
        /*@ assert same: \forall integer k; 0 <= k < CPU_FREE_PAGES ==>
              cpu->free_pages[k] == \at(cpu->free_pages[k], LoopCurrent); */
    }
}
