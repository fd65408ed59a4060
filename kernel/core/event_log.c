// SPDX-License-Identifier: MIT
// The event log (event_log.h): one ring of pages for all CPUs. Whoever draws a number writes the
// entry of that number; the reader outside of the machine follows.
#include "kernel/core/event_log.h"
#include <stdatomic.h>
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/page_allocator.h"
#include "kernel/thread/thread.h"

#define BLOCKS      8u // of LARGE_PAGE_SIZE
#define BLOCK_PAGES (LARGE_PAGE_SIZE / PAGE_SIZE)
#define PAGES       (BLOCKS * BLOCK_PAGES)
#define LAP         ((uint64_t)PAGES * EVENT_PAGE_ENTRIES)
#define PATIENCE    200000000u // of who waits for the reader: seconds

bool event_log_on;
static uint8_t *blocks[BLOCKS];
static _Atomic uint64_t next_order;

static struct event_page *page_number(uint64_t number)
{
    return (void *)(blocks[number / BLOCK_PAGES % BLOCKS] + number % BLOCK_PAGES * PAGE_SIZE);
}

static struct event_page *page_of(uint64_t order)
{
    return page_number(order / EVENT_PAGE_ENTRIES);
}

// Waits until the reader has taken the page that often. If it does not, the log ends there.
static void await_reader(const struct event_page *page, uint64_t times)
{
    uint32_t patience = PATIENCE;

    // Acquire: what was read is not overwritten before.
    while (atomic_load_explicit(&page->taken, memory_order_acquire) != times && --patience) {
        __builtin_ia32_pause();
    }
    if (patience == 0) {
        event_log_on = false;
    }
}

// Returns the entry's number.
static uint64_t write_entry(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    const struct kernel_stack_top *top = kernel_stack_top();
    uint64_t order = atomic_fetch_add_explicit(&next_order, 1, memory_order_relaxed);
    struct event_page *page = page_of(order);
    struct event_entry *entry = &page->entries[order % EVENT_PAGE_ENTRIES];

    await_reader(page, order / LAP);
    entry->tsc = tsc_read();
    entry->thread = top->thread ? top->thread->number : 0;
    entry->cpu = (uint16_t)top->cpu->id;
    entry->kind = (uint16_t)kind;
    entry->object = object;
    entry->value = value;
    entry->state = state;
    atomic_thread_fence(memory_order_release); // the number says to the reader that all is there
    entry->order = order;
    return order;
}

void event_log_write(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    (void)write_entry(kind, object, value, state);
}

static bool allocate(void)
{
    for (uint32_t i = 0; i < BLOCKS; i++) {
        hpa_t block;

        if (page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, LARGE_PAGE_SIZE, PAGE_ZEROED, &block) !=
            STATUS_OK) {
            return false;
        }
        blocks[i] = memory_pointer(block);
    }
    return true;
}

void event_log_start(void)
{
    if (!command_line_has("events")) {
        return;
    }
    if (!allocate()) {
        log_line(LOG_WARNING, "no event log: there is too little memory");
        return;
    }
    event_log_on = true;
    event_log(EVENT_BOOT, 0, 0, 0); // entry 0 is there before anybody can find its page
    for (uint32_t i = 0; i < PAGES; i++) {
        struct event_page *page = page_number(i);

        page->index = (uint16_t)i;
        page->count = PAGES;
        page->mark = EVENT_PAGE_MARK;
    }
}

void event_log_end(uint32_t status)
{
    if (event_log_on) {
        // Others may write on; what follows the end counts for nothing.
        uint64_t order = write_entry(EVENT_END, 0, status, 0);

        await_reader(page_of(order), order / LAP + 1);
    }
}
