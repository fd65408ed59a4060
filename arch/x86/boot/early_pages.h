// SPDX-License-Identifier: MIT
// Pages for page tables and per-CPU data before the kernel has an allocator: taken downwards from
// the end of one free region below 4 GiB (all that the boot tables map). Used by arch_main.c only.
#pragma once

#include "arch/x86/boot/boot_information.h"
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Chooses the largest free region below 4 GiB. STATUS_NO_MEMORY when there is none.
MUST_CHECK enum status early_pages_start(const struct boot_information *information);

// take and give for the boot phase; pages given back are lost.
extern const struct page_source early_page_source;

// Marks what was taken as BOOT_MEMORY_ARCH. No page may be taken afterwards.
MUST_CHECK enum status early_pages_finish(struct boot_information *information);
