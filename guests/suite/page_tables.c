// SPDX-License-Identifier: MIT
// See page_tables.h.
#include "guests/suite/page_tables.h"

#include "guests/library/machine.h"

#define ADDRESS_MASK 0x000ffffffffff000ull
#define TABLES       8u

static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));
static unsigned tables_used;

static uint64_t *next_level(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)(entry & ADDRESS_MASK);
}

static void split(uint64_t *entry)
{
    uint64_t *table = tables[tables_used++ % TABLES];
    uint64_t base = *entry & ADDRESS_MASK;

    for (uint64_t i = 0; i < 512; i++) {
        table[i] = (base + i * 4096) | PAGE_PRESENT | PAGE_WRITABLE;
    }
    *entry = (uintptr_t)table | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    cr3_write(cr3_read());
}

uint64_t *page_entry(const volatile void *address)
{
    uintptr_t at = (uintptr_t)address;
    uint64_t *level4 = next_level(cr3_read());
    uint64_t *level3 = next_level(level4[at >> 39 & 511]);
    uint64_t *level2 = next_level(level3[at >> 30 & 511]);
    uint64_t *entry = &level2[at >> 21 & 511];

    if ((*entry & PAGE_LARGE) != 0) {
        split(entry);
    }
    return &next_level(*entry)[at >> 12 & 511];
}

void page_flush(const volatile void *address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void page_set_present(const volatile void *address, bool present)
{
    uint64_t *entry = page_entry(address);

    *entry = present ? *entry | PAGE_PRESENT : *entry & ~PAGE_PRESENT;
    page_flush(address);
}
