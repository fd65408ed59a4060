// SPDX-License-Identifier: MIT
// Inside the page allocator: what it does with its lock, which each of these takes and frees.
#pragma once

#include "kernel/memory/page_contract.h"

#define PAGE_NO_BLOCK UINT32_MAX

// Has this CPU, which keeps no page, keep some. It keeps none after that where no block has any.
/*@
  PAGES_VALID(running_cpu)
  requires running_cpu->free_page_count == 0 && PAGES_UNLOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK, running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1],
    running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_UNLOCKED
  ensures some: running_cpu->free_page_count > 0 <==> \old(allocator->usable) > 0;
  ensures moved: page_stock_moved{Pre, Post}(allocator, running_cpu, 0, 0);
*/
void page_refill(struct page_allocator *allocator);

// Has this CPU keep half of what it can at most.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK, running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_UNLOCKED
  ensures room: running_cpu->free_page_count < CPU_FREE_PAGES;
  ensures moved: \forall integer p; 0 <= p < allocator->page_count ==>
    allocator->owners[p] == \old(allocator->owners[p]) ||
    (\old(allocator->owners[p]) == PAGE_OWNER_KEPT && allocator->owners[p] == PAGE_OWNER_FREE &&
     page_is_kept{Pre}(running_cpu, p));
*/
void page_make_room(struct page_allocator *allocator);

// Gives a whole block to `owner` as one 2 MiB page; returns its number. PAGE_NO_BLOCK: none is
// whole, without what this CPU kept and with it.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED && owner < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK, running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_UNLOCKED
  ensures block: \result != PAGE_NO_BLOCK ==> \result < page_blocks(allocator);
  ensures some: \old(allocator->whole) > 0 ==> \result != PAGE_NO_BLOCK;
  ensures refused: \result == PAGE_NO_BLOCK ==>
    allocator->whole == 0 && running_cpu->free_page_count == 0;
  ensures none: \result == PAGE_NO_BLOCK ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, 0, 0);
  ensures given: \result != PAGE_NO_BLOCK ==> \forall integer p;
    \result * PAGES_PER_BLOCK <= p < \result * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      (\old(allocator->owners[p]) == PAGE_OWNER_FREE ||
       \old(allocator->owners[p]) == PAGE_OWNER_KEPT) &&
      allocator->owners[p] == owner + PAGE_OWNER_LARGE;
  ensures moved: \result != PAGE_NO_BLOCK ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, \result * PAGES_PER_BLOCK,
                                \result * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
*/
uint32_t page_block_allocate(struct page_allocator *allocator, uint32_t owner);

// Takes back a block that is one 2 MiB page.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED && block < page_blocks(allocator) &&
    page_is_large(allocator->owners[block * PAGES_PER_BLOCK]);
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK;
  PAGES_STAY_VALID(running_cpu)
  PAGES_STAY_UNLOCKED
  ensures freed: \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      \old(allocator->owners[p]) == \old(allocator->owners[block * PAGES_PER_BLOCK]) &&
      allocator->owners[p] == PAGE_OWNER_FREE;
  ensures same: page_owners_same{Pre, Post}(allocator, block * PAGES_PER_BLOCK,
                                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
*/
void page_block_free(struct page_allocator *allocator, uint32_t block);
