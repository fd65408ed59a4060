// SPDX-License-Identifier: MIT
// The page allocator of page_allocator.h: one descriptor per 2 MiB block with a bitmap of its free
// pages, and two lists of blocks. Every operation takes constant time. Host-tested.
#include "kernel/memory/page_allocator.h"
#include "kernel/lib/string.h"

#define BLOCK_NONE UINT32_MAX
#define WORDS      (PAGES_PER_BLOCK / 64)

struct page_allocator kernel_pages;

// -- lists of blocks --------------------------------------------------------------------------

static uint32_t *block_list(struct page_allocator *allocator, const struct page_block *block)
{
    if (block->state == BLOCK_WHOLE) {
        return &allocator->whole;
    }
    return block->state == BLOCK_PARTIAL ? &allocator->partial : NULL;
}

static void block_unlink(struct page_allocator *allocator, struct page_block *block)
{
    uint32_t *head = block_list(allocator, block);

    if (!head) {
        return;
    }
    if (block->previous != BLOCK_NONE) {
        allocator->blocks[block->previous].next = block->next;
    } else {
        *head = block->next;
    }
    if (block->next != BLOCK_NONE) {
        allocator->blocks[block->next].previous = block->previous;
    }
}

static void block_link(struct page_allocator *allocator, struct page_block *block)
{
    uint32_t *head = block_list(allocator, block);
    uint32_t index = (uint32_t)(block - allocator->blocks);

    if (!head) {
        return;
    }
    block->previous = BLOCK_NONE;
    block->next = *head;
    if (block->next != BLOCK_NONE) {
        allocator->blocks[block->next].previous = index;
    }
    *head = index;
}

// Moves the block to the list that belongs to `state`.
static void block_set_state(struct page_allocator *allocator, struct page_block *block,
                            enum page_block_state state)
{
    if (block->state == state) {
        return;
    }
    block_unlink(allocator, block);
    allocator->whole_blocks -= block->state == BLOCK_WHOLE;
    allocator->whole_blocks += state == BLOCK_WHOLE;
    block->state = (uint8_t)state;
    block_link(allocator, block);
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

static uint64_t page_take_from(struct page_allocator *allocator, struct page_block *block,
                               uint32_t owner)
{
    uint32_t word = 0;

    while (!block->free_bits[word]) {
        word++;
    }
    uint32_t bit = (uint32_t)__builtin_ctzll(block->free_bits[word]);
    uint64_t page =
        (uint64_t)(block - allocator->blocks) * PAGES_PER_BLOCK + (uint64_t)word * 64 + bit;

    block->free_bits[word] &= ~(1ull << bit);
    block->free_count--;
    allocator->owners[page] = (uint16_t)owner;
    allocator->free_pages--;
    block_update_state(allocator, block);
    return page;
}

// -- initialising -----------------------------------------------------------------------------

static uint64_t first_page_of(const struct page_range *range)
{
    return range->start / PAGE_SIZE + !is_aligned(range->start, PAGE_SIZE);
}

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
        uint64_t first = first_page_of(&usable[i]);
        uint64_t end = usable[i].end / PAGE_SIZE;

        if (end > first && end - first >= bytes / PAGE_SIZE) {
            *page = end - bytes / PAGE_SIZE;
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

static uint64_t highest_end(const struct page_range *usable, size_t count)
{
    uint64_t top = 0;

    for (size_t i = 0; i < count; i++) {
        top = usable[i].end > top ? usable[i].end : top;
    }
    return top;
}

enum status page_allocator_init(struct page_allocator *allocator, const struct page_range *usable,
                                size_t count, void *memory)
{
    uint64_t descriptors = 0;

    for (size_t i = 0; i < count; i++) {
        if (usable[i].start > usable[i].end || usable[i].end > 1ull << 52) {
            return STATUS_INVALID;
        }
    }
    uint64_t blocks = align_up(highest_end(usable, count), LARGE_PAGE_SIZE) / LARGE_PAGE_SIZE;
    uint64_t bytes = descriptor_bytes(blocks);
    enum status status = place_descriptors(usable, count, bytes, &descriptors);

    if (status != STATUS_OK) {
        return status;
    }
    memset(allocator, 0, sizeof(*allocator));
    allocator->memory = memory;
    allocator->whole = BLOCK_NONE;
    allocator->partial = BLOCK_NONE;
    descriptors_init(allocator, descriptors, blocks);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t page = first_page_of(&usable[i]); page < usable[i].end / PAGE_SIZE; page++) {
            if (page < descriptors || page >= descriptors + bytes / PAGE_SIZE) {
                page_mark_free(allocator, page);
            }
        }
    }
    allocator->total_pages = allocator->free_pages;
    return STATUS_OK;
}

// -- allocating and freeing -------------------------------------------------------------------

