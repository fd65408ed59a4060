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

/*@
  // What a segment has to be, in a file of `size` bytes and for a program in [lowest, end).
  predicate elf_segment_valid{L}(struct elf_segment *segment, integer size, integer lowest,
                                 integer end) =
    segment->file_offset + segment->file_size <= size &&
    0 < segment->memory_size && segment->file_size <= segment->memory_size &&
    lowest <= segment->address && segment->address + segment->memory_size <= end &&
    (segment->writable == 0 || segment->executable == 0);

  // The number of the last page that it touches.
  logic integer elf_last_page{L}(struct elf_segment *segment) =
    (segment->address + segment->memory_size - 1) / 4096;

  predicate elf_segments_valid{L}(struct elf_image *image, integer size, integer lowest,
                                  integer end) =
    image->segment_count <= ELF_SEGMENT_MAXIMUM &&
    \forall integer i; 0 <= i < image->segment_count ==>
      elf_segment_valid(&image->segments[i], size, lowest, end);

  predicate elf_entry_is_code{L}(struct elf_image *image) =
    \exists integer i; 0 <= i < image->segment_count && image->segments[i].executable != 0 &&
      image->segments[i].address <= image->entry <
        image->segments[i].address + image->segments[i].memory_size;
*/

// Parses `size` bytes at `file`; segments must lie in [lowest, end). STATUS_MALFORMED, and then
// `*reason` is a static text that says which rule is broken.
/*@
  requires \valid_read(file + (0 .. size - 1)) && \valid(image) && \valid(reason);
  requires \separated(image, reason, file + (0 .. size - 1));
  terminates \true;
  assigns *image, *reason;
  ensures \result == STATUS_OK || \result == STATUS_MALFORMED;
  ensures \result == STATUS_OK <==> *reason == \null;
  ensures \result == STATUS_OK ==>
    elf_segments_valid(image, size, lowest, end) && elf_entry_is_code(image);
*/
MUST_CHECK enum status elf_parse(const uint8_t *file, size_t size, uint64_t lowest, uint64_t end,
                                 struct elf_image *image, const char **reason);
