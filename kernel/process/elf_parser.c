// SPDX-License-Identifier: MIT
// The ELF64 reader of elf_parser.h, after "Tool Interface Standard: Executable and Linking Format"
// and the ELF-64 object file format. Host-tested.
#include "kernel/process/elf_parser.h"
#include <stdbool.h>
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

struct elf_header {
    uint8_t identification[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_offset;
    uint64_t section_offset;
    uint32_t flags;
    uint16_t header_size;
    uint16_t program_size;
    uint16_t program_count;
    uint16_t section_size;
    uint16_t section_count;
    uint16_t section_names;
};
static_assert(sizeof(struct elf_header) == 64, "ELF64 file header");

struct elf_program_header {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t virtual_address;
    uint64_t physical_address;
    uint64_t file_size;
    uint64_t memory_size;
    uint64_t alignment;
};
static_assert(sizeof(struct elf_program_header) == 56, "ELF64 program header");

#define ELF_TYPE_EXECUTABLE  2u
#define ELF_MACHINE_X86_64   62u
#define ELF_PROGRAM_LOAD     1u
#define ELF_PROGRAM_DYNAMIC  2u
#define ELF_PROGRAM_INTERPRE 3u
#define ELF_FLAG_EXECUTE     1u
#define ELF_FLAG_WRITE       2u

/*@
  predicate elf_headers_inside{L}(struct elf_header *header, integer size) =
    header->program_offset + header->program_count * sizeof(struct elf_program_header) <= size;

  // What is kept of a program header.
  predicate elf_is_segment_of{L}(struct elf_segment *segment, struct elf_program_header *program) =
    segment->address == program->virtual_address && segment->memory_size == program->memory_size &&
    segment->file_offset == program->offset && segment->file_size == program->file_size &&
    (segment->writable != 0 <==> (program->flags & ELF_FLAG_WRITE) != 0) &&
    (segment->executable != 0 <==> (program->flags & ELF_FLAG_EXECUTE) != 0);

  predicate elf_same_segment{A, B}(struct elf_segment *segment) =
    \at(segment->address, A) == \at(segment->address, B) &&
    \at(segment->memory_size, A) == \at(segment->memory_size, B) &&
    \at(segment->file_offset, A) == \at(segment->file_offset, B) &&
    \at(segment->file_size, A) == \at(segment->file_size, B) &&
    \at(segment->writable, A) == \at(segment->writable, B) &&
    \at(segment->executable, A) == \at(segment->executable, B);
*/

// "\x7fELF", 64-bit, little endian, version 1.
static const uint8_t elf_magic[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

// Each check_ function returns null, or the rule that is broken.
/*@
  requires \valid_read(header);
  terminates \true;
  assigns \result \from header, *header, size;
  ensures \result == \null <==>
    (\forall integer i; 0 <= i < 7 ==> header->identification[i] == elf_magic[i]) &&
    header->type == ELF_TYPE_EXECUTABLE && header->machine == ELF_MACHINE_X86_64 &&
    header->program_size == sizeof(struct elf_program_header) && elf_headers_inside(header, size);
*/
static const char *check_header(const struct elf_header *header, size_t size)
{
    /*@
      loop invariant 0 <= i <= 7;
      loop invariant \forall integer k; 0 <= k < i ==> header->identification[k] == elf_magic[k];
      loop assigns i;
      loop variant 7 - i;
    */
    for (uint32_t i = 0; i < sizeof(elf_magic); i++) {
        if (header->identification[i] != elf_magic[i]) {
            return "no little-endian ELF64 magic";
        }
    }
    if (header->type != ELF_TYPE_EXECUTABLE || header->machine != ELF_MACHINE_X86_64) {
        return "not a static x86-64 executable";
    }
    if (header->program_size != sizeof(struct elf_program_header)) {
        return "unexpected size of a program header";
    }
    if (!range_fits(header->program_offset,
                    header->program_count * sizeof(struct elf_program_header), size)) {
        return "program headers lie outside the file";
    }
    return NULL;
}

/*@
  requires \valid_read(program);
  terminates \true;
  assigns \result \from program, *program, size, lowest, end;
  ensures \result == \null <==>
    program->offset + program->file_size <= size && program->file_size <= program->memory_size &&
    lowest <= program->virtual_address &&
    program->virtual_address + program->memory_size <= end &&
    ((program->flags & ELF_FLAG_WRITE) == 0 || (program->flags & ELF_FLAG_EXECUTE) == 0);
*/
static const char *check_segment(const struct elf_program_header *program, size_t size,
                                 uint64_t lowest, uint64_t end)
{
    if (!range_fits(program->offset, program->file_size, size)) {
        return "a segment lies outside the file";
    }
    if (program->file_size > program->memory_size) {
        return "a segment is larger in the file than in memory";
    }
    if (program->virtual_address < lowest ||
        !range_fits(program->virtual_address, program->memory_size, end)) {
        return "a segment lies outside the user range";
    }
    if ((program->flags & ELF_FLAG_WRITE) && (program->flags & ELF_FLAG_EXECUTE)) {
        return "a segment is writable and executable";
    }
    return NULL;
}

// Segments must come in ascending order and not share a page with the one before.
/*@
  requires \valid(image) && \valid_read(program) && \separated(image, program);
  requires image->segment_count <= ELF_SEGMENT_MAXIMUM && program->memory_size > 0;
  requires program->virtual_address + program->memory_size <= UINT64_MAX;
  requires \forall integer i; 0 <= i < image->segment_count ==>
    0 < image->segments[i].memory_size &&
    image->segments[i].address + image->segments[i].memory_size <= UINT64_MAX;
  terminates \true;
  assigns image->segment_count, image->segments[0 .. ELF_SEGMENT_MAXIMUM - 1];
  ensures \forall integer i; 0 <= i < \old(image->segment_count) ==>
    elf_same_segment{Pre, Post}(&image->segments[i]);
  ensures image->segment_count <= ELF_SEGMENT_MAXIMUM &&
    image->segment_count == \old(image->segment_count) + (\result == \null ? 1 : 0);
  ensures \result == \null ==>
    elf_is_segment_of(&image->segments[\old(image->segment_count)], program);
  behavior fits:
    assumes image->segment_count < ELF_SEGMENT_MAXIMUM && (image->segment_count == 0 ||
      elf_last_page(&image->segments[image->segment_count - 1]) < program->virtual_address / 4096);
    ensures \result == \null;
  behavior refused:
    assumes image->segment_count == ELF_SEGMENT_MAXIMUM || (image->segment_count > 0 &&
      elf_last_page(&image->segments[image->segment_count - 1]) >= program->virtual_address / 4096);
    ensures \result != \null;
  complete behaviors;
  disjoint behaviors;
*/
static const char *add_segment(struct elf_image *image, const struct elf_program_header *program)
{
    if (image->segment_count == ELF_SEGMENT_MAXIMUM) {
        return "too many segments";
    }
    if (image->segment_count > 0) {
        const struct elf_segment *before = &image->segments[image->segment_count - 1];

        if (program->virtual_address / PAGE_SIZE <=
            (before->address + before->memory_size - 1) / PAGE_SIZE) {
            return "two segments share a page, or are not in order";
        }
    }
    struct elf_segment *segment = &image->segments[image->segment_count++];
    segment->address = program->virtual_address;
    segment->memory_size = program->memory_size;
    segment->file_offset = program->offset;
    segment->file_size = program->file_size;
    segment->writable = (program->flags & ELF_FLAG_WRITE) != 0;
    segment->executable = (program->flags & ELF_FLAG_EXECUTE) != 0;
    return NULL;
}

/*@
  requires \valid(image) && \valid_read(program) && \separated(image, program);
  requires elf_segments_valid(image, size, lowest, end);
  terminates \true;
  assigns image->segment_count, image->segments[0 .. ELF_SEGMENT_MAXIMUM - 1];
  ensures elf_segments_valid(image, size, lowest, end);
  ensures program->type == ELF_PROGRAM_DYNAMIC || program->type == ELF_PROGRAM_INTERPRE ==>
    \result != \null;
  ensures \result == \null && program->type == ELF_PROGRAM_LOAD && program->memory_size > 0 ==>
    image->segment_count == \old(image->segment_count) + 1 &&
    elf_is_segment_of(&image->segments[\old(image->segment_count)], program);
*/
static const char *check_program(struct elf_image *image, const struct elf_program_header *program,
                                 size_t size, uint64_t lowest, uint64_t end)
{
    if (program->type == ELF_PROGRAM_DYNAMIC || program->type == ELF_PROGRAM_INTERPRE) {
        return "it needs a dynamic linker";
    }
    if (program->type != ELF_PROGRAM_LOAD || program->memory_size == 0) {
        return NULL;
    }
    const char *reason = check_segment(program, size, lowest, end);
    return reason ? reason : add_segment(image, program);
}

/*@
  requires \valid_read(image) && image->segment_count <= ELF_SEGMENT_MAXIMUM;
  terminates \true;
  assigns \nothing;
  ensures \result <==> elf_entry_is_code(image);
*/
static bool entry_is_code(const struct elf_image *image)
{
    /*@
      loop invariant 0 <= i <= image->segment_count;
      loop invariant \forall integer k; 0 <= k < i ==> !(image->segments[k].executable != 0 &&
        image->segments[k].address <= image->entry <
        image->segments[k].address + image->segments[k].memory_size);
      loop assigns i;
      loop variant image->segment_count - i;
    */
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];

        if (segment->executable && image->entry >= segment->address &&
            image->entry - segment->address < segment->memory_size) {
            return true;
        }
    }
    return false;
}

