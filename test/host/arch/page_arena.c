// SPDX-License-Identifier: MIT
// The arena behind the page-table tests; see page_arena.h.
#include "test/host/arch/page_arena.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static uint8_t memory[ARENA_PAGES * 4096] __attribute__((aligned(4096)));
static bool in_use[ARENA_PAGES];
static unsigned taken;
static unsigned limit;

void arena_reset(void)
{
    memset(in_use, 0, sizeof in_use);
    taken = 0;
    limit = ARENA_PAGES - 1; // page 0 is never handed out
}

uintptr_t arena_offset(void)
{
    return (uintptr_t)memory;
}

unsigned arena_taken(void)
{
    return taken;
}

void arena_limit(unsigned pages)
{
    limit = pages;
}

static enum status take(void *context, hpa_t *page)
{
    (void)context;
    if (taken >= limit) {
        return STATUS_QUOTA;
    }
    for (unsigned i = 1; i < ARENA_PAGES; i++) {
        if (!in_use[i]) {
            in_use[i] = true;
            taken++;
            memset(memory + (size_t)i * 4096, 0xa5, 4096); // nobody may count on zeroes
            *page = hpa(i * 4096ull);
            return STATUS_OK;
        }
    }
    return STATUS_NO_MEMORY;
}

static void give(void *context, hpa_t page)
{
    (void)context;
    assert_int_equal(page.value % 4096, 0);
    assert_in_range(page.value / 4096, 1, ARENA_PAGES - 1);
    assert_true(in_use[page.value / 4096]);
    in_use[page.value / 4096] = false;
    taken--;
}

const struct page_source *arena_source(void)
{
    static const struct page_source source = {take, give, NULL};
    return &source;
}
