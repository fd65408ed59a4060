// SPDX-License-Identifier: MIT
// The page allocator of page_allocator.h: what each CPU keeps, giving out and taking back. Every
// operation takes a bounded number of steps. Host-tested.
#include "kernel/memory/page_allocator.h"
#include "arch/x86/cpu/cpu.h"
#include "kernel/core/processors.h"
#include "kernel/lib/string.h"
#include "kernel/memory/page_locked.h"
#include "kernel/memory/page_stock.h"

struct page_allocator kernel_pages;

// -- initialising -----------------------------------------------------------------------------

#define DESCRIPTOR_BYTES                                                                           \
    (PAGES_PER_BLOCK * sizeof(uint16_t) + sizeof(struct page_block) + 2 * sizeof(uint32_t))

static void descriptors_init(struct page_allocator *allocator, uint64_t start, uint64_t blocks)
{
    allocator->page_count = blocks * PAGES_PER_BLOCK;
    allocator->owners = (_Atomic uint16_t *)(void *)(allocator->memory + start);
    allocator->blocks = (struct page_block *)(void *)(allocator->owners + allocator->page_count);
    allocator->order = (uint32_t *)(void *)(allocator->blocks + blocks);
    allocator->places = allocator->order + blocks;
    for (uint64_t i = 0; i < allocator->page_count; i++) {
        page_set_entry(allocator, i, PAGE_OWNER_RESERVED);
    }
    for (uint32_t i = 0; i < blocks; i++) {
        allocator->blocks[i] = (struct page_block){.lowest = PAGES_PER_BLOCK};
        allocator->order[i] = allocator->places[i] = i;
    }
}

enum status page_allocator_init(struct page_allocator *allocator, const struct page_range *usable,
                                size_t count, void *memory)
{
    size_t home = 0; // the range for the descriptors
    uint64_t top = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_aligned(usable[i].start | usable[i].end, PAGE_SIZE) ||
            usable[i].start > usable[i].end || usable[i].end > 1ull << 44) {
            return STATUS_INVALID;
        }
        top = usable[i].end > top ? usable[i].end : top;
    }
    uint64_t blocks = align_up(top, LARGE_PAGE_SIZE) / LARGE_PAGE_SIZE;
    uint64_t bytes = align_up(blocks * DESCRIPTOR_BYTES, PAGE_SIZE);
    while (home < count && usable[home].end - usable[home].start < bytes) {
        home++;
    }
    if (home == count) {
        return STATUS_NO_MEMORY;
    }
    // At the range's end, so that low memory stays free for those who need it.
    uint64_t descriptors = usable[home].end - bytes;
    *allocator =
        (struct page_allocator){.memory = memory, .lock = LOCK_INITIAL(LOCK_PAGE_ALLOCATOR)};
    descriptors_init(allocator, descriptors, blocks);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t at = usable[i].start; at < usable[i].end; at += PAGE_SIZE) {
            if (at < descriptors || at >= descriptors + bytes) {
                page_mark_free(allocator, at / PAGE_SIZE);
            }
        }
    }
    allocator->total_pages = allocator->free_pages;
    return STATUS_OK;
}

// Trusted: what memset does.
/*@
  requires \valid(memory + (start .. start + size - 1));
  terminates \true;
  assigns memory[start .. start + size - 1];
  ensures \forall integer i; start <= i < start + size ==> memory[i] == 0;
*/
static void zero(uint8_t *memory, uint64_t start, uint64_t size)
{
    memset(memory + start, 0, size);
}

// Tells the caller which page it gets, and fills it.
/*@
  PAGES_VALID(running_cpu)
  requires page_result_valid(allocator, running_cpu, page);
  requires number < allocator->page_count;
  requires \valid(allocator->memory + (number * PAGE_SIZE .. number * PAGE_SIZE + size - 1));
  terminates \true;
  assigns *page, allocator->memory[number * PAGE_SIZE .. number * PAGE_SIZE + size - 1];
  PAGES_STAY_VALID(running_cpu)
  ensures \result == STATUS_OK && page->value == number * PAGE_SIZE;
  ensures filled: page_filled{Pre, Post}(allocator, number * PAGE_SIZE, size, fill);
*/
static enum status deliver(const struct page_allocator *allocator, uint64_t number, uint64_t size,
                           enum page_fill fill, hpa_t *page)
{
    *page = hpa(number * PAGE_SIZE);
    if (fill == PAGE_ZEROED) {
        zero(allocator->memory, number * PAGE_SIZE, size);
    }
    return STATUS_OK;
}

