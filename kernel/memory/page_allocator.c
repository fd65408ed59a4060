// SPDX-License-Identifier: MIT
// The page allocator of page_allocator.h: one descriptor per 2 MiB block with a bitmap of its free
// pages, two lists of blocks, and what each CPU keeps. Every operation takes constant time.
// Host-tested.
#include "kernel/memory/page_allocator.h"
#include "arch/x86/cpu/cpu.h"
#include "kernel/core/processors.h"
#include "kernel/lib/string.h"

#define WORDS (PAGES_PER_BLOCK / 64)

struct page_allocator kernel_pages;

// What others read of it meanwhile is the owner before or after.
static void set_owner(struct page_allocator *allocator, uint64_t page, uint32_t owner)
{
    atomic_store_explicit(&allocator->owners[page], (uint16_t)owner, memory_order_relaxed);
}

static uint32_t owner_of(const struct page_allocator *allocator, uint64_t page)
{
    return atomic_load_explicit(&allocator->owners[page], memory_order_relaxed);
}

// -- what a CPU keeps -------------------------------------------------------------------------

static uint64_t kept_by(const struct cpu *cpu)
{
    return atomic_load_explicit(&cpu->free_page_count, memory_order_relaxed);
}

static void keep(struct cpu *cpu, uint64_t count)
{
    atomic_store_explicit(&cpu->free_page_count, count, memory_order_relaxed);
}

// -- blocks -----------------------------------------------------------------------------------

// Moves the block to the queue that its number of free pages calls for.
static void block_update_queue(struct page_allocator *allocator, struct page_block *block)
{
    struct queue *queue =
        block->free_count == PAGES_PER_BLOCK ? &allocator->whole : &allocator->partial;

    queue = block->free_count > 0 ? queue : NULL;
    if (block->node.queue != queue) {
        queue_remove(&block->node);
        if (queue) {
            queue_push(queue, &block->node);
        }
    }
}

static void page_mark_free(struct page_allocator *allocator, uint64_t page)
{
    struct page_block *block = &allocator->blocks[page / PAGES_PER_BLOCK];
    uint32_t index = page % PAGES_PER_BLOCK;

    block->free_bits[index / 64] |= 1ull << (index % 64);
    block->free_count++;
    allocator->free_pages++;
    block_update_queue(allocator, block);
}

// Takes the lowest free page of the block; returns its number.
static uint32_t page_take_from(struct page_allocator *allocator, struct page_block *block)
{
    uint32_t word = 0;

    while (!block->free_bits[word]) {
        word++;
    }
    uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(block->free_bits[word]);

    block->free_bits[word] &= block->free_bits[word] - 1;
    block->free_count--;
    allocator->free_pages--;
    block_update_queue(allocator, block);
    return (uint32_t)(block - allocator->blocks) * PAGES_PER_BLOCK + index;
}

// -- initialising -----------------------------------------------------------------------------

static uint64_t descriptor_bytes(uint64_t blocks)
{
    return align_up(blocks * sizeof(struct page_block), PAGE_SIZE) +
           align_up(blocks * PAGES_PER_BLOCK * sizeof(uint16_t), PAGE_SIZE);
}

