// SPDX-License-Identifier: MIT
// The page tables of the suite: a 4 KiB table for the large page that a test picks. The rest is the
// identity map of start_long.asm in 2 MiB pages.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PAGE_PRESENT  (1ull << 0)
#define PAGE_WRITABLE (1ull << 1)
#define PAGE_USER     (1ull << 2)
#define PAGE_ACCESSED (1ull << 5)
#define PAGE_DIRTY    (1ull << 6)
#define PAGE_LARGE    (1ull << 7)
#define PAGE_GLOBAL   (1ull << 8)
#define PAGE_NX       (1ull << 63)

// The entry of the 4 KiB page that holds `address`, below 4 GiB; the large page around it is split
// on first use. After changing it: page_flush.
uint64_t *page_entry(const volatile void *address);
void page_flush(const volatile void *address);
void page_set_present(const volatile void *address, bool present);