// -- 2 MiB pages ------------------------------------------------------------------------------

/*@
  PAGES_VALID(running_cpu)
  requires page_result_valid(allocator, running_cpu, page);
  requires PAGES_UNLOCKED && owner < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK, running_cpu->free_page_count, *page,
    allocator->memory[0 .. allocator->page_count * PAGE_SIZE - 1];
  PAGES_STAY_VALID(running_cpu)
  ensures PAGES_UNLOCKED;
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_NO_MEMORY;
  ensures invalid: \result == STATUS_INVALID <==> size != LARGE_PAGE_SIZE;
  ensures refused: \result == STATUS_NO_MEMORY ==>
    allocator->whole == 0 && running_cpu->free_page_count == 0;
  ensures some: \old(allocator->whole) > 0 ==> \result != STATUS_NO_MEMORY;
  ensures same: \result != STATUS_OK ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, 0, 0) &&
    page_filled{Pre, Post}(allocator, 0, 0, PAGE_CONTENTS_KEPT);
  ensures given: \result == STATUS_OK ==>
    page_given{Pre, Post}(allocator, page, owner, PAGES_PER_BLOCK, PAGE_OWNER_LARGE);
  ensures moved: \result == STATUS_OK ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, page->value / PAGE_SIZE,
                                page->value / PAGE_SIZE + PAGES_PER_BLOCK);
  ensures filled: \result == STATUS_OK ==>
    page_filled{Pre, Post}(allocator, page->value, LARGE_PAGE_SIZE, fill);
*/
static NOINLINE enum status allocate_large(struct page_allocator *allocator, uint32_t owner,
                                           uint64_t size, enum page_fill fill, hpa_t *page)
{
    if (size != LARGE_PAGE_SIZE) {
        return STATUS_INVALID;
    }
    uint32_t block = page_block_allocate(allocator, owner);

    if (block == PAGE_NO_BLOCK) {
        return STATUS_NO_MEMORY;
    }
    //@ ghost uint64_t number = (uint64_t)block * 512;
    //@ assert start: number + 511 < allocator->page_count;
    //@ assert one: allocator->owners[number] != PAGE_OWNER_RESERVED;
    //@ assert end: allocator->owners[number + 511] != PAGE_OWNER_RESERVED;
    /*@ assert first: \valid(allocator->memory + (number * PAGE_SIZE ..
          number * PAGE_SIZE + PAGE_SIZE - 1)); */
    /*@ assert last: \valid(allocator->memory + ((number + 511) * PAGE_SIZE ..
          (number + 511) * PAGE_SIZE + PAGE_SIZE - 1)); */
    return deliver(allocator, (uint64_t)block * PAGES_PER_BLOCK, size, fill, page);
}

// -- allocating and freeing -------------------------------------------------------------------

// Makes the last of the `count` pages that a CPU keeps its owner's.
/*@
  PAGES_VALID(cpu)
  requires count == cpu->free_page_count && count > 0 && owner < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns allocator->owners[cpu->free_pages[count - 1]], cpu->free_page_count;
  PAGES_STAY_VALID(cpu)
  ensures \result == cpu->free_pages[count - 1] && \result < allocator->page_count;
  ensures cpu->free_page_count == count - 1;
  ensures \old(allocator->owners[cpu->free_pages[count - 1]]) == PAGE_OWNER_KEPT;
  ensures allocator->owners[\result] == owner;
  ensures others: \forall integer p; p != \result && page_is_kept{Pre}(cpu, p) ==>
    page_is_kept(cpu, p);
*/
static uint64_t hand_over(struct page_allocator *allocator, struct cpu *cpu, uint64_t count,
                          uint32_t owner)
{
    uint64_t number = cpu->free_pages[count - 1];

    keep(cpu, count - 1);
    page_set_entry(allocator, number, owner);
    return number;
}

