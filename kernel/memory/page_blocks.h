// SPDX-License-Identifier: MIT
// Inside the page allocator: the owner of each page, and the 2 MiB blocks with their order. The
// caller holds the allocator's lock, but for the owner of a page that is its own.
#pragma once

#include "kernel/memory/page_contract.h"

// What others read of it meanwhile is the owner before or after.
/*@
  requires page_tables(allocator) && page < allocator->page_count && owner <= 0xffff;
  terminates \true;
  assigns allocator->owners[page];
  ensures allocator->owners[page] == owner;
  ensures pages_free_moved{Pre, Post}(allocator->owners, page, allocator->page_count);
  ensures pages_free_sane(allocator->owners, allocator->page_count);
  ensures !page_is_large(\old(allocator->owners[page])) && !page_is_large(owner) &&
    page_large_valid{Pre}(allocator) ==> page_large_valid(allocator);
*/
static inline void page_set_entry(struct page_allocator *allocator, uint64_t page, uint32_t owner)
{
    atomic_store_explicit(&allocator->owners[page], (uint16_t)owner, memory_order_relaxed);
    /*@
      ghost
      /@
        loop invariant 0 <= end <= allocator->page_count;
        loop invariant pages_free_moved{Pre, Here}(allocator->owners, page, end);
        loop invariant pages_free_sane(allocator->owners, end);
        loop assigns end;
        loop variant allocator->page_count - end;
      @/
      for (uint64_t end = 0; end < allocator->page_count; end++) {
      }
    */
}

/*@
  requires page_tables(allocator) && page < allocator->page_count;
  terminates \true;
  assigns \nothing;
  ensures \result == allocator->owners[page];
*/
static inline uint32_t page_entry(const struct page_allocator *allocator, uint64_t page)
{
    return atomic_load_explicit(&allocator->owners[page], memory_order_relaxed);
}

// Gives a page to its block, which does not have it.
/*@
  requires page_allocator_valid(allocator) && page < allocator->page_count;
  requires allocator->owners[page] == PAGE_OWNER_KEPT ||
    allocator->owners[page] == PAGE_OWNER_RESERVED;
  terminates \true;
  assigns allocator->owners[page], allocator->blocks[page / PAGES_PER_BLOCK],
    allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator);
  ensures large: page_large_valid(allocator);
  ensures allocator->owners[page] == PAGE_OWNER_FREE;
  ensures allocator->free_pages == \old(allocator->free_pages) + 1;
*/
void page_mark_free(struct page_allocator *allocator, uint64_t page);

// Takes the lowest free page of a block that has one, for a CPU to keep.
/*@
  requires page_allocator_valid(allocator) && block < page_blocks(allocator);
  requires allocator->blocks[block].free_count > 0;
  terminates \true;
  assigns allocator->owners[block * PAGES_PER_BLOCK ..
                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK - 1],
    allocator->blocks[block], allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator);
  ensures large: page_large_valid(allocator);
  ensures block * PAGES_PER_BLOCK <= \result < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK;
  ensures \at(allocator->owners[\at(\result, Post)], Pre) == PAGE_OWNER_FREE;
  ensures allocator->owners[\result] == PAGE_OWNER_KEPT;
  ensures page_owners_same{Pre, Post}(allocator, \result, \result + 1);
*/
uint32_t page_take_from(struct page_allocator *allocator, uint32_t block);

// Writes the entry of all pages of a block.
/*@
  requires page_allocator_valid(allocator) && block < page_blocks(allocator);
  requires entry == PAGE_OWNER_FREE || page_is_large(entry);
  terminates \true;
  assigns allocator->owners[block * PAGES_PER_BLOCK ..
                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK - 1],
    allocator->blocks[block], allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator);
  ensures large: page_large_valid(allocator);
  ensures \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      allocator->owners[p] == entry;
*/
void page_block_set_entry(struct page_allocator *allocator, uint32_t block, uint32_t entry);
