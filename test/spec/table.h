// SPDX-License-Identifier: MIT
// The specification of page tables, the host's and EPT alike: the leaves that are there, in order.
// Entries and tables are the kernel's affair, but for how many pages the tables take.
#pragma once

#include "test/spec/rule.h"

#define SPEC_LEAVES 4096u

enum spec_format { SPEC_FORMAT_HOST, SPEC_FORMAT_EPT };

enum spec_permission { // as the kernel numbers them
    SPEC_READ = 1u << 0,
    SPEC_WRITE = 1u << 1,
    SPEC_EXECUTE = 1u << 2,
    SPEC_USER = 1u << 3,  // host only
    SPEC_GLOBAL = 1u << 4 // host only
};

struct spec_leaf {
    uint64_t address;
    uint64_t size; // 4 KiB, 2 MiB or 1 GiB
    uint64_t physical;
    uint32_t permissions;
    uint32_t type; // memory type
};

struct spec_table {
    enum spec_format format;
    uint64_t largest; // leaf
    uint64_t physical_limit;
    bool kept[512]; // top-level tables that stay once they are there
    uint32_t count;
    struct spec_leaf leaves[SPEC_LEAVES]; // by address
};

void spec_table_init(struct spec_table *table, enum spec_format format, uint64_t largest,
                     uint64_t physical_limit);

// How many pages the table takes, its root included.
uint32_t table_pages_spec(const struct spec_table *now);

// Makes the top-level table `index` exist.
void table_reserve_spec(const struct spec_table *now, uint32_t index, struct spec_table *next);

// How many leaves such a mapping takes; the caller keeps all within SPEC_LEAVES.
uint64_t table_leaves_spec(const struct spec_table *now, uint64_t address, uint64_t physical,
                           uint64_t size);

// `pages`: how many more pages there are for tables. Each leaf is the largest that fits.
enum spec_rule table_map_spec(const struct spec_table *now, uint64_t address, uint64_t physical,
                              uint64_t size, uint32_t permissions, uint32_t type, uint32_t pages,
                              struct spec_table *next);
enum spec_rule table_unmap_spec(const struct spec_table *now, uint64_t address, uint64_t size,
                                struct spec_table *next);
enum spec_rule table_translate_spec(const struct spec_table *now, uint64_t address,
                                    struct spec_leaf *leaf);
enum spec_rule table_next_spec(const struct spec_table *now, uint64_t address, uint64_t limit,
                               struct spec_leaf *leaf);