// Gives out the last of the `count` pages that this CPU keeps.
/*@
  PAGES_VALID(cpu)
  requires page_result_valid(allocator, cpu, page);
  requires cpu == running_cpu;
  requires count == cpu->free_page_count && count > 0 && owner < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns allocator->owners[cpu->free_pages[count - 1]], cpu->free_page_count, *page,
    allocator->memory[cpu->free_pages[count - 1] * PAGE_SIZE ..
                      cpu->free_pages[count - 1] * PAGE_SIZE + PAGE_SIZE - 1];
  PAGES_STAY_VALID(cpu)
  ensures \result == STATUS_OK && cpu->free_page_count == count - 1;
  ensures page->value == cpu->free_pages[count - 1] * PAGE_SIZE;
  ensures \old(allocator->owners[cpu->free_pages[count - 1]]) == PAGE_OWNER_KEPT;
  ensures allocator->owners[cpu->free_pages[count - 1]] == owner;
  ensures others: \forall integer p; p != cpu->free_pages[count - 1] &&
    page_is_kept{Pre}(cpu, p) ==> page_is_kept(cpu, p);
  ensures filled: page_filled{Pre, Post}(allocator, page->value, PAGE_SIZE, fill);
*/
static enum status hand_out(struct page_allocator *allocator, struct cpu *cpu, uint64_t count,
                            uint32_t owner, enum page_fill fill, hpa_t *page)
{
    uint64_t number = hand_over(allocator, cpu, count, owner);

    return deliver(allocator, number, PAGE_SIZE, fill, page);
}

// For a CPU that keeps none.
/*@
  PAGES_VALID(running_cpu)
  requires page_result_valid(allocator, running_cpu, page);
  requires PAGES_UNLOCKED;
  requires running_cpu->free_page_count == 0 && owner < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK,
    running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1], running_cpu->free_page_count, *page,
    allocator->memory[0 .. allocator->page_count * PAGE_SIZE - 1];
  PAGES_STAY_VALID(running_cpu)
  ensures lock: PAGES_UNLOCKED;
  ensures \result == STATUS_OK || \result == STATUS_NO_MEMORY;
  ensures refused: \result == STATUS_NO_MEMORY <==> \old(allocator->usable) == 0;
  ensures \result != STATUS_OK ==> page_owners_same{Pre, Post}(allocator, 0, 0) &&
    page_filled{Pre, Post}(allocator, 0, 0, PAGE_CONTENTS_KEPT);
  ensures given: \result == STATUS_OK ==> page_given{Pre, Post}(allocator, page, owner, 1, 0);
  ensures moved: \result == STATUS_OK ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, page->value / PAGE_SIZE,
                                page->value / PAGE_SIZE + 1);
  ensures filled: \result == STATUS_OK ==>
    page_filled{Pre, Post}(allocator, page->value, PAGE_SIZE, fill);
*/
static NOINLINE enum status allocate_some(struct page_allocator *allocator, uint32_t owner,
                                          enum page_fill fill, hpa_t *page)
{
    struct cpu *cpu = this_cpu();

    page_refill(allocator);
    uint64_t count = kept_by(cpu);
    /*@ assert last: count > 0 ==>
          (\at(allocator->owners[\at(cpu->free_pages[count - 1], Here)], Pre) == PAGE_OWNER_FREE ||
           \at(allocator->owners[\at(cpu->free_pages[count - 1], Here)], Pre) == PAGE_OWNER_KEPT);
     */
    if (count == 0) {
        return STATUS_NO_MEMORY;
    }
    //@ ghost Filled: ;
    enum status status = hand_out(allocator, cpu, count, owner, fill, page);
    //@ assert number: page->value / PAGE_SIZE == cpu->free_pages[count - 1];
    /*@ assert still: \forall integer p; p != page->value / PAGE_SIZE &&
          \at(page_is_kept(cpu, p), Filled) ==> page_is_kept(cpu, p); */
    return status;
}

