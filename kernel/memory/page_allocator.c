// SPDX-License-Identifier: MIT
// The page allocator of page_allocator.h: the owner of each page, one descriptor for each 2 MiB
// block, the order of the blocks, and what each CPU keeps. Every operation takes a bounded number
// of steps. Host-tested.
#include "kernel/memory/page_allocator.h"
#include "arch/x86/cpu/cpu.h"
#include "kernel/core/processors.h"
#include "kernel/lib/string.h"

struct page_allocator kernel_pages;

// What others read of it meanwhile is the owner before or after.
/*@
  requires page_tables(allocator) && page < allocator->page_count && owner <= 0xffff;
  terminates \true;
  assigns allocator->owners[page];
  ensures allocator->owners[page] == owner;
  ensures pages_free_moved{Pre, Post}(allocator->owners, page, allocator->page_count);
  ensures pages_free_sane(allocator->owners, allocator->page_count);
*/
static void set_owner(struct page_allocator *allocator, uint64_t page, uint32_t owner)
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
static uint32_t owner_of(const struct page_allocator *allocator, uint64_t page)
{
    return atomic_load_explicit(&allocator->owners[page], memory_order_relaxed);
}

// -- blocks -----------------------------------------------------------------------------------

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

// Notes how many pages of a block are free, and gives it the place that this calls for.
/*@
  requires page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  requires block < page_blocks(allocator) && count <= PAGES_PER_BLOCK;
  requires allocator->blocks[block].free_count <= allocator->free_pages + count;
  requires allocator->free_pages <= allocator->page_count + 1;
  terminates \true;
  assigns allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1], allocator->blocks[block].free_count;
  ensures page_order_valid(allocator) && page_parts_valid(allocator);
  ensures allocator->blocks[block].free_count == count;
  ensures allocator->free_pages ==
    \old(allocator->free_pages) + count - \old(allocator->blocks[block].free_count);
*/
static void block_set_free(struct page_allocator *allocator, uint32_t block, uint64_t count)
{
    struct page_block *it = &allocator->blocks[block];

    allocator->free_pages = allocator->free_pages + count - it->free_count;
    it->free_count = count;
    block_leave(allocator, block, count);
    block_join(allocator, block, count);
}

// Gives a page to its block, which does not have it.
/*@
  requires page_allocator_valid(allocator) && page < allocator->page_count;
  requires allocator->owners[page] != PAGE_OWNER_FREE;
  terminates \true;
  assigns allocator->owners[page], allocator->blocks[page / PAGES_PER_BLOCK],
    allocator->free_pages, allocator->whole, allocator->usable,
    allocator->order[0 .. page_blocks(allocator) - 1],
    allocator->places[0 .. page_blocks(allocator) - 1];
  ensures page_tables(allocator) && page_order_valid(allocator) && page_parts_valid(allocator);
  ensures page_blocks_valid(allocator) && page_total_valid(allocator);
  ensures allocator->owners[page] == PAGE_OWNER_FREE;
*/
static void page_mark_free(struct page_allocator *allocator, uint64_t page)
{
    uint32_t block = (uint32_t)(page / PAGES_PER_BLOCK);
    struct page_block *it = &allocator->blocks[block];

    set_owner(allocator, page, PAGE_OWNER_FREE);
    it->lowest = page % PAGES_PER_BLOCK < it->lowest ? page % PAGES_PER_BLOCK : it->lowest;
    block_set_free(allocator, block, it->free_count + 1);
}

// Takes the lowest free page of a block that has one, for a CPU to keep.
static uint32_t page_take_from(struct page_allocator *allocator, uint32_t block)
{
    struct page_block *it = &allocator->blocks[block];
    uint32_t page = block * PAGES_PER_BLOCK + (uint32_t)it->lowest;

    while (owner_of(allocator, page) != PAGE_OWNER_FREE) {
        page++;
    }
    set_owner(allocator, page, PAGE_OWNER_KEPT);
    it->lowest = page % PAGES_PER_BLOCK + 1;
    block_set_free(allocator, block, it->free_count - 1);
    return page;
}

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
        set_owner(allocator, i, PAGE_OWNER_RESERVED);
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

// -- what a CPU keeps -------------------------------------------------------------------------