// Looks for a range that can hold `bytes`, page aligned, and writes the first page to use. Takes
// it from the range's end, so that low memory stays free for those who need it.
static enum status place_descriptors(const struct page_range *usable, size_t count, uint64_t bytes,
                                     uint64_t *page)
{
    for (size_t i = 0; i < count; i++) {
        if (usable[i].end - usable[i].start >= bytes) {
            *page = (usable[i].end - bytes) / PAGE_SIZE;
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

static void descriptors_init(struct page_allocator *allocator, uint64_t page, uint64_t blocks)
{
    uint8_t *at = allocator->memory + page * PAGE_SIZE;

    allocator->blocks = (struct page_block *)(void *)at;
    allocator->owners =
        (_Atomic uint16_t *)(void *)(at + align_up(blocks * sizeof(struct page_block), PAGE_SIZE));
    allocator->page_count = blocks * PAGES_PER_BLOCK;
    memset(at, 0, descriptor_bytes(blocks));
    for (uint64_t i = 0; i < allocator->page_count; i++) {
        set_owner(allocator, i, PAGE_OWNER_RESERVED);
    }
}

enum status page_allocator_init(struct page_allocator *allocator, const struct page_range *usable,
                                size_t count, void *memory)
{
    uint64_t descriptors = 0;
    uint64_t top = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_aligned(usable[i].start | usable[i].end, PAGE_SIZE) ||
            usable[i].start > usable[i].end || usable[i].end > 1ull << 44) {
            return STATUS_INVALID;
        }
        top = usable[i].end > top ? usable[i].end : top;
    }
    uint64_t blocks = align_up(top, LARGE_PAGE_SIZE) / LARGE_PAGE_SIZE;
    uint64_t bytes = descriptor_bytes(blocks);
    enum status status = place_descriptors(usable, count, bytes, &descriptors);

    if (status != STATUS_OK) {
        return status;
    }
    memset(allocator, 0, sizeof(*allocator));
    lock_initialize(&allocator->lock, LOCK_PAGE_ALLOCATOR);
    allocator->memory = memory;
    descriptors_init(allocator, descriptors, blocks);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t page = usable[i].start / PAGE_SIZE; page < usable[i].end / PAGE_SIZE;
             page++) {
            if (page < descriptors || page >= descriptors + bytes / PAGE_SIZE) {
                set_owner(allocator, page, PAGE_OWNER_FREE);
                page_mark_free(allocator, page);
            }
        }
    }
    allocator->total_pages = allocator->free_pages;
    return STATUS_OK;
}

// -- 2 MiB pages ------------------------------------------------------------------------------

// Makes all pages of a block free, or all of them `owner`'s.
static void block_set_owner(struct page_allocator *allocator, struct page_block *block,
                            uint32_t owner)
{
    uint64_t first = (uint64_t)(block - allocator->blocks) * PAGES_PER_BLOCK;
    bool free = owner == PAGE_OWNER_FREE;

    memset(block->free_bits, free ? 0xff : 0, sizeof(block->free_bits));
    block->free_count = free ? PAGES_PER_BLOCK : 0;
    for (uint64_t i = first; i < first + PAGES_PER_BLOCK; i++) {
        set_owner(allocator, i, free ? owner : owner | PAGE_OWNER_LARGE);
    }
    allocator->free_pages += free ? PAGES_PER_BLOCK : -(uint64_t)PAGES_PER_BLOCK;
    block_update_queue(allocator, block);
}

// Gives what this CPU keeps back to its blocks, but for `left` pages.
static void give_back(struct page_allocator *allocator, uint32_t left)
{
    struct cpu *cpu = this_cpu();

    while (kept_by(cpu) > left) {
        keep(cpu, kept_by(cpu) - 1);
        page_mark_free(allocator, cpu->free_pages[kept_by(cpu)]);
    }
}