/*@
  PAGES_VALID(running_cpu)
  requires page_result_valid(allocator, running_cpu, page);
  requires PAGES_UNLOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK,
    running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1], running_cpu->free_page_count, *page,
    allocator->memory[0 .. allocator->page_count * PAGE_SIZE - 1];
  PAGES_STAY_VALID(running_cpu)
  ensures lock: PAGES_UNLOCKED;
  ensures invalid: \result == STATUS_INVALID <==> owner >= PAGE_OWNER_RESERVED ||
    (size != PAGE_SIZE && size != LARGE_PAGE_SIZE);
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_NO_MEMORY;
  behavior page:
    assumes owner < PAGE_OWNER_RESERVED && size == PAGE_SIZE;
    ensures refused: \result == STATUS_NO_MEMORY <==>
      \old(running_cpu->free_page_count) == 0 && \old(allocator->usable) == 0;
    ensures same: \result != STATUS_OK ==> page_owners_same{Pre, Post}(allocator, 0, 0);
    ensures clean: \result != STATUS_OK ==>
      page_filled{Pre, Post}(allocator, 0, 0, PAGE_CONTENTS_KEPT);
    ensures given: \result == STATUS_OK ==> page_given{Pre, Post}(allocator, page, owner, 1, 0);
    ensures moved: \result == STATUS_OK ==>
      page_stock_moved{Pre, Post}(allocator, running_cpu, page->value / PAGE_SIZE,
                                  page->value / PAGE_SIZE + 1);
    ensures filled: \result == STATUS_OK ==>
      page_filled{Pre, Post}(allocator, page->value, PAGE_SIZE, fill);
  behavior large:
    assumes owner < PAGE_OWNER_RESERVED && size == LARGE_PAGE_SIZE;
    ensures refused: \result == STATUS_NO_MEMORY ==>
      allocator->whole == 0 && running_cpu->free_page_count == 0;
    ensures some: \old(allocator->whole) > 0 ==> \result == STATUS_OK;
    ensures same: \result != STATUS_OK ==>
      page_stock_moved{Pre, Post}(allocator, running_cpu, 0, 0);
    ensures clean: \result != STATUS_OK ==>
      page_filled{Pre, Post}(allocator, 0, 0, PAGE_CONTENTS_KEPT);
    ensures given: \result == STATUS_OK ==>
      page_given{Pre, Post}(allocator, page, owner, PAGES_PER_BLOCK, PAGE_OWNER_LARGE);
    ensures moved: \result == STATUS_OK ==>
      page_stock_moved{Pre, Post}(allocator, running_cpu, page->value / PAGE_SIZE,
                                  page->value / PAGE_SIZE + PAGES_PER_BLOCK);
    ensures filled: \result == STATUS_OK ==>
      page_filled{Pre, Post}(allocator, page->value, LARGE_PAGE_SIZE, fill);
*/
enum status page_allocate(struct page_allocator *allocator, uint32_t owner, uint64_t size,
                          enum page_fill fill, hpa_t *page)
{
    struct cpu *cpu = this_cpu();
    uint64_t count = kept_by(cpu);

    if (owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    if (size != PAGE_SIZE) {
        return allocate_large(allocator, owner, size, fill, page);
    }
    if (count == 0) {
        return allocate_some(allocator, owner, fill, page);
    }
    return hand_out(allocator, cpu, count, owner, fill, page);
}

// Adds a page to the `count` that this CPU keeps.
/*@
  PAGES_VALID(cpu)
  requires count == cpu->free_page_count && count < CPU_FREE_PAGES;
  requires number < allocator->page_count && allocator->owners[number] < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns allocator->owners[number], cpu->free_pages[count], cpu->free_page_count;
  PAGES_STAY_VALID(cpu)
  ensures \result == STATUS_OK && cpu->free_page_count == count + 1;
  ensures cpu->free_pages[count] == number && allocator->owners[number] == PAGE_OWNER_KEPT;
  ensures mine: page_is_kept(cpu, number);
*/
static enum status take_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t count,
                             uint64_t number)
{
    page_set_entry(allocator, number, PAGE_OWNER_KEPT);
    cpu->free_pages[count] = (uint32_t)number;
    keep(cpu, count + 1);
    return STATUS_OK;
}

