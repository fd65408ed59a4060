// SPDX-License-Identifier: MIT
// The blocks of the page allocator: how many pages of each are free, and one order of all, whole
// ones first, then broken ones, then full ones. Every operation takes a bounded number of steps.
#include "kernel/memory/page_blocks.h"

// Lets a block change places with the one that has this place.
/*@
  requires page_tables(allocator) && page_order_valid(allocator);
  requires block < page_blocks(allocator) && place < page_blocks(allocator);
  terminates \true;
  assigns allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_order_valid(allocator);
  ensures allocator->places[block] == place;
  ensures \old(allocator->order[place]) != block ==> \old(allocator->places[block]) != place &&
    allocator->places[\old(allocator->order[place])] == \old(allocator->places[block]);
  ensures \forall integer b; 0 <= b < page_blocks(allocator) && b != block &&
    b != \old(allocator->order[place]) ==>
      allocator->places[b] == \old(allocator->places[b]) && allocator->places[b] != place &&
      allocator->places[b] != \old(allocator->places[block]);
*/
static void block_move(struct page_allocator *allocator, uint32_t block, uint64_t place)
{
    uint32_t other = allocator->order[place];

    allocator->places[other] = allocator->places[block];
    allocator->order[allocator->places[block]] = other;
    allocator->order[place] = block;
    allocator->places[block] = (uint32_t)place;
}

// Takes a block out of the parts of the order that it has too few free pages for.
/*@
  requires page_tables(allocator) && page_order_valid(allocator);
  requires block < page_blocks(allocator) && page_parts_but(allocator, block);
  terminates \true;
  assigns allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_order_valid(allocator);
  ensures page_parts_but(allocator, block);
  ensures count < PAGES_PER_BLOCK ==> allocator->places[block] >= allocator->whole;
  ensures count == 0 ==> allocator->places[block] >= allocator->usable;
*/
static void block_leave(struct page_allocator *allocator, uint32_t block, uint64_t count)
{
    if (allocator->places[block] < allocator->whole && count < PAGES_PER_BLOCK) {
        block_move(allocator, block, --allocator->whole);
    }
    //@ assert page_order_valid(allocator);
    //@ assert page_parts_but(allocator, block);
    //@ assert count < PAGES_PER_BLOCK ==> allocator->places[block] >= allocator->whole;
    if (allocator->places[block] < allocator->usable && count == 0) {
        block_move(allocator, block, --allocator->usable);
    }
    //@ assert allocator->whole <= allocator->usable <= page_blocks(allocator);
    //@ assert page_parts_but(allocator, block);
}

// Takes a block into the parts of the order that it has enough free pages for.
/*@
  requires page_tables(allocator) && page_order_valid(allocator);
  requires block < page_blocks(allocator) && page_parts_but(allocator, block);
  requires count <= PAGES_PER_BLOCK;
  requires count < PAGES_PER_BLOCK ==> allocator->places[block] >= allocator->whole;
  requires count == 0 ==> allocator->places[block] >= allocator->usable;
  terminates \true;
  assigns allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_order_valid(allocator);
  ensures page_parts_but(allocator, block);
  ensures count < PAGES_PER_BLOCK <==> allocator->places[block] >= allocator->whole;
  ensures count == 0 <==> allocator->places[block] >= allocator->usable;
*/
static void block_join(struct page_allocator *allocator, uint32_t block, uint64_t count)
{
    if (allocator->places[block] >= allocator->usable && count > 0) {
        block_move(allocator, block, allocator->usable++);
    }
    //@ assert page_order_valid(allocator);
    //@ assert page_parts_but(allocator, block);
    //@ assert count > 0 <==> allocator->places[block] < allocator->usable;
    //@ assert count < PAGES_PER_BLOCK ==> allocator->places[block] >= allocator->whole;
    if (allocator->places[block] >= allocator->whole && count == PAGES_PER_BLOCK) {
        block_move(allocator, block, allocator->whole++);
    }
    //@ assert allocator->whole <= allocator->usable <= page_blocks(allocator);
    //@ assert page_parts_but(allocator, block);
}

// Notes how many pages of a block are free and which is the lowest, and gives the block the place
// that this calls for.
/*@
  requires page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  requires block < page_blocks(allocator) && count <= PAGES_PER_BLOCK;
  requires allocator->blocks[block].free_count <= allocator->free_pages + count;
  requires allocator->free_pages <= allocator->page_count + 1;
  terminates \true;
  assigns allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1], allocator->blocks[block];
  ensures page_tables(allocator);
  ensures order: page_order_valid(allocator);
  ensures parts: page_parts_valid(allocator);
  ensures allocator->page_count == \old(allocator->page_count);
  ensures allocator->blocks[block].free_count == count;
  ensures allocator->blocks[block].lowest == lowest;
  ensures \forall integer b; 0 <= b < page_blocks(allocator) && b != block ==>
    allocator->blocks[b].free_count == \old(allocator->blocks[b].free_count) &&
    allocator->blocks[b].lowest == \old(allocator->blocks[b].lowest);
  ensures allocator->free_pages ==
    \old(allocator->free_pages) + count - \old(allocator->blocks[block].free_count);
*/
static void block_set_free(struct page_allocator *allocator, uint32_t block, uint64_t count,
                           uint64_t lowest)
{
    struct page_block *it = &allocator->blocks[block];

    allocator->free_pages = allocator->free_pages + count - it->free_count;
    it->free_count = count;
    it->lowest = lowest;
    block_leave(allocator, block, count);
    block_join(allocator, block, count);
}