/*@
  // What a CPU keeps: pages that say so, each once.
  predicate page_kept_valid{L}(struct page_allocator *allocator, struct cpu *cpu) =
    \valid(cpu) && cpu->free_page_count <= CPU_FREE_PAGES &&
    \separated(cpu, allocator, allocator->owners + (0 .. allocator->page_count - 1),
               allocator->blocks + (0 .. page_blocks(allocator) - 1)) &&
    \separated(cpu, allocator->order + (0 .. page_blocks(allocator) - 1),
               allocator->places + (0 .. page_blocks(allocator) - 1)) &&
    (\forall integer k; 0 <= k < cpu->free_page_count ==>
       cpu->free_pages[k] < allocator->page_count &&
       allocator->owners[cpu->free_pages[k]] == PAGE_OWNER_KEPT) &&
    \forall integer j, k; 0 <= j < k < cpu->free_page_count ==>
      cpu->free_pages[j] != cpu->free_pages[k];
*/

/*@
  requires \valid_read(&cpu->free_page_count);
  terminates \true;
  assigns \nothing;
  ensures \result == cpu->free_page_count;
*/
static uint64_t kept_by(const struct cpu *cpu)
{
    return atomic_load_explicit(&cpu->free_page_count, memory_order_relaxed);
}

/*@
  requires \valid(&cpu->free_page_count);
  terminates \true;
  assigns cpu->free_page_count;
  ensures cpu->free_page_count == count;
*/
static void keep(struct cpu *cpu, uint64_t count)
{
    atomic_store_explicit(&cpu->free_page_count, count, memory_order_relaxed);
}

// Takes some pages for this CPU, which has none, but breaks no whole block for more than one.
static void keep_some(struct page_allocator *allocator, struct cpu *cpu)
{
    for (uint64_t i = 0;
         i < CPU_FREE_PAGES / 2 && allocator->usable > (i > 0 ? allocator->whole : 0); i++) {
        cpu->free_pages[i] = page_take_from(allocator, allocator->order[allocator->usable - 1]);
        keep(cpu, i + 1);
    }
}

// Gives what this CPU keeps back to its blocks, but for `left` pages.
static void give_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t left)
{
    for (uint64_t count = kept_by(cpu); count > left; count--) {
        keep(cpu, count - 1);
        page_mark_free(allocator, cpu->free_pages[count - 1]);
    }
}

// -- 2 MiB pages ------------------------------------------------------------------------------

// Writes the entry of all pages of a block.
static void block_set_owner(struct page_allocator *allocator, uint32_t block, uint32_t entry)
{
    for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
        set_owner(allocator, (uint64_t)block * PAGES_PER_BLOCK + i, entry);
    }
    allocator->blocks[block].lowest = 0;
    block_set_free(allocator, block, entry == PAGE_OWNER_FREE ? PAGES_PER_BLOCK : 0);
}

static NOINLINE enum status allocate_large(struct page_allocator *allocator, uint32_t owner,
                                           uint64_t size, enum page_fill fill, hpa_t *page)
{
    if (size != LARGE_PAGE_SIZE) {
        return STATUS_INVALID;
    }
    lock_acquire(&allocator->lock);
    if (allocator->whole == 0) { // what this CPU keeps may make a block whole
        give_back(allocator, this_cpu(), 0);
    }
    bool some = allocator->whole > 0;
    if (some) {
        uint32_t block = allocator->order[allocator->whole - 1];

        *page = hpa(block * LARGE_PAGE_SIZE);
        block_set_owner(allocator, block, owner + PAGE_OWNER_LARGE);
    }
    lock_release(&allocator->lock);
    if (some && fill == PAGE_ZEROED) {
        memset(allocator->memory + page->value, 0, LARGE_PAGE_SIZE);
    }
    return some ? STATUS_OK : STATUS_NO_MEMORY;
}

// -- allocating and freeing -------------------------------------------------------------------

// Gives out the last of the `count` pages that this CPU keeps.
static enum status hand_out(struct page_allocator *allocator, struct cpu *cpu, uint64_t count,
                            uint32_t owner, enum page_fill fill, hpa_t *page)
{
    uint64_t number = cpu->free_pages[count - 1];

    keep(cpu, count - 1);
    set_owner(allocator, number, owner);
    *page = hpa(number * PAGE_SIZE);
    if (fill == PAGE_ZEROED) {
        memset(allocator->memory + page->value, 0, PAGE_SIZE);
    }
    return STATUS_OK;
}