// All that takes more than a page for this CPU to keep.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK,
    running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1], running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  ensures PAGES_UNLOCKED;
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_DENIED;
  ensures refused: \result == STATUS_OK <==>
    page_owned{Pre}(allocator, owner, page.value, size);
  ensures denied: \result == STATUS_DENIED ==> \old(allocator->owners[page.value / PAGE_SIZE]) !=
    owner + (size == LARGE_PAGE_SIZE ? PAGE_OWNER_LARGE : 0);
  ensures same: \result != STATUS_OK ==> page_owners_same{Pre, Post}(allocator, 0, 0) &&
    running_cpu->free_page_count == \old(running_cpu->free_page_count);
  ensures one: \result == STATUS_OK && size == PAGE_SIZE ==>
    page_is_kept(running_cpu, page.value / PAGE_SIZE);
  ensures moved: \result == STATUS_OK && size == PAGE_SIZE ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, page.value / PAGE_SIZE,
                                page.value / PAGE_SIZE + 1);
  ensures block: \result == STATUS_OK && size == LARGE_PAGE_SIZE ==>
    page_owners_same{Pre, Post}(allocator, page.value / PAGE_SIZE,
                                page.value / PAGE_SIZE + PAGES_PER_BLOCK);
  ensures freed: \result == STATUS_OK && size == LARGE_PAGE_SIZE ==>
    \forall integer p; page.value / PAGE_SIZE <= p <
        page.value / PAGE_SIZE + PAGES_PER_BLOCK ==>
      \old(allocator->owners[p]) == owner + PAGE_OWNER_LARGE &&
      allocator->owners[p] == PAGE_OWNER_FREE;
*/
static NOINLINE enum status free_slowly(struct page_allocator *allocator, uint32_t owner,
                                        hpa_t page, uint64_t size)
{
    uint64_t number = page.value / PAGE_SIZE;
    bool large = size == LARGE_PAGE_SIZE;

    if ((!large && size != PAGE_SIZE) || page.value % size != 0 ||
        number >= allocator->page_count || owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    uint32_t entry = page_entry(allocator, number);
    if (entry != owner + (large ? PAGE_OWNER_LARGE : 0)) {
        return entry % PAGE_OWNER_LARGE == owner ? STATUS_INVALID : STATUS_DENIED;
    }
    if (large) {
        //@ assert aligned: number / PAGES_PER_BLOCK * PAGES_PER_BLOCK == number;
        page_block_free(allocator, (uint32_t)(number / PAGES_PER_BLOCK));
        return STATUS_OK;
    }
    page_make_room(allocator);
    return take_back(allocator, this_cpu(), kept_by(this_cpu()), number);
}

// Only its owner gives a page back, so nobody else changes its entry meanwhile.
/*@
  PAGES_VALID(running_cpu)
  requires PAGES_UNLOCKED;
  terminates \true;
  assigns PAGES_BLOCKS, PAGES_LOCK,
    running_cpu->free_pages[0 .. CPU_FREE_PAGES - 1], running_cpu->free_page_count;
  PAGES_STAY_VALID(running_cpu)
  ensures PAGES_UNLOCKED;
  ensures \result == STATUS_OK || \result == STATUS_INVALID || \result == STATUS_DENIED;
  ensures refused: \result == STATUS_OK <==>
    page_owned{Pre}(allocator, owner, page.value, size);
  ensures denied: \result == STATUS_DENIED ==> \old(allocator->owners[page.value / PAGE_SIZE]) !=
    owner + (size == LARGE_PAGE_SIZE ? PAGE_OWNER_LARGE : 0);
  ensures same: \result != STATUS_OK ==> page_owners_same{Pre, Post}(allocator, 0, 0) &&
    running_cpu->free_page_count == \old(running_cpu->free_page_count);
  ensures one: \result == STATUS_OK && size == PAGE_SIZE ==>
    page_is_kept(running_cpu, page.value / PAGE_SIZE);
  ensures moved: \result == STATUS_OK && size == PAGE_SIZE ==>
    page_stock_moved{Pre, Post}(allocator, running_cpu, page.value / PAGE_SIZE,
                                page.value / PAGE_SIZE + 1);
  ensures block: \result == STATUS_OK && size == LARGE_PAGE_SIZE ==>
    page_owners_same{Pre, Post}(allocator, page.value / PAGE_SIZE,
                                page.value / PAGE_SIZE + PAGES_PER_BLOCK);
  ensures freed: \result == STATUS_OK && size == LARGE_PAGE_SIZE ==>
    \forall integer p; page.value / PAGE_SIZE <= p <
        page.value / PAGE_SIZE + PAGES_PER_BLOCK ==>
      \old(allocator->owners[p]) == owner + PAGE_OWNER_LARGE &&
      allocator->owners[p] == PAGE_OWNER_FREE;
*/
enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page, uint64_t size)
{
    struct cpu *cpu = this_cpu();
    uint64_t count = kept_by(cpu);
    // Of an address that is not aligned: too large.
    uint64_t number =
        page.value / PAGE_SIZE + page.value % PAGE_SIZE * (UINT64_MAX / PAGE_SIZE + 1);

    if (owner >= PAGE_OWNER_RESERVED || size != PAGE_SIZE || number >= allocator->page_count ||
        page_entry(allocator, number) != owner || count == CPU_FREE_PAGES) {
        return free_slowly(allocator, owner, page, size);
    }
    return take_back(allocator, cpu, count, number);
}

