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

// "\x7fELF", 64-bit, little endian, version 1.
static const uint8_t elf_magic[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};

// Each check_ function returns null, or the rule that is broken.
static const char *check_header(const struct elf_header *header, size_t size)
{
    if (memcmp(header->identification, elf_magic, sizeof(elf_magic)) != 0) {
        return "no little-endian ELF64 magic";
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
static const char *add_segment(struct elf_image *image, const struct elf_program_header *program)
{
    if (image->segment_count == ELF_SEGMENT_MAXIMUM) {
        return "too many segments";
    }
    if (image->segment_count > 0) {
        const struct elf_segment *before = &image->segments[image->segment_count - 1];

        if (align_down(program->virtual_address, PAGE_SIZE) <
            align_up(before->address + before->memory_size, PAGE_SIZE)) {
            return "two segments share a page, or are not in order";
        }
    }
    image->segments[image->segment_count++] = (struct elf_segment){
        .address = program->virtual_address,
        .memory_size = program->memory_size,
        .file_offset = program->offset,
        .file_size = program->file_size,
        .writable = (program->flags & ELF_FLAG_WRITE) != 0,
        .executable = (program->flags & ELF_FLAG_EXECUTE) != 0,
    };
    return NULL;
}

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
  ensures \result <==> \exists integer i; 0 <= i < image->segment_count &&
    image->segments[i].executable != 0 && image->segments[i].address <= image->entry <
    image->segments[i].address + image->segments[i].memory_size;
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

static const char *parse(const uint8_t *file, size_t size, uint64_t lowest, uint64_t end,
                         struct elf_image *image)
{
    struct elf_header header;

    if (size < sizeof(header)) {
        return "shorter than an ELF header";
    }
    memcpy(&header, file, sizeof(header));
    const char *reason = check_header(&header, size);
    image->entry = header.entry;
    for (uint32_t i = 0; !reason && i < header.program_count; i++) {
        struct elf_program_header program;

        memcpy(&program, file + header.program_offset + i * sizeof(program), sizeof(program));
        reason = check_program(image, &program, size, lowest, end);
    }
    if (!reason && !entry_is_code(image)) {
        reason = "the entry point is not in an executable segment";
    }
    return reason;
}

enum status elf_parse(const void *file, size_t size, uint64_t lowest, uint64_t end,
                      struct elf_image *image, const char **reason)
{
    memset(image, 0, sizeof(*image));
    *reason = parse(file, size, lowest, end, image);
    return *reason ? STATUS_MALFORMED : STATUS_OK;
}
