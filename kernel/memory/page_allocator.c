// SPDX-License-Identifier: MIT
// The page allocator of page_allocator.h: one descriptor per 2 MiB block with a bitmap of its free
// pages, and two lists of blocks. Every operation takes constant time. Host-tested.
#include "kernel/memory/page_allocator.h"
#include "kernel/lib/string.h"

#define WORDS (PAGES_PER_BLOCK / 64)

struct page_allocator kernel_pages;

// -- states of blocks -------------------------------------------------------------------------

// Moves the block to the list that belongs to `state`.
static void block_set_state(struct page_allocator *allocator, struct page_block *block,
                            enum page_block_state state)
{
    if (block->state == state) {
        return;
    }
    queue_remove(&block->node);
    block->state = (uint8_t)state;
    if (state == BLOCK_WHOLE) {
        queue_push(&allocator->whole, &block->node);
    } else if (state == BLOCK_PARTIAL) {
        queue_push(&allocator->partial, &block->node);
    }
}

// The state that the number of free pages implies (BLOCK_LARGE is set by its own functions).
static void block_update_state(struct page_allocator *allocator, struct page_block *block)
{
    enum page_block_state state = BLOCK_PARTIAL;

    if (block->free_count == 0) {
        state = BLOCK_FULL;
    } else if (block->free_count == PAGES_PER_BLOCK) {
        state = BLOCK_WHOLE;
    }
    block_set_state(allocator, block, state);
}

// -- single pages in a block ------------------------------------------------------------------

static void page_mark_free(struct page_allocator *allocator, uint64_t page)
{
    struct page_block *block = &allocator->blocks[page / PAGES_PER_BLOCK];
    uint32_t index = page % PAGES_PER_BLOCK;

    block->free_bits[index / 64] |= 1ull << (index % 64);
    block->free_count++;
    allocator->owners[page] = PAGE_OWNER_FREE;
    allocator->free_pages++;
    block_update_state(allocator, block);
}

// Takes the lowest free page of the block; returns its index there.
static uint32_t page_take_from(struct page_allocator *allocator, struct page_block *block,
                               uint32_t owner)
{
    uint32_t word = 0;

    while (!block->free_bits[word]) {
        word++;
    }
    uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(block->free_bits[word]);

    block->free_bits[word] &= block->free_bits[word] - 1;
    block->free_count--;
    allocator->owners[(uint64_t)(block - allocator->blocks) * PAGES_PER_BLOCK + index] =
        (uint16_t)owner;
    allocator->free_pages--;
    block_update_state(allocator, block);
    return index;
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
        (uint16_t *)(void *)(at + align_up(blocks * sizeof(struct page_block), PAGE_SIZE));
    allocator->block_count = (uint32_t)blocks;
    memset(at, 0, descriptor_bytes(blocks));
    for (uint64_t i = 0; i < blocks; i++) {
        allocator->blocks[i].state = BLOCK_FULL;
    }
    for (uint64_t i = 0; i < blocks * PAGES_PER_BLOCK; i++) {
        allocator->owners[i] = PAGE_OWNER_RESERVED;
    }
}

enum status page_allocator_init(struct page_allocator *allocator, const struct page_range *usable,
                                size_t count, void *memory)
{
    uint64_t descriptors = 0;
    uint64_t top = 0;

    for (size_t i = 0; i < count; i++) {
        if (!is_aligned(usable[i].start | usable[i].end, PAGE_SIZE) ||
            usable[i].start > usable[i].end || usable[i].end > 1ull << 52) {
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
                page_mark_free(allocator, page);
            }
        }
    }
    allocator->total_pages = allocator->free_pages;
    return STATUS_OK;
}

// -- allocating and freeing -------------------------------------------------------------------

static bool is_page_size(uint64_t size)
{
    return size == PAGE_SIZE || size == LARGE_PAGE_SIZE;
}

// Makes all pages of a block free, or all of them `owner`'s.
static void block_set_owner(struct page_allocator *allocator, struct page_block *block,
                            uint32_t owner)
{
    uint64_t first = (uint64_t)(block - allocator->blocks) * PAGES_PER_BLOCK;
    bool free = owner == PAGE_OWNER_FREE;

    memset(block->free_bits, free ? 0xff : 0, sizeof(block->free_bits));
    block->free_count = free ? PAGES_PER_BLOCK : 0;
    for (uint64_t i = first; i < first + PAGES_PER_BLOCK; i++) {
        allocator->owners[i] = (uint16_t)owner;
    }
    allocator->free_pages += free ? PAGES_PER_BLOCK : -(uint64_t)PAGES_PER_BLOCK;
    block_set_state(allocator, block, free ? BLOCK_WHOLE : BLOCK_LARGE);
}

enum status page_allocate(struct page_allocator *allocator, uint32_t owner, uint64_t size,
                          enum page_fill fill, hpa_t *page)
{
    bool large = size == LARGE_PAGE_SIZE;

    if (owner >= PAGE_OWNER_RESERVED || !is_page_size(size)) {
        return STATUS_INVALID;
    }
    lock_acquire(&allocator->lock);
    struct queue_node *node = allocator->partial.head;
    if (large || !node) {
        node = allocator->whole.head;
    }
    if (node) {
        struct page_block *block = CONTAINER_OF(node, struct page_block, node);

        *page = hpa((uint64_t)(block - allocator->blocks) * LARGE_PAGE_SIZE);
        if (large) {
            block_set_owner(allocator, block, owner);
        } else {
            page->value += page_take_from(allocator, block, owner) * PAGE_SIZE;
        }
    }
    lock_release(&allocator->lock);
    if (node && fill == PAGE_ZEROED) {
        memset(allocator->memory + page->value, 0, size);
    }
    return node ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status check_owner(const struct page_allocator *allocator, uint32_t owner, hpa_t page,
                               uint64_t size)
{
    uint64_t block = page.value / LARGE_PAGE_SIZE;

    if (!is_page_size(size) || !is_aligned(page.value, size) || block >= allocator->block_count ||
        owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    if (allocator->owners[page.value / PAGE_SIZE] != owner) {
        return STATUS_DENIED;
    }
    bool is_large = allocator->blocks[block].state == BLOCK_LARGE;
    return is_large == (size == LARGE_PAGE_SIZE) ? STATUS_OK : STATUS_INVALID;
}

enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page, uint64_t size)
{
    lock_acquire(&allocator->lock);
    enum status status = check_owner(allocator, owner, page, size);
    if (status == STATUS_OK && size == LARGE_PAGE_SIZE) {
        block_set_owner(allocator, &allocator->blocks[page.value / size], PAGE_OWNER_FREE);
    } else if (status == STATUS_OK) {
        page_mark_free(allocator, page.value / PAGE_SIZE);
    }
    lock_release(&allocator->lock);
    return status;
}

uint32_t page_owner(struct page_allocator *allocator, hpa_t address)
{
    uint32_t owner = PAGE_OWNER_RESERVED;

    lock_acquire(&allocator->lock);
    if (address.value / LARGE_PAGE_SIZE < allocator->block_count) {
        owner = allocator->owners[address.value / PAGE_SIZE];
    }
    lock_release(&allocator->lock);
    return owner;
}

uint64_t page_free_count(struct page_allocator *allocator)
{
    lock_acquire(&allocator->lock);
    uint64_t count = allocator->free_pages;
    lock_release(&allocator->lock);
    return count;
}
