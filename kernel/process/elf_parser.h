// SPDX-License-Identifier: MIT
// Reads the headers of a static ELF64 executable for x86-64. Pure: bytes in, checked segments out.
// Nothing in the file is believed: every offset, size and address is checked against the file, the
// user range and the other segments.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define ELF_SEGMENT_MAXIMUM 16u

struct elf_segment {
    uint64_t address;     // user virtual
    uint64_t memory_size; // bytes; what is beyond file_size is zero
    uint64_t file_offset;
    uint64_t file_size;
    uint32_t writable; // never together with executable
    uint32_t executable;
};

struct elf_image {
    uint64_t entry;
    uint32_t segment_count;
    struct elf_segment segments[ELF_SEGMENT_MAXIMUM]; // by address, no two share a page
};

// Parses `size` bytes at `file`; segments must lie in [lowest, end). STATUS_MALFORMED, and then
// `*reason` is a static text that says which rule is broken.
MUST_CHECK enum status elf_parse(const void *file, size_t size, uint64_t lowest, uint64_t end,
                                 struct elf_image *image, const char **reason);
