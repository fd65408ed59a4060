// SPDX-License-Identifier: MIT
// The boot phase's page source; see early_pages.h. One CPU, no lock.
#include "arch/x86/boot/early_pages.h"
#include "arch/x86/boot/memory_map.h"

#define MAPPED_LIMIT (1ull << 32) // entry.asm maps this much

static struct {
    uint64_t start; // of the region
    uint64_t next;  // the page below it is the next one to go
    uint64_t end;
} pages;

static enum status take(void *context, hpa_t *page)
{
    (void)context;
    if (pages.next <= pages.start) {
        return STATUS_NO_MEMORY;
    }
    pages.next -= PAGE_SIZE;
    *page = hpa(pages.next);
    return STATUS_OK;
}

static void give(void *context, hpa_t page)
{
    (void)context;
    (void)page;
}

const struct page_source early_page_source = {take, give, NULL};

enum status early_pages_start(const struct boot_information *information)
{
    uint64_t best = 0;
    for (uint32_t i = 0; i < information->memory_count; i++) {
        const struct boot_memory *region = &information->memory[i];
        uint64_t end = region->end < MAPPED_LIMIT ? region->end : MAPPED_LIMIT;
        if (region->kind == BOOT_MEMORY_FREE && region->start < end && end - region->start > best) {
            best = end - region->start;
            pages.start = region->start;
            pages.next = end;
            pages.end = end;
        }
    }
    return best != 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status early_pages_finish(struct boot_information *information)
{
    pages.start = pages.next; // nothing left to take
    return memory_map_add(information, pages.next, pages.end, BOOT_MEMORY_ARCH);
}
