// SPDX-License-Identifier: MIT
// Physical memory for page-table tests: a buffer whose pages are handed out and taken back, with
// every misuse asserted.
#pragma once

#include <stdint.h>
#include "arch/x86/paging/page_table.h"

#define ARENA_PAGES 4096u

void arena_reset(void);
uintptr_t arena_offset(void);     // direct_offset of tables in the arena
unsigned arena_taken(void);       // pages handed out
void arena_limit(unsigned pages); // take fails once this many are out
const struct page_source *arena_source(void);
