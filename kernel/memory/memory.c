// SPDX-License-Identifier: MIT
// Charged memory (memory.h): the container pays first, then the page allocator delivers.
#include "kernel/memory/memory.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/assert.h"
#include "kernel/core/event_log.h"
#include "kernel/memory/container.h"

void *memory_pointer(hpa_t address)
{
    return direct_map(address);
}

hpa_t memory_address(const void *pointer)
{
    return direct_map_physical(pointer);
}

static void uncharge(uint32_t container, uint64_t size)
{
    ASSERT(container_free(&kernel_containers, container, size / PAGE_SIZE) == STATUS_OK);
}

enum status memory_allocate(uint32_t container, uint64_t size, enum page_fill fill, hpa_t *page)
{
    enum status status = container_alloc(&kernel_containers, container, size / PAGE_SIZE);

    if (status == STATUS_OK) {
        status = page_allocate(&kernel_pages, container, size, fill, page);
        if (status != STATUS_OK) {
            uncharge(container, size);
        }
    }
    return status;
}

void memory_free(uint32_t container, hpa_t page, uint64_t size)
{
    event_log_of(EVENT_PAGE_FREE, memory_pointer(page), size, 0);
    ASSERT(page_free(&kernel_pages, container, page, size) == STATUS_OK);
    uncharge(container, size);
}

void *memory_allocate_object(uint32_t container)
{
    hpa_t page;

    if (memory_allocate(container, PAGE_SIZE, PAGE_ZEROED, &page) != STATUS_OK) {
        return NULL;
    }
    return memory_pointer(page);
}

void memory_free_object(uint32_t container, void *object)
{
    memory_free(container, memory_address(object), PAGE_SIZE);
}

// The context of a page source is the container id itself.
static enum status source_take(void *context, hpa_t *page)
{
    uint32_t container = (uint32_t)(uintptr_t)context;

    if (container == PAGE_OWNER_KERNEL) {
        return page_allocate(&kernel_pages, container, PAGE_SIZE, PAGE_CONTENTS_KEPT, page);
    }
    return memory_allocate(container, PAGE_SIZE, PAGE_CONTENTS_KEPT, page);
}

static void source_give(void *context, hpa_t page)
{
    uint32_t container = (uint32_t)(uintptr_t)context;

    if (container == PAGE_OWNER_KERNEL) {
        ASSERT(page_free(&kernel_pages, container, page, PAGE_SIZE) == STATUS_OK);
    } else {
        memory_free(container, page, PAGE_SIZE);
    }
}

struct page_source memory_page_source(uint32_t container)
{
    return (struct page_source){source_take, source_give, (void *)(uintptr_t)container};
}
