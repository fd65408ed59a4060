// SPDX-License-Identifier: MIT
// Kernel stacks (stack.h).
#include "kernel/thread/stack.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/assert.h"
#include "kernel/lock/lock.h"
#include "kernel/memory/memory.h"

static struct lock stack_lock = LOCK_INITIAL(LOCK_STACKS);
// Guarded by stack_lock.
static uint16_t free_slots[STACK_MAXIMUM]; // slots that were used and given back
static uint32_t free_count;
static uint32_t used_ever; // all slots beyond these were never used

static enum status map(struct stack *stack)
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);
    enum status status = STATUS_NO_MEMORY;
    uint32_t slot = 0;

    lock_acquire(&stack_lock);
    if (free_count > 0) {
        slot = free_slots[--free_count];
    } else if (used_ever < STACK_MAXIMUM) {
        slot = STACK_SLOT_FIRST_THREAD + used_ever++;
    }
    if (slot) {
        status = kernel_space_map_stack(slot, stack->pages, &source);
    }
    if (status == STATUS_OK) {
        stack->slot = slot;
    } else if (slot) {
        free_slots[free_count++] = (uint16_t)slot;
    }
    lock_release(&stack_lock);
    return status;
}

static void unmap(struct stack *stack)
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);

    lock_acquire(&stack_lock);
    ASSERT(kernel_space_unmap_stack(stack->slot, &source) == STATUS_OK);
    free_slots[free_count++] = (uint16_t)stack->slot;
    lock_release(&stack_lock);
}

enum status stack_create(uint32_t container, struct stack *stack)
{
    enum status status = STATUS_OK;

    *stack = (struct stack){.slot = 0};
    for (uint32_t i = 0; status == STATUS_OK && i < STACK_PAGES; i++) {
        status = memory_allocate(container, PAGE_SIZE, PAGE_ZEROED, &stack->pages[i]);
    }
    if (status == STATUS_OK) {
        status = map(stack);
    }
    if (status != STATUS_OK) {
        stack_destroy(container, stack);
    }
    return status;
}

void stack_destroy(uint32_t container, struct stack *stack)
{
    if (stack->slot) {
        unmap(stack);
    }
    for (uint32_t i = 0; i < STACK_PAGES; i++) {
        if (stack->pages[i].value) {
            memory_free(container, stack->pages[i], PAGE_SIZE);
        }
    }
    *stack = (struct stack){.slot = 0};
}
