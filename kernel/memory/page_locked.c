// SPDX-License-Identifier: MIT
// What the page allocator does with its lock: filling and emptying what a CPU keeps, giving out and
// taking back whole blocks.
#include "kernel/memory/page_locked.h"
#include "kernel/memory/page_stock.h"

// The lock is no part of what the allocator says.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED;
  terminates \true;
  assigns allocator->lock.last;
  PAGES_STAY_VALID(running_cpu)
  ensures PAGES_LOCKED;
  ensures allocator->usable == \old(allocator->usable);
  ensures allocator->whole == \old(allocator->whole);
*/
static void enter(struct page_allocator *allocator)
{
    lock_acquire(&allocator->lock);
}

/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED;
  terminates \true;
  assigns allocator->lock.turn;
  PAGES_STAY_VALID(running_cpu)
  ensures PAGES_UNLOCKED;
  ensures allocator->whole == \old(allocator->whole);
*/
static void leave(struct page_allocator *allocator)
{
    lock_release(&allocator->lock);
}

// -- what a CPU keeps ---------------------------------------------------------------------------

/*@
  PAGES_VALID(running_cpu)
  requires running_cpu->free_page_count == 0 && PAGES_LOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1],
    running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures some: running_cpu->free_page_count > 0 <==> \old(allocator->usable) > 0;
  ensures moved: page_stock_moved{Pre, Post}(allocator, running_cpu, 0, 0);
*/
static void refill(struct page_allocator *allocator)
{
    //@ assert apart: PAGES_LOCK_APART;
    page_keep_some(allocator, this_cpu());
    //@ assert last: allocator->lock.last == \at(allocator->lock.last, Pre);
    //@ assert turn: allocator->lock.turn == \at(allocator->lock.turn, Pre);
}

void page_refill(struct page_allocator *allocator)
{
    enter(allocator);
    refill(allocator);
    leave(allocator);
}

/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures room: running_cpu->free_page_count < CPU_FREE_PAGES;
  ensures moved: \forall integer p; 0 <= p < allocator->page_count ==>
    allocator->owners[p] == \old(allocator->owners[p]) ||
    (\old(allocator->owners[p]) == PAGE_OWNER_KEPT && allocator->owners[p] == PAGE_OWNER_FREE &&
     page_is_kept{Pre}(running_cpu, p));
*/
static void make_room(struct page_allocator *allocator)
{
    //@ assert apart: PAGES_LOCK_APART;
    page_give_back(allocator, this_cpu(), CPU_FREE_PAGES / 2);
}

void page_make_room(struct page_allocator *allocator)
{
    enter(allocator);
    make_room(allocator);
    leave(allocator);
}

// -- whole blocks -------------------------------------------------------------------------------

// All pages of a block that has 512 free ones are free.
/*@
  ghost
  /@
    requires page_tables(allocator) && block < page_blocks(allocator);
    requires pages_free(allocator->owners, block * PAGES_PER_BLOCK,
                        block * PAGES_PER_BLOCK + PAGES_PER_BLOCK) == PAGES_PER_BLOCK;
    terminates \true;
    assigns \nothing;
    ensures \forall integer p;
      block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
        allocator->owners[p] == PAGE_OWNER_FREE;
  @/
  void pages_all_free(struct page_allocator *allocator, uint32_t block)
  {
    uint64_t first = (uint64_t)block * PAGES_PER_BLOCK;
    /@ assert first == block * PAGES_PER_BLOCK; @/
    /@
      loop invariant 0 <= i <= PAGES_PER_BLOCK;
      loop invariant pages_free(allocator->owners, first, first + i) <= i;
      loop invariant pages_free(allocator->owners, first, first + i) == i ==>
        \forall integer p; first <= p < first + i ==> allocator->owners[p] == PAGE_OWNER_FREE;
      loop assigns i;
      loop variant PAGES_PER_BLOCK - i;
    @/
    for (uint64_t i = 0; i < PAGES_PER_BLOCK; i++) {
    }
  }
*/

