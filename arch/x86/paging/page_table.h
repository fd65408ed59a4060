// SPDX-License-Identifier: MIT
// One walker and mapper for four-level tables: the host's own format and EPT.
//
// Pure: it allocates nothing (its caller passes a page_source), invalidates no TLB (its caller
// does), and reaches tables at physical address + direct_offset, so a host test runs it on an
// ordinary buffer. The caller's lock guards the table. Every change is validated first and its
// table pages are taken before anything is mapped; on an error nothing has changed.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

enum page_format {
    PAGE_FORMAT_HOST, // "4-Level Paging"
    PAGE_FORMAT_EPT,  // "The Extended Page Table Mechanism"
};

enum page_permission {
    PAGE_READ = 1u << 0, // required in both formats
    PAGE_WRITE = 1u << 1,
    PAGE_EXECUTE = 1u << 2,
    PAGE_USER = 1u << 3,   // host format only: ring 3 may access it
    PAGE_GLOBAL = 1u << 4, // host format only
};

// Memory types of EPT entries. The host format offers write-back, write-through and uncacheable.
enum memory_type {
    MEMORY_UNCACHEABLE = 0,
    MEMORY_WRITE_COMBINING = 1,
    MEMORY_WRITE_THROUGH = 4,
    MEMORY_WRITE_PROTECTED = 5,
    MEMORY_WRITE_BACK = 6,
};

enum page_level { PAGE_LEVEL_4K, PAGE_LEVEL_2M, PAGE_LEVEL_1G };

// Where table pages come from and go to.
struct page_source {
    // Stores the address of a page of any contents to *page, or returns an error status.
    enum status (*take)(void *context, hpa_t *page);
    void (*give)(void *context, hpa_t page);
    void *context;
};

struct page_table {
    hpa_t root;
    uintptr_t direct_offset; // virtual address of physical address 0 (DIRECT_MAP_BASE on target)
    uint64_t physical_limit; // 1 << MAXPHYADDR
    enum page_format format;
    enum page_level largest; // the largest leaf that the processor accepts
};

struct page_mapping {
    uint64_t address;     // first address that the leaf maps
    uint64_t size;        // 4 KiB, 2 MiB or 1 GiB
    hpa_t physical;       // what `address` maps to
    uint32_t permissions; // enum page_permission
    enum memory_type type;
};

// Takes and clears a root page and fills in `table`. Errors: those of take.
MUST_CHECK enum status page_table_create(struct page_table *table, enum page_format format,
                                         enum page_level largest, uintptr_t direct_offset,
                                         uint64_t physical_limit, const struct page_source *source);

// Gives back every table page, but for what the host format shares in its upper half. Mapped memory
// itself is the caller's.
void page_table_destroy(struct page_table *table, const struct page_source *source);

// Copies top-level entries [256, 512) of `from`, the kernel's table, into `table`.
void page_table_share_upper(struct page_table *table, const struct page_table *from);

// Makes sure that the tables for top-level entry `index` exist (one page). Errors: those of take.
MUST_CHECK enum status page_table_reserve(struct page_table *table, unsigned index,
                                          const struct page_source *source);

// Maps [address, address + size) to physical memory, with the largest leaves that alignment and
// `largest` allow. All three are multiples of 4 KiB.
// STATUS_INVALID: alignment, range, permissions or memory type are not legal for the format;
// STATUS_UNSUPPORTED: the host format lacks this memory type; STATUS_BUSY: something is mapped
// there; else the error of take.
MUST_CHECK enum status page_table_map(struct page_table *table, uint64_t address, hpa_t physical,
                                      uint64_t size, uint32_t permissions, enum memory_type type,
                                      const struct page_source *source);

// Removes what is mapped in [address, address + size); holes are fine. Tables that become empty are
// given back (not those of the upper half's top level). STATUS_INVALID: alignment or range, or a
// larger leaf is only partly inside; nothing has changed then.
MUST_CHECK enum status page_table_unmap(struct page_table *table, uint64_t address, uint64_t size,
                                        const struct page_source *source);

// Finds the leaf that maps `address`. STATUS_NOT_FOUND when none does.
MUST_CHECK enum status page_table_translate(const struct page_table *table, uint64_t address,
                                            struct page_mapping *mapping);

// Finds the first leaf that maps anything in [address, limit), which lies in one half of the host's
// addresses, or in EPT's. STATUS_NOT_FOUND when none does.
// To visit all mappings, go on at mapping->address + mapping->size.
MUST_CHECK enum status page_table_next(const struct page_table *table, uint64_t address,
                                       uint64_t limit, struct page_mapping *mapping);

// EPT pointer for a table of format EPT: write-back, four levels, no accessed/dirty flags
// ("Extended-Page-Table Pointer (EPTP)").
/*@
  requires \valid_read(table);
  terminates \true;
  assigns \nothing;
  ensures \result == (table->root.value | 0x1e);
*/
static inline uint64_t page_table_ept_pointer(const struct page_table *table)
{
    return table->root.value | 3u << 3 | MEMORY_WRITE_BACK;
}