static NOINLINE enum status allocate_large(struct page_allocator *allocator, uint32_t owner,
                                           uint64_t size, enum page_fill fill, hpa_t *page)
{
    if (owner >= PAGE_OWNER_RESERVED || size != LARGE_PAGE_SIZE) {
        return STATUS_INVALID;
    }
    lock_acquire(&allocator->lock);
    if (!allocator->whole.head) { // what this CPU keeps may make a block whole
        give_back(allocator, 0);
    }
    struct queue_node *node = allocator->whole.head;
    if (node) {
        struct page_block *block = CONTAINER_OF(node, struct page_block, node);

        *page = hpa((uint64_t)(block - allocator->blocks) * LARGE_PAGE_SIZE);
        block_set_owner(allocator, block, owner);
    }
    lock_release(&allocator->lock);
    if (node && fill == PAGE_ZEROED) {
        memset(allocator->memory + page->value, 0, size);
    }
    return node ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status free_large(struct page_allocator *allocator, hpa_t page)
{
    lock_acquire(&allocator->lock);
    block_set_owner(allocator, &allocator->blocks[page.value / LARGE_PAGE_SIZE], PAGE_OWNER_FREE);
    lock_release(&allocator->lock);
    return STATUS_OK;
}

// -- allocating and freeing -------------------------------------------------------------------

static bool is_page_size(uint64_t size)
{
    return size == PAGE_SIZE || size == LARGE_PAGE_SIZE;
}

// Takes some pages of one block, for this CPU has none.
static NOINLINE enum status allocate_some(struct page_allocator *allocator, uint32_t owner,
                                          enum page_fill fill, hpa_t *page)
{
    struct cpu *cpu = this_cpu();

    if (owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    lock_acquire(&allocator->lock);
    struct queue_node *node =
        allocator->partial.head ? allocator->partial.head : allocator->whole.head;
    if (node) {
        struct page_block *block = CONTAINER_OF(node, struct page_block, node);

        while (kept_by(cpu) < CPU_FREE_PAGES / 2 && block->free_count > 0) {
            cpu->free_pages[kept_by(cpu)] = page_take_from(allocator, block);
            keep(cpu, kept_by(cpu) + 1);
        }
    }
    lock_release(&allocator->lock);
    return node ? page_allocate(allocator, owner, PAGE_SIZE, fill, page) : STATUS_NO_MEMORY;
}

enum status page_allocate(struct page_allocator *allocator, uint32_t owner, uint64_t size,
                          enum page_fill fill, hpa_t *page)
{
    struct cpu *cpu = this_cpu();
    uint64_t count = kept_by(cpu);

    if (size != PAGE_SIZE) {
        return allocate_large(allocator, owner, size, fill, page);
    }
    if (owner >= PAGE_OWNER_RESERVED || count == 0) {
        return allocate_some(allocator, owner, fill, page);
    }
    uint64_t number = cpu->free_pages[count - 1];

    keep(cpu, count - 1);
    set_owner(allocator, number, owner);
    *page = hpa(number * PAGE_SIZE);
    if (fill == PAGE_ZEROED) {
        memset(allocator->memory + page->value, 0, PAGE_SIZE);
    }
    return STATUS_OK;
}

// All that takes more than a page for this CPU to keep.
static NOINLINE enum status free_slowly(struct page_allocator *allocator, uint32_t owner,
                                        hpa_t page, uint64_t size)
{
    uint32_t kind = size == LARGE_PAGE_SIZE ? PAGE_OWNER_LARGE : 0;

    if (!is_page_size(size) || !is_aligned(page.value, size) ||
        page.value / PAGE_SIZE >= allocator->page_count || owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    uint32_t entry = owner_of(allocator, page.value / PAGE_SIZE);
    if (entry != (owner | kind)) {
        return (entry & ~PAGE_OWNER_LARGE) == owner ? STATUS_INVALID : STATUS_DENIED;
    }
    if (size == LARGE_PAGE_SIZE) {
        return free_large(allocator, page);
    }
    lock_acquire(&allocator->lock);
    give_back(allocator, CPU_FREE_PAGES / 2);
    lock_release(&allocator->lock);
    return page_free(allocator, owner, page, size);
}

// Only its owner gives a page back, so nobody else changes its entry meanwhile.
enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page, uint64_t size)
{
    struct cpu *cpu = this_cpu();
    uint64_t count = kept_by(cpu);
    uint64_t number = page.value >> PAGE_SHIFT | page.value << (64 - PAGE_SHIFT); // odd: too large

    if (owner >= PAGE_OWNER_RESERVED || size != PAGE_SIZE || number >= allocator->page_count ||
        owner_of(allocator, number) != owner || count == CPU_FREE_PAGES) {
        return free_slowly(allocator, owner, page, size);
    }
    set_owner(allocator, number, PAGE_OWNER_FREE);
    cpu->free_pages[count] = (uint32_t)number;
    keep(cpu, count + 1);
    return STATUS_OK;
}

uint32_t page_owner(const struct page_allocator *allocator, hpa_t address)
{
    uint64_t number = address.value / PAGE_SIZE;

    return number < allocator->page_count ? owner_of(allocator, number) & ~PAGE_OWNER_LARGE
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