// What lies at a place of the file, which need not be aligned.
/*@
  requires \valid_read(at + (0 .. sizeof(struct elf_header) - 1));
  terminates \true;
  assigns \result \from at[0 .. sizeof(struct elf_header) - 1];
*/
static struct elf_header header_at(const uint8_t *at)
{
    struct elf_header header;

    memcpy(&header, at, sizeof(header));
    return header;
}

/*@
  requires \valid_read(at + (0 .. sizeof(struct elf_program_header) - 1));
  terminates \true;
  assigns \result \from at[0 .. sizeof(struct elf_program_header) - 1];
*/
static struct elf_program_header program_at(const uint8_t *at)
{
    struct elf_program_header program;

    memcpy(&program, at, sizeof(program));
    return program;
}

/*@
  requires \valid_read(file + (0 .. size - 1)) && \valid(image);
  requires \separated(image, file + (0 .. size - 1)) && image->segment_count == 0;
  terminates \true;
  assigns image->entry, image->segment_count, image->segments[0 .. ELF_SEGMENT_MAXIMUM - 1];
  ensures \result == \null ==>
    elf_segments_valid(image, size, lowest, end) && elf_entry_is_code(image);
*/
static const char *parse(const uint8_t *file, size_t size, uint64_t lowest, uint64_t end,
                         struct elf_image *image)
{
    if (size < sizeof(struct elf_header)) {
        return "shorter than an ELF header";
    }
    const struct elf_header header = header_at(file);
    const char *reason = check_header(&header, size);

    image->entry = header.entry;
    /*@
      loop invariant 0 <= i <= header.program_count;
      loop invariant elf_segments_valid(image, size, lowest, end);
      loop invariant reason == \null ==> elf_headers_inside(&header, size);
      loop assigns i, reason, image->segment_count,
        image->segments[0 .. ELF_SEGMENT_MAXIMUM - 1];
      loop variant header.program_count - i;
    */
    for (uint32_t i = 0; !reason && i < header.program_count; i++) {
        const struct elf_program_header program =
            program_at(file + header.program_offset + i * sizeof(program));

        reason = check_program(image, &program, size, lowest, end);
    }
    if (!reason && !entry_is_code(image)) {
        reason = "the entry point is not in an executable segment";
    }
    return reason;
}

enum status elf_parse(const uint8_t *file, size_t size, uint64_t lowest, uint64_t end,
                      struct elf_image *image, const char **reason)
{
    image->segment_count = 0;
    *reason = parse(file, size, lowest, end, image);
    return *reason ? STATUS_MALFORMED : STATUS_OK;
}