static void fill_pages(struct page_allocator *allocator, uint64_t page, enum page_fill fill,
                       uint64_t bytes)
{
    if (fill == PAGE_ZEROED) {
        memset(allocator->memory + page * PAGE_SIZE, 0, bytes);
    }
}

enum status page_allocate(struct page_allocator *allocator, uint32_t owner, enum page_fill fill,
                          hpa_t *page)
{
    if (owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    ticket_lock_acquire(&allocator->lock);
    uint32_t from = allocator->partial != BLOCK_NONE ? allocator->partial : allocator->whole;
    uint64_t number = 0;
    if (from != BLOCK_NONE) {
        number = page_take_from(allocator, &allocator->blocks[from], owner);
    }
    ticket_lock_release(&allocator->lock);
    if (from == BLOCK_NONE) {
        return STATUS_NO_MEMORY;
    }
    fill_pages(allocator, number, fill, PAGE_SIZE);
    *page = hpa(number * PAGE_SIZE);
    return STATUS_OK;
}

static void block_set_owner(struct page_allocator *allocator, uint32_t index, uint32_t owner)
{
    for (uint32_t i = 0; i < PAGES_PER_BLOCK; i++) {
        allocator->owners[(uint64_t)index * PAGES_PER_BLOCK + i] = (uint16_t)owner;
    }
}

enum status page_allocate_large(struct page_allocator *allocator, uint32_t owner,
                                enum page_fill fill, hpa_t *page)
{
    if (owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    ticket_lock_acquire(&allocator->lock);
    uint32_t index = allocator->whole;
    if (index != BLOCK_NONE) {
        struct page_block *block = &allocator->blocks[index];
        block_set_state(allocator, block, BLOCK_LARGE);
        memset(block->free_bits, 0, sizeof(block->free_bits));
        block->free_count = 0;
        block_set_owner(allocator, index, owner);
        allocator->free_pages -= PAGES_PER_BLOCK;
    }
    ticket_lock_release(&allocator->lock);
    if (index == BLOCK_NONE) {
        return STATUS_NO_MEMORY;
    }
    fill_pages(allocator, (uint64_t)index * PAGES_PER_BLOCK, fill, LARGE_PAGE_SIZE);
    *page = hpa(index * LARGE_PAGE_SIZE);
    return STATUS_OK;
}

// The checks common to both ways of freeing, under the lock.
static enum status check_owner(const struct page_allocator *allocator, uint32_t owner, hpa_t page,
                               uint64_t size, bool large)
{
    uint64_t number = page.value / PAGE_SIZE;

    if (!is_aligned(page.value, size) || number / PAGES_PER_BLOCK >= allocator->block_count ||
        owner >= PAGE_OWNER_RESERVED) {
        return STATUS_INVALID;
    }
    if (allocator->owners[number] != owner) {
        return STATUS_DENIED;
    }
    bool is_large = allocator->blocks[number / PAGES_PER_BLOCK].state == BLOCK_LARGE;
    return is_large == large ? STATUS_OK : STATUS_INVALID;
}

enum status page_free(struct page_allocator *allocator, uint32_t owner, hpa_t page)
{
    ticket_lock_acquire(&allocator->lock);
    enum status status = check_owner(allocator, owner, page, PAGE_SIZE, false);
    if (status == STATUS_OK) {
        page_mark_free(allocator, page.value / PAGE_SIZE);
    }
    ticket_lock_release(&allocator->lock);
    return status;
}

enum status page_free_large(struct page_allocator *allocator, uint32_t owner, hpa_t page)
{
    ticket_lock_acquire(&allocator->lock);
    enum status status = check_owner(allocator, owner, page, LARGE_PAGE_SIZE, true);
    if (status == STATUS_OK) {
        uint32_t index = (uint32_t)(page.value / LARGE_PAGE_SIZE);
        struct page_block *block = &allocator->blocks[index];
        memset(block->free_bits, 0xff, sizeof(block->free_bits));
        block->free_count = PAGES_PER_BLOCK;
        block_set_owner(allocator, index, PAGE_OWNER_FREE);
        allocator->free_pages += PAGES_PER_BLOCK;
        block_update_state(allocator, block);
    }
    ticket_lock_release(&allocator->lock);
    return status;
}

uint32_t page_owner(struct page_allocator *allocator, hpa_t address)
{
    uint32_t owner = PAGE_OWNER_RESERVED;

    ticket_lock_acquire(&allocator->lock);
    if (address.value / LARGE_PAGE_SIZE < allocator->block_count) {
        owner = allocator->owners[address.value / PAGE_SIZE];
    }
    ticket_lock_release(&allocator->lock);
    return owner;
}

uint64_t page_free_count(struct page_allocator *allocator)
{
    ticket_lock_acquire(&allocator->lock);
    uint64_t count = allocator->free_pages;
    ticket_lock_release(&allocator->lock);
    return count;
}