// For a CPU that keeps none.
static NOINLINE enum status allocate_some(struct page_allocator *allocator, uint32_t owner,
                                          enum page_fill fill, hpa_t *page)
{
    struct cpu *cpu = this_cpu();

    lock_acquire(&allocator->lock);
    keep_some(allocator, cpu);
    lock_release(&allocator->lock);
    uint64_t count = kept_by(cpu);
    return count > 0 ? hand_out(allocator, cpu, count, owner, fill, page) : STATUS_NO_MEMORY;
}

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
  requires page_allocator_valid(allocator) && page_kept_valid(allocator, cpu);
  requires count == cpu->free_page_count && count < CPU_FREE_PAGES;
  requires number < allocator->page_count && allocator->owners[number] < PAGE_OWNER_RESERVED;
  terminates \true;
  assigns allocator->owners[number], cpu->free_pages[count], cpu->free_page_count;
  ensures page_blocks_valid(allocator);
  ensures page_total_valid(allocator);
  ensures page_kept_valid(allocator, cpu);
  ensures \result == STATUS_OK && cpu->free_page_count == count + 1;
  ensures cpu->free_pages[count] == number && allocator->owners[number] == PAGE_OWNER_KEPT;
*/
static enum status take_back(struct page_allocator *allocator, struct cpu *cpu, uint64_t count,
                             uint64_t number)
{
    set_owner(allocator, number, PAGE_OWNER_KEPT);
    cpu->free_pages[count] = (uint32_t)number;
    keep(cpu, count + 1);
    return STATUS_OK;
}

// All that takes more than a page for this CPU to keep.
static NOINLINE enum status free_slowly(struct page_allocator *allocator, uint32_t owner,
                                        hpa_t page, uint64_t size)
{
    uint64_t number = page.value / PAGE_SIZE;
    bool large = size == LARGE_PAGE_SIZE;

    if ((!large && size != PAGE_SIZE) || page.value % size != 0 ||
        number >= allocator->page_count || owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    uint32_t entry = owner_of(allocator, number);
    if (entry != owner + (large ? PAGE_OWNER_LARGE : 0)) {
        return entry % PAGE_OWNER_LARGE == owner ? STATUS_INVALID : STATUS_DENIED;
    }
    lock_acquire(&allocator->lock);
    if (large) {
        block_set_owner(allocator, (uint32_t)(number / PAGES_PER_BLOCK), PAGE_OWNER_FREE);
    } else {
        give_back(allocator, this_cpu(), CPU_FREE_PAGES / 2);
    }
    lock_release(&allocator->lock);
    return large ? STATUS_OK : take_back(allocator, this_cpu(), kept_by(this_cpu()), number);
}

// Only its owner gives a page back, so nobody else changes its entry meanwhile.
enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page, uint64_t size)
{
    struct cpu *cpu = this_cpu();
    uint64_t count = kept_by(cpu);
    // Of an address that is not aligned: too large.
    uint64_t number = (page.value >> PAGE_SHIFT) + (page.value << (64 - PAGE_SHIFT));

    if (owner >= PAGE_OWNER_RESERVED || size != PAGE_SIZE || number >= allocator->page_count ||
        owner_of(allocator, number) != owner || count == CPU_FREE_PAGES) {
        return free_slowly(allocator, owner, page, size);
    }
    return take_back(allocator, cpu, count, number);
}

uint32_t page_owner(const struct page_allocator *allocator, hpa_t address)
{
    uint64_t number = address.value / PAGE_SIZE;

    return number < allocator->page_count ? owner_of(allocator, number) % PAGE_OWNER_LARGE
                                          : PAGE_OWNER_RESERVED;
}

uint64_t page_free_count(struct page_allocator *allocator)
{
    lock_acquire(&allocator->lock);
    uint64_t count = allocator->free_pages;
    for (uint32_t i = 0; i < processor_count(); i++) {
        count += kept_by(cpu_of(i));
    }
    lock_release(&allocator->lock);
    return count;
}
