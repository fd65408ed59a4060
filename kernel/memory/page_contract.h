// SPDX-License-Identifier: MIT
// What the contracts of the page allocator are made of: the sum over the owners that says how many
// pages are free, the invariants of blocks, their order and what a CPU keeps, what a call changes.
// Only proofs read it. Quantifiers stand over the cells that are read, so that provers see which.
#pragma once

#include "arch/x86/cpu/cpu.h"
#include "kernel/memory/page_allocator.h"

/*@
  // How many pages of [first, end) are free and in their block.
  logic integer pages_free{L}(uint16_t *owners, integer first, integer end) =
    end <= first ? 0 : pages_free(owners, first, end - 1) +
      (owners[end - 1] == PAGE_OWNER_FREE ? 1 : 0);

  // From A to B the page alone changed, as far as that number goes; nothing of [0, count) did.
  predicate pages_free_moved{A, B}(uint16_t *owners, integer page, integer count) =
    \forall integer f, e; 0 <= f <= e <= count ==>
      pages_free{B}(owners, f, e) == pages_free{A}(owners, f, e) +
        (f <= page < e ? (\at(owners[page], B) == PAGE_OWNER_FREE ? 1 : 0) -
                         (\at(owners[page], A) == PAGE_OWNER_FREE ? 1 : 0) : 0);
  predicate pages_free_sane{L}(uint16_t *owners, integer count) =
    \forall integer f, e; 0 <= f <= e <= count ==> 0 <= pages_free(owners, f, e) <= e - f;

  // From A to B only pages of [first, end) changed; nothing of [0, count) beside them did.
  predicate pages_free_beside{A, B}(uint16_t *owners, integer first, integer end, integer count) =
    \forall integer f, e; 0 <= f <= e <= count && (e <= first || end <= f) ==>
      pages_free{B}(owners, f, e) == pages_free{A}(owners, f, e);

  logic integer page_blocks{L}(struct page_allocator *allocator) =
    allocator->page_count / PAGES_PER_BLOCK;

  // What is constant after initialising.
  predicate page_tables{L}(struct page_allocator *allocator) =
    \valid(allocator) && allocator->page_count % PAGES_PER_BLOCK == 0 &&
    allocator->page_count <= 0x100000000 &&
    \valid(allocator->owners + (0 .. allocator->page_count - 1)) &&
    \valid(allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&
    \valid(allocator->order + (0 .. page_blocks(allocator) - 1)) &&
    \valid(allocator->places + (0 .. page_blocks(allocator) - 1)) &&
    \separated(allocator, allocator->owners + (0 .. allocator->page_count - 1),
               allocator->blocks + (0 .. page_blocks(allocator) - 1),
               allocator->order + (0 .. page_blocks(allocator) - 1),
               allocator->places + (0 .. page_blocks(allocator) - 1));

  // Each block has one place, and each place one block.
  predicate page_order_of{L}(uint32_t *order, uint32_t *places, integer blocks) =
    (\forall integer k; 0 <= k < blocks ==> order[k] < blocks && places[order[k]] == k) &&
    (\forall integer b; 0 <= b < blocks ==> places[b] < blocks && order[places[b]] == b);
  predicate page_order_valid{L}(struct page_allocator *allocator) =
    page_order_of(allocator->order, allocator->places, page_blocks(allocator));

  // The parts of the order: whole blocks, broken ones, full ones.
  predicate page_parts_but{L}(struct page_allocator *allocator, integer but) =
    allocator->whole <= allocator->usable <= page_blocks(allocator) &&
    \forall integer b; 0 <= b < page_blocks(allocator) && b != but ==>
      allocator->blocks[b].free_count <= PAGES_PER_BLOCK &&
      (allocator->places[b] < allocator->whole <==>
         allocator->blocks[b].free_count == PAGES_PER_BLOCK) &&
      (allocator->places[b] < allocator->usable <==> allocator->blocks[b].free_count > 0);
  predicate page_parts_valid{L}(struct page_allocator *allocator) =
    page_parts_but(allocator, -1);

  // What blocks say of their pages.
  predicate page_blocks_valid{L}(struct page_allocator *allocator) =
    \forall integer b; 0 <= b < page_blocks(allocator) ==>
      allocator->blocks[b].lowest <= PAGES_PER_BLOCK &&
      allocator->blocks[b].free_count ==
        pages_free(allocator->owners, b * PAGES_PER_BLOCK, b * PAGES_PER_BLOCK + PAGES_PER_BLOCK) &&
      \forall integer p; b * PAGES_PER_BLOCK <= p <
          b * PAGES_PER_BLOCK + allocator->blocks[b].lowest ==>
        allocator->owners[p] != PAGE_OWNER_FREE;
  predicate page_blocks_but{L}(struct page_allocator *allocator, integer but) =
    \forall integer b; 0 <= b < page_blocks(allocator) && b != but ==>
      allocator->blocks[b].lowest <= PAGES_PER_BLOCK &&
      allocator->blocks[b].free_count ==
        pages_free(allocator->owners, b * PAGES_PER_BLOCK, b * PAGES_PER_BLOCK + PAGES_PER_BLOCK) &&
      \forall integer p; b * PAGES_PER_BLOCK <= p <
          b * PAGES_PER_BLOCK + allocator->blocks[b].lowest ==>
        allocator->owners[p] != PAGE_OWNER_FREE;
  predicate page_total_valid{L}(struct page_allocator *allocator) =
    allocator->free_pages == pages_free(allocator->owners, 0, allocator->page_count);

  // A block given out as one 2 MiB page says so in each entry, with one owner.
  predicate page_is_large(integer entry) =
    PAGE_OWNER_LARGE <= entry < PAGE_OWNER_LARGE + PAGE_OWNER_RESERVED;
  predicate pages_large_valid{L}(uint16_t *owners, integer count) =
    \forall integer p, q; 0 <= p < count && 0 <= q < count &&
      p / PAGES_PER_BLOCK == q / PAGES_PER_BLOCK && page_is_large(owners[p]) ==>
        owners[q] == owners[p];
  predicate page_large_valid{L}(struct page_allocator *allocator) =
    pages_large_valid(allocator->owners, allocator->page_count);

  predicate page_allocator_valid{L}(struct page_allocator *allocator) =
    page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator) &&
    page_blocks_valid(allocator) && page_total_valid(allocator) && page_large_valid(allocator);

  // From A to B the owners of no pages but [first, end) changed.
  predicate page_owners_same{A, B}(struct page_allocator *allocator, integer first, integer end) =
    \forall integer p; 0 <= p < \at(allocator->page_count, A) && (p < first || end <= p) ==>
      \at(allocator->owners[p], B) == \at(allocator->owners[p], A);

  // What a CPU keeps: pages that say so, each once.
  predicate page_kept_valid{L}(struct page_allocator *allocator, struct cpu *cpu) =
    \valid(cpu) && cpu->free_page_count <= CPU_FREE_PAGES &&
    \separated(cpu, allocator) &&
    \separated(cpu, allocator->owners + (0 .. allocator->page_count - 1)) &&
    \separated(&cpu->free_page_count, allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&
    \separated(&cpu->free_pages[0 .. CPU_FREE_PAGES - 1],
               allocator->order + (0 .. page_blocks(allocator) - 1)) &&
    \separated(&cpu->free_pages[0 .. CPU_FREE_PAGES - 1],
               allocator->places + (0 .. page_blocks(allocator) - 1)) &&
    (\forall integer k; 0 <= k < cpu->free_page_count ==>
       cpu->free_pages[k] < allocator->page_count &&
       allocator->owners[cpu->free_pages[k]] == PAGE_OWNER_KEPT) &&
    \forall integer j, k; 0 <= j < k < cpu->free_page_count ==>
      cpu->free_pages[j] != cpu->free_pages[k];

  // How many pages so many CPUs keep.
  logic integer pages_kept{L}(integer cpus) =
    cpus <= 0 ? 0 : pages_kept(cpus - 1) + cpu_number(cpus - 1)->free_page_count;

  predicate page_is_kept{L}(struct cpu *cpu, integer page) =
    \exists integer k; 0 <= k < cpu->free_page_count && cpu->free_pages[k] == page;

  // From A to B pages other than [first, end) changed only where free ones came to a CPU that keeps
  // them, or went from it to their blocks.
  predicate page_stock_moved{A, B}(struct page_allocator *allocator, struct cpu *cpu,
                                   integer first, integer end) =
    \forall integer p; 0 <= p < \at(allocator->page_count, A) && (p < first || end <= p) ==>
      \at(allocator->owners[p], B) == \at(allocator->owners[p], A) ||
      (\at(allocator->owners[p], A) == PAGE_OWNER_FREE &&
       \at(allocator->owners[p], B) == PAGE_OWNER_KEPT && page_is_kept{B}(cpu, p)) ||
      (\at(allocator->owners[p], A) == PAGE_OWNER_KEPT &&
       \at(allocator->owners[p], B) == PAGE_OWNER_FREE && page_is_kept{A}(cpu, p));

  // Whether the owner has the page of that size at the address.
  predicate page_owned{L}(struct page_allocator *allocator, integer owner, integer address,
                          integer size) =
    owner < PAGE_OWNER_RESERVED && (size == PAGE_SIZE || size == LARGE_PAGE_SIZE) &&
    address % size == 0 && address / PAGE_SIZE < allocator->page_count &&
    allocator->owners[address / PAGE_SIZE] ==
      owner + (size == LARGE_PAGE_SIZE ? PAGE_OWNER_LARGE : 0);

  // From A to B `count` free pages at the address became the owner's.
  predicate page_given{A, B}(struct page_allocator *allocator, hpa_t *page, integer owner,
                             integer count, integer large) =
    \at(page->value, B) % (count * PAGE_SIZE) == 0 &&
    \at(page->value, B) / PAGE_SIZE + count <= \at(allocator->page_count, A) &&
    \forall integer p; \at(page->value, B) / PAGE_SIZE <= p <
        \at(page->value, B) / PAGE_SIZE + count ==>
      (\at(allocator->owners[p], A) == PAGE_OWNER_FREE ||
       \at(allocator->owners[p], A) == PAGE_OWNER_KEPT) &&
      \at(allocator->owners[p], B) == owner + large;

  // The memory of what can be given out is there.
  predicate page_memory_valid{L}(struct page_allocator *allocator) =
    \forall integer p; 0 <= p < allocator->page_count &&
      allocator->owners[p] != PAGE_OWNER_RESERVED ==>
        \valid(allocator->memory + (p * PAGE_SIZE .. p * PAGE_SIZE + PAGE_SIZE - 1));

  // Where a call writes the address of a page.
  predicate page_result_valid{L}(struct page_allocator *allocator, struct cpu *cpu, hpa_t *page) =
    \valid(page) && \separated(page, cpu) && \separated(page, allocator) &&
    \separated(page, allocator->owners + (0 .. allocator->page_count - 1)) &&
    \separated(page, allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&
    \separated(page, allocator->order + (0 .. page_blocks(allocator) - 1)) &&
    \separated(page, allocator->places + (0 .. page_blocks(allocator) - 1));

  // From A to B the bytes [start, start + size) of memory became zero, if they should; no others
  // changed.
  predicate page_filled{A, B}(struct page_allocator *allocator, integer start, integer size,
                              enum page_fill fill) =
    (\forall integer i; 0 <= i < \at(allocator->page_count, A) * PAGE_SIZE &&
       (fill != PAGE_ZEROED || i < start || start + size <= i) ==>
         \at(allocator->memory[i], B) == \at(allocator->memory[i], A)) &&
    (fill == PAGE_ZEROED ==> \forall integer i; start <= i < start + size ==>
       \at(allocator->memory[i], B) == 0);
*/

