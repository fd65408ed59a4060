// SPDX-License-Identifier: MIT
// Guest loaders: put a kernel and what belongs to it into guest memory and say with which processor
// state it starts. Called once by the monitor, before the first vCPU runs; no lock, no globals, no
// system calls, so the same code runs in host tests and under the fuzzer.
//
// Every image is checked completely before it is placed. A refusal names the file, the field, what
// was found, what was expected and what to do, in one line of text.
//
// Guest physical memory as the loaders leave it (below 1 MiB):
//   0x006000  GDT                     64-bit and 32-bit entries
//   0x007000  boot_params             Linux and plain ELF64 kernels
//   0x009000  page tables, 6 pages    identity map of the first 4 GiB in 2 MiB pages
//   0x009000  multiboot information   up to 0x60000, higher where the kernel lies there
//   0x007c00  flat image              up to 0x9fc00
//   0x010000  command line            Linux and plain ELF64 kernels, at most 64 KiB
//   0x070000  start-up stack          grows down from 0x80000
//   0x09fc00  end of what is reported as free; from here to 1 MiB reserved (ACPI tables)
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

struct guest_memory; // vmm/devices/guest_memory.h

#define LOAD_MEMORY_MINIMUM  (4ull << 20) // bytes
#define LOAD_MEMORY_MAXIMUM  (1ull << 40) // bytes
#define LOAD_MEMORY_LOW      (3ull << 30) // at most this much below 4 GiB, the rest above it
#define LOAD_MEMORY_HIGH     (4ull << 30) // guest-physical address where the rest begins
#define LOAD_LOW_FREE_END    0x9fc00ull   // end of the free memory below 1 MiB
#define LOAD_LOW_STACK       0x80000ull   // start-up stack, grows down
#define LOAD_MODULES_MAXIMUM 32u          // multiboot modules
#define LOAD_COMMAND_MAXIMUM 65535u       // command line, bytes without the NUL
#define LOAD_FLAT_ADDRESS    0x7c00ull    // where a flat image is put and entered
#define LOAD_FLAT_MAXIMUM    (LOAD_LOW_FREE_END - LOAD_FLAT_ADDRESS)

enum load_type {
    LOAD_AUTO, // decided by magic numbers, see load_detect
    LOAD_LINUX,
    LOAD_ELF, // 64-bit ELF kernel: a vmlinux, or a plain one
    LOAD_MULTIBOOT,
    LOAD_FLAT,
    LOAD_TYPE_COUNT
};

// How a bzImage is entered.
enum load_linux_entry {
    LOAD_LINUX_UNPACK,  // unpack an LZ4 payload here and enter the vmlinux; else as below
    LOAD_LINUX_BZIMAGE, // through the image's own decompressor
};

struct load_image {
    const uint8_t *bytes;  // null: absent
    uint64_t size;         // in bytes
    const char *file;      // its name in messages; also the first word of its command line where
                           // the multiboot protocol hands one over
    const char *arguments; // of a multiboot module; null or "" for none
};

struct load_request {
    enum load_type type;
    enum load_linux_entry linux_entry;
    struct load_image kernel;
    struct load_image initrd;         // bytes == null: none
    const struct load_image *modules; // multiboot modules, in order
    uint32_t module_count;
    const char *command_line;    // without the kernel's name; null or "" for none
    uint64_t memory_bytes;       // RAM of the guest: the first 3 GiB at 0, the rest from 4 GiB on;
                                 // a multiple of 4096
    struct guest_memory *memory; // covers that RAM, one range for each part, zeroed
    uint64_t rsdp;               // guest-physical address of the ACPI RSDP; 0: none
};

enum load_mode { LOAD_MODE_REAL, LOAD_MODE_PROTECTED, LOAD_MODE_LONG };

// The state of the first vCPU. The monitor copies every member into the vCPU page and marks
// VCPU_GROUP_RIP, _CONTROL, _SEGMENTS and _TABLES dirty.
struct load_entry {
    enum load_type type; // what the image was; never LOAD_AUTO
    enum load_mode mode;
    uint64_t gpr[GPR_COUNT];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0, cr3, cr4, efer; // as the guest sees them
    struct vcpu_segment segment[SEGMENT_COUNT];
    struct vcpu_table gdtr;
    struct vcpu_table idtr;
    char summary[160]; // one line for the log: what was loaded where and how it is entered
};

struct load_report {
    char text[512]; // one line without line feed; empty when nothing was refused
};

// Finds out what the image is: the type that load_guest would use for LOAD_AUTO, or LOAD_AUTO
// when nothing is recognised. Looks for, in this order: a Linux setup header ("HdrS" at 0x202), a
// multiboot1 header in the first 8 KiB, a 64-bit ELF header, the boot-sector signature 0x55aa at
// offset 510.
enum load_type load_detect(const struct load_image *kernel);

// "auto", "linux", "elf", "multiboot" or "flat" to its load_type (the words of the configuration).
// STATUS_NOT_FOUND for anything else.
enum status load_type_parse(const char *word, enum load_type *type) MUST_CHECK;

// Loads `request` into its guest memory and fills `entry`. On refusal `report` holds the message,
// `entry` is untouched, and the guest memory must not be run. STATUS_MALFORMED or STATUS_NO_MEMORY:
// an image is malformed, unsupported or does not fit (END_BAD_IMAGE); STATUS_INVALID: the request
// is, that is memory size, command line, or a module for a kernel that takes none (END_BAD_CONFIG).
// Follows "The Linux/x86 Boot Protocol", the "Multiboot Specification" version 0.6.96 and the
// "Executable and Linking Format"; plain ELF64 kernels get the state of Linux' "64-bit Boot
// Protocol": RSI = boot_params, interrupts off, identity map of 4 GiB, and RSP = LOAD_LOW_STACK.
enum status load_guest(const struct load_request *request, struct load_entry *entry,
                       struct load_report *report) MUST_CHECK;
