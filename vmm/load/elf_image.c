// SPDX-License-Identifier: MIT
// ELF executables of both classes, read field by field at checked offsets. No state.
#include "vmm/load/elf_image.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

enum {
    IDENT_CLASS = 4,
    IDENT_DATA = 5,
    IDENT_BYTES = 16,
    CLASS_32 = 1,
    CLASS_64 = 2,
    DATA_LITTLE = 1,
    TYPE_EXECUTABLE = 2,
    TYPE_SHARED = 3,
    MACHINE_386 = 3,
    MACHINE_X86_64 = 62,
    SEGMENT_TYPE_LOAD = 1,
    HEADER_BYTES_32 = 52,
    HEADER_BYTES_64 = 64,
    PROGRAM_BYTES_32 = 32,
    PROGRAM_BYTES_64 = 56,
};

static bool has_class(const uint8_t *bytes, uint64_t size, uint8_t elf_class)
{
    return size >= IDENT_BYTES &&
           memcmp(bytes,
                  "\x7f"
                  "ELF",
                  4) == 0 &&
           bytes[IDENT_CLASS] == elf_class;
}

bool elf_is64(const uint8_t *bytes, uint64_t size)
{
    return has_class(bytes, size, CLASS_64);
}

bool elf_is32(const uint8_t *bytes, uint64_t size)
{
    return has_class(bytes, size, CLASS_32);
}

static void read_header(struct elf_image *elf)
{
    const uint8_t *header = elf->bytes;

    if (elf->is64) {
        elf->entry = get64(header + 24);
        elf->table = get64(header + 32);
        elf->table_entry_size = get16(header + 54);
        elf->table_count = get16(header + 56);
    } else {
        elf->entry = get32(header + 24);
        elf->table = get32(header + 28);
        elf->table_entry_size = get16(header + 42);
        elf->table_count = get16(header + 44);
    }
}

static enum status check_identity(const struct load_job *job, const struct elf_image *elf)
{
    uint64_t header_bytes = elf->is64 ? HEADER_BYTES_64 : HEADER_BYTES_32;
    unsigned expected_machine = elf->is64 ? MACHINE_X86_64 : MACHINE_386;

    if (elf->size < header_bytes) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "ELF header: found a file of %llu bytes, expected at least %llu; the "
                           "file is truncated",
                           (unsigned long long)elf->size, (unsigned long long)header_bytes);
    }
    if (elf->bytes[IDENT_DATA] != DATA_LITTLE) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "EI_DATA: found %u, expected 1 (little endian)", elf->bytes[IDENT_DATA]);
    }
    unsigned machine = get16(elf->bytes + 18);
    if (machine != expected_machine) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "e_machine: found %u, expected %u (%s); use a kernel built for x86",
                           machine, expected_machine, elf->is64 ? "x86-64" : "i386");
    }
    unsigned type = get16(elf->bytes + 16);
    if (type != TYPE_EXECUTABLE) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "e_type: found %u%s, expected 2 (executable); link it statically at a "
                           "fixed address",
                           type, type == TYPE_SHARED ? " (shared or position-independent)" : "");
    }
    return STATUS_OK;
}

static enum status check_table(const struct load_job *job, const struct elf_image *elf)
{
    unsigned entry_bytes = elf->is64 ? PROGRAM_BYTES_64 : PROGRAM_BYTES_32;

    if (elf->table_count == 0 || elf->table_count > ELF_SEGMENTS_MAXIMUM) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "e_phnum: found %u, expected 1 to %u program headers", elf->table_count,
                           ELF_SEGMENTS_MAXIMUM);
    }
    if (elf->table_entry_size != entry_bytes) {
        return load_refuse(job, STATUS_MALFORMED, elf->file, "e_phentsize: found %u, expected %u",
                           elf->table_entry_size, entry_bytes);
    }
    if (!range_fits(elf->table, (uint64_t)elf->table_count * entry_bytes, elf->size)) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "e_phoff: found %u program headers at 0x%llx, expected inside the "
                           "file's %llu bytes; the file is truncated",
                           elf->table_count, (unsigned long long)elf->table,
                           (unsigned long long)elf->size);
    }
    return STATUS_OK;
}

static void read_segment(const struct elf_image *elf, const uint8_t *program,
                         struct elf_segment *segment)
{
    if (elf->is64) {
        segment->offset = get64(program + 8);
        segment->virtual = get64(program + 16);
        segment->physical = get64(program + 24);
        segment->file_size = get64(program + 32);
        segment->memory_size = get64(program + 40);
    } else {
        segment->offset = get32(program + 4);
        segment->virtual = get32(program + 8);
        segment->physical = get32(program + 12);
        segment->file_size = get32(program + 16);
        segment->memory_size = get32(program + 20);
    }
}

