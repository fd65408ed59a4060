// SPDX-License-Identifier: MIT
// Charged memory (memory.h): the container pays first, then the page allocator delivers.
#include "kernel/memory/memory.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/assert.h"
#include "kernel/memory/container.h"

void *memory_pointer(hpa_t address)
{
    return direct_map(address);
}

hpa_t memory_address(const void *pointer)
{
    return direct_map_physical(pointer);
}

static void uncharge(uint32_t container, uint64_t pages)
{
    ASSERT(container_free(&kernel_containers, container, pages) == STATUS_OK);
}

enum status memory_allocate(uint32_t container, enum page_fill fill, hpa_t *page)
{
    enum status status = container_alloc(&kernel_containers, container, 1);

    if (status == STATUS_OK) {
        status = page_allocate(&kernel_pages, container, fill, page);
        if (status != STATUS_OK) {
            uncharge(container, 1);
        }
    }
    return status;
}

enum status memory_allocate_large(uint32_t container, enum page_fill fill, hpa_t *page)
{
    enum status status = container_alloc(&kernel_containers, container, PAGES_PER_BLOCK);

    if (status == STATUS_OK) {
        status = page_allocate_large(&kernel_pages, container, fill, page);
        if (status != STATUS_OK) {
            uncharge(container, PAGES_PER_BLOCK);
        }
    }
    return status;
}

void memory_free(uint32_t container, hpa_t page)
{
    ASSERT(page_free(&kernel_pages, container, page) == STATUS_OK);
    uncharge(container, 1);
}

void memory_free_large(uint32_t container, hpa_t page)
{
    ASSERT(page_free_large(&kernel_pages, container, page) == STATUS_OK);
    uncharge(container, PAGES_PER_BLOCK);
}

void *memory_allocate_object(uint32_t container)
{
    hpa_t page;

    if (memory_allocate(container, PAGE_ZEROED, &page) != STATUS_OK) {
        return NULL;
    }
    return memory_pointer(page);
}

void memory_free_object(uint32_t container, void *object)
{
    memory_free(container, memory_address(object));
}

// The context of a page source is the container id itself.
static enum status source_take(void *context, hpa_t *page)
{
    uint32_t container = (uint32_t)(uintptr_t)context;

    if (container == PAGE_OWNER_KERNEL) {
        return page_allocate(&kernel_pages, container, PAGE_CONTENTS_KEPT, page);
    }
    return memory_allocate(container, PAGE_CONTENTS_KEPT, page);
}

static void source_give(void *context, hpa_t page)
{
    uint32_t container = (uint32_t)(uintptr_t)context;

    if (container == PAGE_OWNER_KERNEL) {
        ASSERT(page_free(&kernel_pages, container, page) == STATUS_OK);
    } else {
        memory_free(container, page);
    }
}

struct page_source memory_page_source(uint32_t container)
{
    return (struct page_source){source_take, source_give, (void *)(uintptr_t)container};
}
