// SPDX-License-Identifier: MIT
// The structures a kernel is handed by Linux' "64-bit Boot Protocol": boot_params, command line,
// initrd, GDT, identity map, and the processor state. For bzImages, vmlinux and plain ELF64 kernels
// alike. Internal to vmm/load.
#pragma once

#include <stdint.h>
#include "vmm/load/load_job.h"

// Offsets into boot_params ("zero page"); the setup header lies at the same offsets in a bzImage.
enum boot_params_offset {
    BOOT_ACPI_RSDP = 0x070,         // u64
    BOOT_EXT_RAMDISK_IMAGE = 0x0c0, // u32, upper halves
    BOOT_EXT_RAMDISK_SIZE = 0x0c4,
    BOOT_E820_ENTRIES = 0x1e8,     // u8
    BOOT_SETUP_SECTS = 0x1f1,      // u8: start of the setup header
    BOOT_SYSSIZE = 0x1f4,          // u32: protected-mode part in 16-byte units
    BOOT_BOOT_FLAG = 0x1fe,        // u16
    BOOT_JUMP_LENGTH = 0x201,      // u8: the header ends at 0x202 + this
    BOOT_HEADER = 0x202,           // "HdrS"
    BOOT_VERSION = 0x206,          // u16
    BOOT_TYPE_OF_LOADER = 0x210,   // u8
    BOOT_LOADFLAGS = 0x211,        // u8
    BOOT_RAMDISK_IMAGE = 0x218,    // u32
    BOOT_RAMDISK_SIZE = 0x21c,     // u32
    BOOT_HEAP_END_PTR = 0x224,     // u16
    BOOT_CMD_LINE_PTR = 0x228,     // u32
    BOOT_INITRD_ADDR_MAX = 0x22c,  // u32
    BOOT_KERNEL_ALIGNMENT = 0x230, // u32
    BOOT_RELOCATABLE = 0x234,      // u8
    BOOT_XLOADFLAGS = 0x236,       // u16
    BOOT_CMDLINE_SIZE = 0x238,     // u32
    BOOT_PAYLOAD_OFFSET = 0x248,   // u32, from the protected-mode part
    BOOT_PAYLOAD_LENGTH = 0x24c,   // u32
    BOOT_SETUP_DATA = 0x250,       // u64
    BOOT_PREF_ADDRESS = 0x258,     // u64
    BOOT_INIT_SIZE = 0x260,        // u32
    BOOT_HEADER_END = 0x290,       // no header may reach further
    BOOT_E820_TABLE = 0x2d0,       // rows of 20 bytes
    BOOT_PARAMS_BYTES = 4096,
};

#define BOOT_FLAG_VALUE         0xaa55u
#define BOOT_HEADER_VALUE       0x53726448u // "HdrS"
#define BOOT_XLOAD_64BIT        (1u << 0)   // has the 64-bit entry point
#define BOOT_XLOAD_ABOVE_4G     (1u << 1)   // initrd and command line may lie above 4 GiB
#define BOOT_INITRD_MAX_DEFAULT 0x7fffffffu

// What boot_params_check and boot_params_commit need to know about the kernel.
struct boot_plan {
    struct load_range kernel;    // guest-physical range it occupies, working space included
    uint64_t entry;              // guest-physical address of its 64-bit entry point
    const uint8_t *setup;        // bytes of a bzImage from offset 0, or null: make up a header
    uint64_t initrd_last;        // highest address that an initrd byte may have
    uint32_t command_line_limit; // bytes
    bool initrd_above_4g;        // it may lie there too
    // Filled by boot_params_check:
    uint64_t initrd; // guest-physical address
};

// Checks command line and modules (STATUS_INVALID) and finds room for the initrd
// (STATUS_NO_MEMORY). Changes nothing but `plan`.
enum status boot_params_check(const struct load_job *job, struct boot_plan *plan) MUST_CHECK;

// Writes everything but the kernel itself, and fills `entry`. Only after boot_params_check.
void boot_params_commit(const struct load_job *job, const struct boot_plan *plan,
                        struct load_entry *entry);
