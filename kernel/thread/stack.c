// SPDX-License-Identifier: MIT
// Kernel stacks (stack.h).
#include "kernel/thread/stack.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/assert.h"
#include "kernel/lock/ticket_lock.h"
#include "kernel/memory/memory.h"

#define STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)
static_assert(STACK_PAGES == 4, "kernel_space_map_stack takes four pages");

static struct ticket_lock stack_lock;
// Guarded by stack_lock.
static uint64_t slots_used[STACK_MAXIMUM / 64];

static enum status take_slot(uint32_t *slot)
{
    for (uint32_t word = 0; word < STACK_MAXIMUM / 64; word++) {
        if (~slots_used[word]) {
            uint32_t bit = (uint32_t)__builtin_ctzll(~slots_used[word]);

            slots_used[word] |= 1ull << bit;
            *slot = STACK_SLOT_FIRST_THREAD + word * 64 + bit;
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

static void give_slot(uint32_t slot)
{
    uint32_t index = slot - STACK_SLOT_FIRST_THREAD;

    slots_used[index / 64] &= ~(1ull << (index % 64));
}

static enum status take_pages(uint32_t container, hpa_t pages[STACK_PAGES])
{
    for (uint32_t i = 0; i < STACK_PAGES; i++) {
        enum status status = memory_allocate(container, PAGE_ZEROED, &pages[i]);

        if (status != STATUS_OK) {
            while (i-- > 0) {
                memory_free(container, pages[i]);
            }
            return status;
        }
    }
    return STATUS_OK;
}

static void give_pages(uint32_t container, const hpa_t pages[STACK_PAGES])
{
    for (uint32_t i = 0; i < STACK_PAGES; i++) {
        memory_free(container, pages[i]);
    }
}

static enum status map_slot(uint32_t *slot, const hpa_t pages[STACK_PAGES])
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);

    ticket_lock_acquire(&stack_lock);
    enum status status = take_slot(slot);
    if (status == STATUS_OK) {
        status = kernel_space_map_stack(*slot, pages, &source);
        if (status != STATUS_OK) {
            give_slot(*slot);
        }
    }
    ticket_lock_release(&stack_lock);
    return status;
}

enum status stack_create(uint32_t container, uint32_t *slot, uint64_t *address)
{
    hpa_t pages[STACK_PAGES];
    enum status status = take_pages(container, pages);

    if (status != STATUS_OK) {
        return status;
    }
    status = map_slot(slot, pages);
    if (status != STATUS_OK) {
        give_pages(container, pages);
        return status;
    }
    *address = stack_slot_address(*slot);
    return STATUS_OK;
}

void stack_destroy(uint32_t container, uint32_t slot)
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);
    struct page_mapping mapping;
    hpa_t pages[STACK_PAGES];

    ticket_lock_acquire(&stack_lock);
    for (uint32_t i = 0; i < STACK_PAGES; i++) {
        uint64_t address = stack_slot_address(slot) + i * PAGE_SIZE;

        ASSERT(page_table_translate(kernel_space(), address, &mapping) == STATUS_OK);
        pages[i] = hpa(mapping.physical.value + (address - mapping.address));
    }
    ASSERT(kernel_space_unmap_stack(slot, &source) == STATUS_OK);
    give_slot(slot);
    ticket_lock_release(&stack_lock);
    give_pages(container, pages);
}
