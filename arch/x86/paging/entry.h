// SPDX-License-Identifier: MIT
// The bits of one paging-structure entry in the host format ("4-Level Paging") and in EPT ("The
// Extended Page Table Mechanism"). Pure; only page_table.c uses it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"

#define LOWER_HALF_LIMIT 0x0000800000000000ull
#define UPPER_HALF_BASE  0xffff800000000000ull
#define EPT_LIMIT        (1ull << 48)

// STATUS_OK when the format can express these permissions (page_permission bits) and this type;
// else STATUS_INVALID or STATUS_UNSUPPORTED.
MUST_CHECK enum status entry_check(enum page_format format, uint32_t permissions,
                                   enum memory_type type);

bool entry_present(enum page_format format, uint64_t entry);

// True for a present entry of `level` (0: 4 KiB) that maps memory rather than a table.
bool entry_is_leaf(uint64_t entry, unsigned level);

// An entry that refers to a table. `user`: of the host's lower half.
uint64_t entry_table(enum page_format format, uint64_t physical, bool user);

// An entry that maps memory; arguments have passed entry_check.
uint64_t entry_leaf(enum page_format format, uint64_t physical, uint32_t permissions,
                    enum memory_type type, unsigned level);

uint64_t entry_address(uint64_t entry); // of a table
uint64_t entry_leaf_address(uint64_t entry, unsigned level);
uint32_t entry_permissions(enum page_format format, uint64_t entry);
enum memory_type entry_type(enum page_format format, uint64_t entry);
