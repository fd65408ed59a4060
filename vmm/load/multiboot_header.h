// SPDX-License-Identifier: MIT
// Finds and checks the header of a multiboot1 kernel. Internal to vmm/load. Follows the "Multiboot
// Specification" version 0.6.96, "The layout of Multiboot header".
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/load/load_job.h"

#define MULTIBOOT_HEADER_MAGIC 0x1badb002u
#define MULTIBOOT_PAGE_ALIGN   (1u << 0)
#define MULTIBOOT_MEMORY_INFO  (1u << 1)
#define MULTIBOOT_VIDEO_MODE   (1u << 2)
#define MULTIBOOT_ADDRESSES    (1u << 16) // the address fields are valid
#define MULTIBOOT_REQUIREMENTS 0xffffu    // bits that a loader must know or refuse

struct multiboot_header {
    uint64_t offset; // in the file
    uint32_t flags;
    bool cut_off; // the file ends before the address fields do
    // Physical addresses, zero unless MULTIBOOT_ADDRESSES is set.
    uint32_t header_address;
    uint32_t load_address;
    uint32_t load_end; // 0: up to the end of the file
    uint32_t bss_end;  // 0: none
    uint32_t entry;
};

// Searches the first 8 KiB at multiples of 4 for the magic number with a matching checksum. False
// when there is none; then `*bad_checksum` says where the magic number was found with a wrong one,
// or is UINT64_MAX.
bool multiboot_find(const uint8_t *bytes, uint64_t size, struct multiboot_header *header,
                    uint64_t *bad_checksum);