// Writes the entry of all pages of a block of which no CPU keeps any.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED && block < page_blocks(allocator);
  requires entry == PAGE_OWNER_FREE || page_is_large(entry);
  requires used: \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      allocator->owners[p] != PAGE_OWNER_KEPT && allocator->owners[p] != PAGE_OWNER_RESERVED;
  terminates \true;
  assigns PAGES_BLOCKS;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures set: \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      allocator->owners[p] == entry;
  ensures same: page_owners_same{Pre, Post}(allocator, block * PAGES_PER_BLOCK,
                                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
*/
static void set_block(struct page_allocator *allocator, uint32_t block, uint32_t entry)
{
    //@ assert apart: PAGES_LOCK_APART;
    page_block_set_entry(allocator, block, entry);
    /*@ assert cells: \forall integer k; 0 <= k < running_cpu->free_page_count ==>
          running_cpu->free_pages[k] == \at(running_cpu->free_pages[k], Pre) &&
          running_cpu->free_pages[k] < allocator->page_count &&
          \at(allocator->owners[\at(running_cpu->free_pages[k], Here)], Pre) == PAGE_OWNER_KEPT; */
    /*@ assert still: \forall integer k; 0 <= k < running_cpu->free_page_count ==>
          allocator->owners[running_cpu->free_pages[k]] == PAGE_OWNER_KEPT; */
    /*@ assert once: \forall integer j, k; 0 <= j < k < running_cpu->free_page_count ==>
          running_cpu->free_pages[j] != running_cpu->free_pages[k]; */
}

// Where no block is whole, what this CPU keeps may make one whole.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures gone: allocator->whole == 0 ==> running_cpu->free_page_count == 0;
  ensures some: \old(allocator->whole) > 0 ==> allocator->whole > 0;
  ensures moved: \forall integer p; 0 <= p < allocator->page_count ==>
    allocator->owners[p] == \old(allocator->owners[p]) ||
    (\old(allocator->owners[p]) == PAGE_OWNER_KEPT && allocator->owners[p] == PAGE_OWNER_FREE &&
     page_is_kept{Pre}(running_cpu, p));
*/
static void make_whole(struct page_allocator *allocator)
{
    //@ assert apart: PAGES_LOCK_APART;
    if (allocator->whole == 0) {
        page_give_back(allocator, this_cpu(), 0);
    }
}

// Gives out the last whole block.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED && owner < PAGE_OWNER_RESERVED && allocator->whole > 0;
  terminates \true;
  assigns PAGES_BLOCKS;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures block: \result < page_blocks(allocator);
  ensures given: \forall integer p;
    \result * PAGES_PER_BLOCK <= p < \result * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      \at(allocator->owners[p], Pre) == PAGE_OWNER_FREE &&
      allocator->owners[p] == owner + PAGE_OWNER_LARGE;
  ensures same: page_owners_same{Pre, Post}(allocator, \result * PAGES_PER_BLOCK,
                                            \result * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
*/
static uint32_t take_block(struct page_allocator *allocator, uint32_t owner)
{
    uint32_t block = allocator->order[allocator->whole - 1];

    //@ assert whole: allocator->blocks[block].free_count == PAGES_PER_BLOCK;
    //@ ghost pages_all_free(allocator, block);
    set_block(allocator, block, owner + PAGE_OWNER_LARGE);
    return block;
}

uint32_t page_block_allocate(struct page_allocator *allocator, uint32_t owner)
{
    enter(allocator);
    make_whole(allocator);
    uint32_t block = allocator->whole > 0 ? take_block(allocator, owner) : PAGE_NO_BLOCK;
    /*@ assert moved: block != PAGE_NO_BLOCK ==> \forall integer p;
          0 <= p < allocator->page_count && p / PAGES_PER_BLOCK != block ==>
            allocator->owners[p] == \at(allocator->owners[p], Pre) ||
            (\at(allocator->owners[p], Pre) == PAGE_OWNER_KEPT &&
             allocator->owners[p] == PAGE_OWNER_FREE && page_is_kept{Pre}(running_cpu, p)); */
    leave(allocator);
    return block;
}

/*@
  PAGES_VALID(running_cpu)
  requires PAGES_LOCKED && block < page_blocks(allocator) &&
    page_is_large(allocator->owners[block * PAGES_PER_BLOCK]);
  terminates \true;
  assigns PAGES_BLOCKS;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_LOCKED
  ensures freed: \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      \old(allocator->owners[p]) == \old(allocator->owners[block * PAGES_PER_BLOCK]) &&
      allocator->owners[p] == PAGE_OWNER_FREE;
  ensures same: page_owners_same{Pre, Post}(allocator, block * PAGES_PER_BLOCK,
                                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
*/
static void free_block(struct page_allocator *allocator, uint32_t block)
{
    /*@ assert was: \forall integer p;
          block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
            allocator->owners[p] == allocator->owners[block * PAGES_PER_BLOCK]; */
    set_block(allocator, block, PAGE_OWNER_FREE);
}

void page_block_free(struct page_allocator *allocator, uint32_t block)
{
    enter(allocator);
    free_block(allocator, block);
    leave(allocator);
}
