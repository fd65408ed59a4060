// SPDX-License-Identifier: MIT
// Reads ELF executables, 32-bit and 64-bit, into one neutral form. Every field is checked against
// the file before it is used. Internal to vmm/load. Follows the "Executable and Linking Format".
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/load/load_job.h"

#define ELF_SEGMENTS_MAXIMUM 128u

struct elf_image {
    const uint8_t *bytes;
    uint64_t size;
    const char *file;
    bool is64;
    uint64_t entry;
    uint64_t table; // file offset of the program headers
    uint32_t table_entry_size;
    uint32_t table_count;
};

// A loadable segment (PT_LOAD).
struct elf_segment {
    uint32_t index;     // of its program header
    uint64_t offset;    // in the file
    uint64_t file_size; // bytes taken from the file; the rest up to memory_size is zero
    uint64_t memory_size;
    uint64_t physical;
    uint64_t virtual;
};

// True when the image begins with the ELF magic number and says 64 (or 32) bits.
bool elf_is64(const uint8_t *bytes, uint64_t size);
bool elf_is32(const uint8_t *bytes, uint64_t size);

// Checks the header and every loadable segment: inside the file, sizes in order, no wrap-around,
// inside the guest-physical range `allowed`, at least one. Refuses with STATUS_MALFORMED or, for
// segments outside `allowed`, STATUS_NO_MEMORY.
enum status elf_open(const struct load_job *job, const struct load_image *image,
                     struct load_range allowed, struct elf_image *elf) MUST_CHECK;

// Steps to the next loadable segment; `*cursor` starts at 0. False when there is none. Only for an
// image that elf_open accepted.
bool elf_next(const struct elf_image *elf, uint32_t *cursor, struct elf_segment *segment);

// The range from the lowest to the highest physical address of all loadable segments.
struct load_range elf_extent(const struct elf_image *elf);

// The entry point as a physical address: an entry inside no segment's physical range is translated
// through the segment whose virtual range holds it. Refuses with STATUS_MALFORMED.
enum status elf_entry(const struct load_job *job, const struct elf_image *elf,
                      uint64_t *physical) MUST_CHECK;

// Copies all segments to guest memory and zeroes their tails. Nothing can fail any more.
void elf_place(const struct load_job *job, const struct elf_image *elf);