void page_mark_free(struct page_allocator *allocator, uint64_t page)
{
    uint32_t block = (uint32_t)(page / PAGES_PER_BLOCK);
    const struct page_block *it = &allocator->blocks[block];
    uint64_t in_block = page % PAGES_PER_BLOCK;

    page_set_entry(allocator, page, PAGE_OWNER_FREE);
    block_set_free(allocator, block, it->free_count + 1,
                   in_block < it->lowest ? in_block : it->lowest);
}

// The lowest free page of a block that has one.
/*@
  requires page_tables(allocator) && page_blocks_valid(allocator);
  requires block < page_blocks(allocator) && allocator->blocks[block].free_count > 0;
  terminates \true;
  assigns \nothing;
  ensures \result / PAGES_PER_BLOCK == block && \result < allocator->page_count;
  ensures allocator->owners[\result] == PAGE_OWNER_FREE;
  ensures \forall integer p; block * PAGES_PER_BLOCK <= p < \result ==>
    allocator->owners[p] != PAGE_OWNER_FREE;
*/
static uint32_t block_lowest(const struct page_allocator *allocator, uint32_t block)
{
    uint32_t first = block * PAGES_PER_BLOCK;

    //@ assert some: pages_free(allocator->owners, first, first + PAGES_PER_BLOCK) > 0;
    /*@
      ghost
      /@
        loop invariant 0 <= i <= allocator->blocks[block].lowest;
        loop invariant pages_free(allocator->owners, first, first + i) == 0;
        loop assigns i;
        loop variant allocator->blocks[block].lowest - i;
      @/
      for (uint64_t i = 0; i < allocator->blocks[block].lowest; i++) {
      }
    */
    uint32_t page = first + (uint32_t)allocator->blocks[block].lowest;
    /*@
      loop invariant inside: first <= page < first + PAGES_PER_BLOCK;
      loop invariant sum: pages_free(allocator->owners, first, page) == 0;
      loop invariant none: \forall integer p; first <= p < page ==>
        allocator->owners[p] != PAGE_OWNER_FREE;
      loop assigns page;
      loop variant first + PAGES_PER_BLOCK - page;
    */
    while (page_entry(allocator, page) != PAGE_OWNER_FREE) {
        //@ assert next: pages_free(allocator->owners, first, page + 1) == 0;
        page++;
    }
    return page;
}

// Takes the lowest free page out of its block.
/*@
  requires page_allocator_valid(allocator) && page < allocator->page_count;
  requires allocator->owners[page] == PAGE_OWNER_FREE;
  requires \forall integer p; page / PAGES_PER_BLOCK * PAGES_PER_BLOCK <= p < page ==>
    allocator->owners[p] != PAGE_OWNER_FREE;
  terminates \true;
  assigns allocator->owners[page], allocator->blocks[page / PAGES_PER_BLOCK],
    allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  ensures blocks: page_blocks_valid(allocator);
  ensures total: page_total_valid(allocator);
  ensures large: page_large_valid(allocator);
  ensures allocator->owners[page] == PAGE_OWNER_KEPT;
*/
static void page_mark_kept(struct page_allocator *allocator, uint32_t page)
{
    uint32_t block = page / PAGES_PER_BLOCK;

    page_set_entry(allocator, page, PAGE_OWNER_KEPT);
    block_set_free(allocator, block, allocator->blocks[block].free_count - 1,
                   page % PAGES_PER_BLOCK + 1);
}

uint32_t page_take_from(struct page_allocator *allocator, uint32_t block)
{
    uint32_t page = block_lowest(allocator, block);

    page_mark_kept(allocator, page);
    return page;
}

