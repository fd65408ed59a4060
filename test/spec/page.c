// SPDX-License-Identifier: MIT
// Owners of pages (page.h).
#include "test/spec/page.h"
#include <string.h>

#define SMALL 4096ull
#define LARGE (SMALL * SPEC_BLOCK_PAGES)

void spec_pages_init(struct spec_pages *pages)
{
    *pages = (struct spec_pages){0};
    for (uint32_t i = 0; i < SPEC_PAGES; i++) {
        pages->owner[i] = SPEC_OWNER_NONE;
    }
}

void spec_pages_add(struct spec_pages *pages, uint64_t first, uint64_t end)
{
    for (uint64_t i = first; i < end; i++) {
        pages->owner[i] = SPEC_OWNER_FREE;
        pages->free[i / SPEC_BLOCK_PAGES]++;
    }
}

// Blocks with at least so many free pages.
static uint32_t blocks_with(const struct spec_pages *now, uint32_t least)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SPEC_BLOCKS; i++) {
        count += now->free[i] >= least;
    }
    return count;
}

static void set_owner(struct spec_pages *pages, uint64_t page, uint64_t count, uint32_t owner)
{
    uint16_t *freed = &pages->free[page / SPEC_BLOCK_PAGES];

    for (uint64_t i = page; i < page + count; i++) {
        pages->owner[i] = (uint16_t)owner;
    }
    *freed = (uint16_t)(owner == SPEC_OWNER_FREE ? *freed + count : *freed - count);
}

static enum spec_rule choice_check(const struct spec_pages *now, uint64_t size, uint64_t address)
{
    uint64_t block = address / LARGE;

    if (address % size != 0 || block >= SPEC_BLOCKS) {
        return ALLOCATE_CHOICE;
    }
    if (size == LARGE) {
        return now->free[block] == SPEC_BLOCK_PAGES ? SPEC_ALLOWED : ALLOCATE_CHOICE;
    }
    if (now->owner[address / SMALL] != SPEC_OWNER_FREE) {
        return ALLOCATE_CHOICE;
    }
    return SPEC_ALLOWED;
}

enum spec_rule page_allocate_spec(const struct spec_pages *now, uint32_t owner, uint64_t size,
                                  uint64_t address, struct spec_pages *next)
{
    if (owner > SPEC_OWNER_MAXIMUM) {
        return ALLOCATE_OWNER;
    }
    if (size != SMALL && size != LARGE) {
        return ALLOCATE_SIZE;
    }
    if (blocks_with(now, size == LARGE ? SPEC_BLOCK_PAGES : 1) == 0) {
        return ALLOCATE_NONE;
    }
    enum spec_rule rule = choice_check(now, size, address);
    if (rule == SPEC_ALLOWED) {
        if (next != now) {
            *next = *now;
        }
        next->large[address / LARGE] = size == LARGE;
        set_owner(next, address / SMALL, size / SMALL, owner);
    }
    return rule;
}

enum spec_rule page_free_spec(const struct spec_pages *now, uint32_t owner, uint64_t address,
                              uint64_t size, struct spec_pages *next)
{
    if (size != SMALL && size != LARGE) {
        return PAGE_FREE_SIZE;
    }
    if (address % size != 0 || address / LARGE >= SPEC_BLOCKS) {
        return PAGE_FREE_ADDRESS;
    }
    if (owner > SPEC_OWNER_MAXIMUM) {
        return PAGE_FREE_NOBODY;
    }
    if (now->owner[address / SMALL] != owner) {
        return PAGE_FREE_OWNER;
    }
    if (now->large[address / LARGE] != (size == LARGE)) {
        return PAGE_FREE_KIND;
    }
    if (next != now) {
        *next = *now;
    }
    next->large[address / LARGE] = false;
    set_owner(next, address / SMALL, size / SMALL, SPEC_OWNER_FREE);
    return SPEC_ALLOWED;
}

uint32_t page_owner_spec(const struct spec_pages *now, uint64_t address)
{
    return address / SMALL < (uint64_t)SPEC_PAGES ? now->owner[address / SMALL] : SPEC_OWNER_NONE;
}

uint64_t page_free_count_spec(const struct spec_pages *now)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < SPEC_PAGES; i++) {
        count += now->owner[i] == SPEC_OWNER_FREE;
    }
    return count;
}