// Clauses that stand in many contracts: what holds before and after, one by one for the provers,
// and what changes where pages come from blocks or go to them.
// clang-format off
#define PAGES_VALID(cpu)                                                                           \
    requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);                   \
    requires page_memory_valid(allocator);
#define PAGES_STAY_VALID(cpu)                                                                      \
    ensures page_tables(allocator);                                                                \
    ensures order: page_order_valid(allocator);                                                    \
    ensures parts: page_parts_valid(allocator);                                                    \
    ensures blocks: page_blocks_valid(allocator);                                                  \
    ensures total: page_total_valid(allocator) && page_large_valid(allocator);                     \
    ensures kept: page_kept_valid(allocator, cpu);                                                 \
    ensures memory: page_memory_valid(allocator);
#define PAGES_BLOCKS                                                                               \
    allocator->owners[0 .. allocator->page_count - 1], allocator->free_pages, allocator->whole,    \
    allocator->usable, allocator->blocks[0 .. page_blocks(allocator) - 1],                         \
    allocator->order[0 .. page_blocks(allocator) - 1],                                             \
    allocator->places[0 .. page_blocks(allocator) - 1]
#define PAGES_LOCKED   (allocator->lock.last == (uint64_t)(allocator->lock.turn + 1))
#define PAGES_UNLOCKED (allocator->lock.last == allocator->lock.turn)
#define PAGES_LOCK     allocator->lock.last, allocator->lock.turn
#define PAGES_STAY_LOCKED                                                                          \
    ensures last: allocator->lock.last == \old(allocator->lock.last);                              \
    ensures turn: allocator->lock.turn == \old(allocator->lock.turn);                              \
    ensures count: allocator->page_count == \old(allocator->page_count);
#define PAGES_STAY_UNLOCKED                                                                        \
    ensures lock: PAGES_UNLOCKED;                                                                  \
    ensures count: allocator->page_count == \old(allocator->page_count);
#define PAGES_LOCK_APART                                                                           \
    \separated(&allocator->lock.last, allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&    \
    \separated(&allocator->lock.turn, allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&    \
    \separated(&allocator->lock, running_cpu)
// clang-format on
