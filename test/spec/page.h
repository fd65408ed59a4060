// SPDX-License-Identifier: MIT
// The specification of the page allocator: who owns each page of RAM, and in which size it was
// given out.
#pragma once

#include "test/spec/rule.h"

#define SPEC_BLOCK_PAGES   512u // of a 2 MiB block
#define SPEC_BLOCKS        16u
#define SPEC_PAGES         (SPEC_BLOCKS * SPEC_BLOCK_PAGES)
#define SPEC_OWNER_FREE    0x7fffu
#define SPEC_OWNER_NONE    0x7ffeu // not RAM, or the kernel's for ever
#define SPEC_OWNER_MAXIMUM 0x7ffdu

struct spec_pages {
    uint16_t owner[SPEC_PAGES];
    bool large[SPEC_BLOCKS];    // given out as one 2 MiB page
    uint16_t free[SPEC_BLOCKS]; // how many of its pages are free
};

// All pages but those of `usable` are nobody's.
void spec_pages_init(struct spec_pages *pages);
void spec_pages_add(struct spec_pages *pages, uint64_t first, uint64_t end);

// `address`: what the kernel chose. Any free page of the size is right.
enum spec_rule page_allocate_spec(const struct spec_pages *now, uint32_t owner, uint64_t size,
                                  uint64_t address, struct spec_pages *next);
enum spec_rule page_free_spec(const struct spec_pages *now, uint32_t owner, uint64_t address,
                              uint64_t size, struct spec_pages *next);
uint32_t page_owner_spec(const struct spec_pages *now, uint64_t address);
uint64_t page_free_count_spec(const struct spec_pages *now);