bool elf_next(const struct elf_image *elf, uint32_t *cursor, struct elf_segment *segment)
{
    while (*cursor < elf->table_count) {
        uint32_t index = (*cursor)++;
        const uint8_t *program = elf->bytes + elf->table + (uint64_t)index * elf->table_entry_size;

        if (get32(program) != SEGMENT_TYPE_LOAD) {
            continue;
        }
        segment->index = index;
        read_segment(elf, program, segment);
        if (segment->memory_size != 0 || segment->file_size != 0) {
            return true;
        }
    }
    return false;
}

static enum status check_segment(const struct load_job *job, const struct elf_image *elf,
                                 const struct elf_segment *segment, struct load_range allowed)
{
    unsigned long long offset = segment->offset;
    unsigned long long file_size = segment->file_size;
    unsigned long long memory_size = segment->memory_size;
    unsigned long long physical = segment->physical;

    if (!range_fits(offset, file_size, elf->size)) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "segment %u, p_offset and p_filesz: found 0x%llx bytes at 0x%llx, "
                           "expected inside the file's %llu bytes; the file is truncated",
                           segment->index, file_size, offset, (unsigned long long)elf->size);
    }
    if (file_size > memory_size) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "segment %u, p_filesz: found 0x%llx, expected at most p_memsz 0x%llx",
                           segment->index, file_size, memory_size);
    }
    if (physical < allowed.start || !range_fits(physical, memory_size, allowed.end)) {
        return load_refuse(
            job, STATUS_NO_MEMORY, elf->file,
            "segment %u, p_paddr and p_memsz: found 0x%llx bytes at 0x%llx, expected "
            "inside guest memory 0x%llx to 0x%llx; link it elsewhere or give the "
            "guest more memory",
            segment->index, memory_size, physical, (unsigned long long)allowed.start,
            (unsigned long long)allowed.end);
    }
    return STATUS_OK;
}

static enum status check_segments(const struct load_job *job, const struct elf_image *elf,
                                  struct load_range allowed)
{
    struct elf_segment segment;
    uint32_t cursor = 0;
    unsigned count = 0;

    while (elf_next(elf, &cursor, &segment)) {
        enum status status = check_segment(job, elf, &segment, allowed);
        if (status != STATUS_OK) {
            return status;
        }
        count++;
    }
    if (count == 0) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "program headers: found no loadable segment among %u, expected at "
                           "least one; is this a kernel?",
                           elf->table_count);
    }
    return STATUS_OK;
}

enum status elf_open(const struct load_job *job, const struct load_image *image,
                     struct load_range allowed, struct elf_image *elf)
{
    *elf = (struct elf_image){.bytes = image->bytes,
                              .size = image->size,
                              .file = image->file,
                              .is64 = elf_is64(image->bytes, image->size)};
    enum status status = check_identity(job, elf);
    if (status != STATUS_OK) {
        return status;
    }
    read_header(elf);
    status = check_table(job, elf);
    if (status != STATUS_OK) {
        return status;
    }
    return check_segments(job, elf, allowed);
}

struct load_range elf_extent(const struct elf_image *elf)
{
    struct load_range extent = {UINT64_MAX, 0};
    struct elf_segment segment;
    uint32_t cursor = 0;

    while (elf_next(elf, &cursor, &segment)) {
        uint64_t end = segment.physical + segment.memory_size;

        extent.start = segment.physical < extent.start ? segment.physical : extent.start;
        extent.end = end > extent.end ? end : extent.end;
    }
    return extent;
}

enum status elf_entry(const struct load_job *job, const struct elf_image *elf, uint64_t *physical)
{
    struct elf_segment segment;
    bool found = false;

    for (uint32_t cursor = 0; elf_next(elf, &cursor, &segment);) {
        if (elf->entry - segment.physical < segment.memory_size) {
            *physical = elf->entry;
            return STATUS_OK;
        }
        if (!found && elf->entry - segment.virtual < segment.memory_size) {
            *physical = elf->entry - segment.virtual + segment.physical;
            found = true;
        }
    }
    if (!found) {
        return load_refuse(job, STATUS_MALFORMED, elf->file,
                           "e_entry: found 0x%llx, expected an address inside a loadable segment",
                           (unsigned long long)elf->entry);
    }
    return STATUS_OK;
}

void elf_place(const struct load_job *job, const struct elf_image *elf)
{
    struct elf_segment segment;

    for (uint32_t cursor = 0; elf_next(elf, &cursor, &segment);) {
        load_copy(job, segment.physical, elf->bytes + segment.offset, segment.file_size);
        load_zero(job, segment.physical + segment.file_size,
                  segment.memory_size - segment.file_size);
    }
}