/*@
  requires page_tables(allocator);
  terminates \true;
  assigns \nothing;
  ensures address.value / PAGE_SIZE >= allocator->page_count ==> \result == PAGE_OWNER_RESERVED;
  ensures address.value / PAGE_SIZE < allocator->page_count ==>
    \result == (allocator->owners[address.value / PAGE_SIZE] < PAGE_OWNER_LARGE ?
                  allocator->owners[address.value / PAGE_SIZE] :
                  allocator->owners[address.value / PAGE_SIZE] - PAGE_OWNER_LARGE);
*/
uint32_t page_owner(const struct page_allocator *allocator, hpa_t address)
{
    uint64_t number = address.value / PAGE_SIZE;

    return number < allocator->page_count ? page_entry(allocator, number) % PAGE_OWNER_LARGE
                                          : PAGE_OWNER_RESERVED;
}

/*@
  requires page_tables(allocator) && PAGES_UNLOCKED;
  requires allocator->free_pages <= allocator->page_count;
  requires 0 <= processors_running <= CPU_MAXIMUM;
  requires \forall integer i; 0 <= i < processors_running ==>
    \valid_read(cpu_number(i)) && \separated(cpu_number(i), allocator) &&
    cpu_number(i)->free_page_count <= CPU_FREE_PAGES;
  terminates \true;
  assigns PAGES_LOCK;
  ensures PAGES_UNLOCKED;
  ensures \result == \old(allocator->free_pages) + \old(pages_kept(processors_running));
*/
uint64_t page_free_count(struct page_allocator *allocator)
{
    lock_acquire(&allocator->lock);
    uint64_t count = allocator->free_pages;
    /*@
      loop invariant 0 <= i <= processors_running;
      loop invariant 0 <= pages_kept(i) <= i * CPU_FREE_PAGES;
      loop invariant pages_kept(i) == pages_kept{Pre}(i);
      loop invariant count == allocator->free_pages + pages_kept(i);
      loop assigns i, count;
      loop variant processors_running - i;
    */
    for (uint32_t i = 0; i < processor_count(); i++) {
        count += kept_by(cpu_of(i));
    }
    lock_release(&allocator->lock);
    return count;
}