// Writes the entries: what that does to the sums.
/*@
  requires page_tables(allocator) && block < page_blocks(allocator);
  requires page_large_valid(allocator);
  requires entry == PAGE_OWNER_FREE || page_is_large(entry);
  terminates \true;
  assigns allocator->owners[block * PAGES_PER_BLOCK ..
                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK - 1];
  ensures entries: \forall integer p;
    block * PAGES_PER_BLOCK <= p < block * PAGES_PER_BLOCK + PAGES_PER_BLOCK ==>
      allocator->owners[p] == entry;
  ensures same: page_owners_same{Pre, Post}(allocator, block * PAGES_PER_BLOCK,
                                            block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
  ensures large: page_large_valid(allocator);
  ensures beside: pages_free_beside{Pre, Post}(allocator->owners, block * PAGES_PER_BLOCK,
    block * PAGES_PER_BLOCK + PAGES_PER_BLOCK, allocator->page_count);
  ensures inside: pages_free(allocator->owners, block * PAGES_PER_BLOCK,
    block * PAGES_PER_BLOCK + PAGES_PER_BLOCK) == (entry == PAGE_OWNER_FREE ? PAGES_PER_BLOCK : 0);
  ensures total: pages_free(allocator->owners, 0, allocator->page_count) ==
    pages_free{Pre}(allocator->owners, 0, allocator->page_count) -
    pages_free{Pre}(allocator->owners, block * PAGES_PER_BLOCK,
      block * PAGES_PER_BLOCK + PAGES_PER_BLOCK) +
    pages_free(allocator->owners, block * PAGES_PER_BLOCK,
      block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
  ensures sane: 0 <= pages_free(allocator->owners, 0, allocator->page_count) &&
    pages_free{Pre}(allocator->owners, 0, allocator->page_count) <= allocator->page_count;
*/
static void block_set_entries(struct page_allocator *allocator, uint32_t block, uint32_t entry)
{
    uint64_t first = (uint64_t)block * PAGES_PER_BLOCK;

    //@ assert first: first == block * PAGES_PER_BLOCK;
    //@ assert last: first + PAGES_PER_BLOCK <= allocator->page_count;
    /*@
      loop invariant 0 <= i <= PAGES_PER_BLOCK;
      loop invariant \forall integer p; first <= p < first + i ==> allocator->owners[p] == entry;
      loop assigns i, allocator->owners[first .. first + PAGES_PER_BLOCK - 1];
      loop variant PAGES_PER_BLOCK - i;
    */
    for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
        atomic_store_explicit(&allocator->owners[first + i], (uint16_t)entry, memory_order_relaxed);
    }
    /*@ assert inside: \forall integer p; 0 <= p < allocator->page_count &&
          p / PAGES_PER_BLOCK == block ==> allocator->owners[p] == entry; */
    /*@ assert outside: \forall integer p; 0 <= p < allocator->page_count &&
          p / PAGES_PER_BLOCK != block ==>
            allocator->owners[p] == \at(allocator->owners[p], Pre); */
    //@ assert large: page_large_valid(allocator);
    /*@
      ghost
      /@
        loop invariant 0 <= end <= allocator->page_count;
        loop invariant beside: pages_free_beside{Pre, Here}(allocator->owners, first,
                                                    first + PAGES_PER_BLOCK, end);
        loop invariant low: 0 <= pages_free(allocator->owners, 0, end);
        loop invariant high: pages_free{Pre}(allocator->owners, 0, end) <= end;
        loop invariant inside: first <= end <= first + PAGES_PER_BLOCK ==>
          pages_free(allocator->owners, first, end) ==
            (entry == PAGE_OWNER_FREE ? end - first : 0);
        loop invariant block: first + PAGES_PER_BLOCK <= end ==>
          pages_free(allocator->owners, first, first + PAGES_PER_BLOCK) ==
            (entry == PAGE_OWNER_FREE ? PAGES_PER_BLOCK : 0);
        loop invariant before: end <= first ==> pages_free(allocator->owners, 0, end) ==
          pages_free{Pre}(allocator->owners, 0, end);
        loop invariant within: first <= end <= first + PAGES_PER_BLOCK ==>
          pages_free(allocator->owners, 0, end) == pages_free{Pre}(allocator->owners, 0, end) -
            pages_free{Pre}(allocator->owners, first, end) +
            pages_free(allocator->owners, first, end);
        loop invariant after: first + PAGES_PER_BLOCK <= end ==>
          pages_free(allocator->owners, 0, end) == pages_free{Pre}(allocator->owners, 0, end) -
            pages_free{Pre}(allocator->owners, first, first + PAGES_PER_BLOCK) +
            pages_free(allocator->owners, first, first + PAGES_PER_BLOCK);
        loop assigns end;
        loop variant allocator->page_count - end;
      @/
      for (uint64_t end = 0; end < allocator->page_count; end++) {
      }
    */
}

/*@
  ghost
  /@
    requires page_blocks_but(allocator, block) && allocator->blocks[block].lowest == 0;
    requires allocator->blocks[block].free_count == pages_free(allocator->owners,
      block * PAGES_PER_BLOCK, block * PAGES_PER_BLOCK + PAGES_PER_BLOCK);
    terminates \true;
    assigns \nothing;
    ensures page_blocks_valid(allocator);
  @/
  void page_blocks_whole(struct page_allocator *allocator, uint32_t block)
  {
  }
*/

void page_block_set_entry(struct page_allocator *allocator, uint32_t block, uint32_t entry)
{
    block_set_entries(allocator, block, entry);
    //@ assert others: page_blocks_but(allocator, block);
    block_set_free(allocator, block, entry == PAGE_OWNER_FREE ? PAGES_PER_BLOCK : 0, 0);
    //@ assert rest: page_blocks_but(allocator, block);
    /*@ assert mine: allocator->blocks[block].lowest == 0 &&
          allocator->blocks[block].free_count == pages_free(allocator->owners,
            block * PAGES_PER_BLOCK, block * PAGES_PER_BLOCK + PAGES_PER_BLOCK); */
    //@ ghost page_blocks_whole(allocator, block);
}
