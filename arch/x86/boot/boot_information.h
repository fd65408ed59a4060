// SPDX-License-Identifier: MIT
// What the boot loader and the boot code hand to the kernel. Filled by arch before kernel_main,
// constant afterwards; everything is copied out of the loader's memory except module contents.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"

#define BOOT_LINE_SIZE      512u
#define BOOT_MODULE_MAXIMUM 32u
#define BOOT_MEMORY_MAXIMUM 256u
#define BOOT_RSDP_SIZE      36u
#define BOOT_LOW_MEMORY_END 0x100000ull

// Where regions overlap, the later kind stays.
enum boot_memory_kind {
    BOOT_MEMORY_FREE,     // RAM that nothing uses
    BOOT_MEMORY_LOW,      // RAM below 1 MiB: firmware data, start-up code of other processors
    BOOT_MEMORY_FIRMWARE, // RAM the firmware keeps (ACPI tables, NVS, bad, reserved)
    BOOT_MEMORY_MODULE,   // RAM that holds a module; becomes free when the kernel drops it
    BOOT_MEMORY_ARCH,     // RAM: page tables, boot CPU data and stacks; never free
    BOOT_MEMORY_KERNEL,   // RAM: the kernel image
};

// Sorted by start, not overlapping, page aligned. All but FIRMWARE is in the direct map.
struct boot_memory {
    uint64_t start;
    uint64_t end; // first byte past it
    enum boot_memory_kind kind;
};

struct boot_module {
    hpa_t start; // page aligned
    uint64_t size;
    char line[BOOT_LINE_SIZE]; // its command line; the first word is its name
};

struct boot_information {
    char command_line[BOOT_LINE_SIZE];

    uint32_t module_count;
    uint32_t memory_count;
    struct boot_module modules[BOOT_MODULE_MAXIMUM];
    struct boot_memory memory[BOOT_MEMORY_MAXIMUM];

    uint8_t rsdp[BOOT_RSDP_SIZE]; // ACPI root pointer, a copy
    uint32_t rsdp_size;           // 0: the loader gave none
};

// True when `word` is one of the blank-separated words of the kernel command line.
bool boot_command_line_has(const struct boot_information *information, const char *word);

// The decimal number behind `name` ("cpus=") in the first such word of the command line;
// `otherwise` where there is none or it is not a number of at most nine digits.
uint32_t boot_command_line_number(const struct boot_information *information, const char *name,
                                  uint32_t otherwise);

// The one symbol that the kernel provides to arch. Runs on the boot CPU's stack (slot 0) with
// interrupts off, IDT, GDT and page tables in place and this_cpu() working; must not return.
NORETURN void kernel_main(const struct boot_information *information);
