// SPDX-License-Identifier: MIT
// Reads the boot information of a multiboot2 loader ("Boot information format" of the Multiboot2
// specification). Pure: the input is bytes, every length is checked against the whole. Called once
// at boot; host-tested.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define MULTIBOOT2_MAGIC          0x36d76289u // in EAX at entry
#define MULTIBOOT2_REGION_MAXIMUM 256u

enum multiboot2_region_type {
    MULTIBOOT2_AVAILABLE = 1,
    MULTIBOOT2_RESERVED = 2,
    MULTIBOOT2_ACPI = 3,
    MULTIBOOT2_NVS = 4,
    MULTIBOOT2_BAD = 5,
};

struct multiboot2_region {
    uint64_t start;
    uint64_t size;
    uint32_t type; // enum multiboot2_region_type; anything else counts as reserved
};

struct multiboot2_memory {
    uint32_t count;
    struct multiboot2_region regions[MULTIBOOT2_REGION_MAXIMUM];
};

// Parses `size` bytes at `data` (aligned to 8; the loader's total_size field must be <= size) into
// `information` (its memory map stays empty) and `memory`.
// STATUS_MALFORMED: a length or structure breaks the format; STATUS_NOT_FOUND: no memory map.
MUST_CHECK enum status multiboot2_parse(const void *data, size_t size,
                                        struct boot_information *information,
                                        struct multiboot2_memory *memory);
