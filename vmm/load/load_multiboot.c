// SPDX-License-Identifier: MIT
// Multiboot1 kernels: ELF, or any format by the header's address fields. Enters them in 32-bit
// protected mode with EAX = 0x2BADB002 and EBX = boot information. Follows the "Multiboot
// Specification" version 0.6.96, "Machine state" and "Boot information format".
//
// The boot information is one block, at INFORMATION_LOWEST or above the kernel where that lies
// there: GDT, information, memory map, module list, then the strings. Modules lie page-aligned
// behind the kernel.
#include "vmm/load/loaders.h"
#include "kernel/lib/address.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/load/elf_image.h"
#include "vmm/load/load_entry.h"
#include "vmm/load/multiboot_header.h"

#define INFORMATION_LOWEST 0x9000ull
#define INFORMATION_LIMIT  0x60000ull
#define ONE_MIB            0x100000ull
#define BOOTLOADER_MAGIC   0x2badb002u
#define LOADER_NAME        "Gatehouse"

// Offsets in the boot information, and its flags.
enum {
    INFO_FLAGS = 0,
    INFO_MEM_LOWER = 4,
    INFO_MEM_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44,
    INFO_MMAP_ADDR = 48,
    INFO_BOOT_LOADER_NAME = 64,
    INFO_BYTES = 120,
    INFO_HAS_MEMORY = 1 << 0,
    INFO_HAS_CMDLINE = 1 << 2,
    INFO_HAS_MODULES = 1 << 3,
    INFO_HAS_MMAP = 1 << 6,
    INFO_HAS_LOADER_NAME = 1 << 9,
    MMAP_ROW_BYTES = 24, // its size field says 20: the field does not count itself
    MODULE_ROW_BYTES = 16,
};

// Offsets of the parts in the block.
enum {
    BLOCK_GDT = 0,
    BLOCK_INFO = 64,
    BLOCK_MMAP = BLOCK_INFO + INFO_BYTES,
    BLOCK_MODULES = BLOCK_MMAP + LOAD_MAP_ROWS * MMAP_ROW_BYTES,
};

// Everything decided before the first byte of guest memory is written.
struct multiboot_plan {
    struct multiboot_header header;
    struct elf_image elf; // unless the header has address fields
    bool flat;            // it has
    uint64_t flat_offset; // in the file
    uint64_t flat_bytes;
    struct load_range kernel;
    struct load_range information;
    uint64_t entry;
    struct load_image module[LOAD_MODULES_MAXIMUM + 1]; // the initrd first
    uint64_t module_address[LOAD_MODULES_MAXIMUM + 1];
    uint32_t module_count;
};

bool load_is_multiboot(const struct load_image *kernel)
{
    struct multiboot_header header;
    uint64_t bad_checksum;

    // A 32-bit ELF file can only be meant as one, so its missing header deserves the message.
    return multiboot_find(kernel->bytes, kernel->size, &header, &bad_checksum) ||
           elf_is32(kernel->bytes, kernel->size);
}

static enum status find_header(const struct load_job *job, struct multiboot_plan *plan)
{
    const struct load_image *kernel = &job->request->kernel;
    uint64_t bad;

    if (!multiboot_find(kernel->bytes, kernel->size, &plan->header, &bad)) {
        if (bad != UINT64_MAX) {
            return load_refuse(job, STATUS_MALFORMED, kernel->file,
                               "multiboot header, checksum: found 0x%x at offset 0x%llx, expected "
                               "0x%x",
                               get32(kernel->bytes + bad + 8), (unsigned long long)bad,
                               0u - MULTIBOOT_HEADER_MAGIC - get32(kernel->bytes + bad + 4));
        }
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "multiboot header: found no magic number 0x1badb002 in the first 8192 "
                           "bytes, expected one at a multiple of 4; is this a multiboot kernel?");
    }
    uint32_t known = MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO;
    uint32_t demanded = plan->header.flags & MULTIBOOT_REQUIREMENTS;
    if ((demanded & ~known) != 0) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "multiboot header, flags: found 0x%x, expected no requirements but bits "
                           "0 and 1%s",
                           plan->header.flags,
                           (demanded & MULTIBOOT_VIDEO_MODE) != 0
                               ? "; bit 2 asks for a video mode and guests have no display"
                               : "");
    }
    return STATUS_OK;
}

// The address fields, when the header has them: "The address fields of Multiboot header".
static enum status plan_flat(const struct load_job *job, struct multiboot_plan *plan)
{
    const struct load_image *kernel = &job->request->kernel;
    const struct multiboot_header *header = &plan->header;
    uint64_t before = (uint64_t)header->header_address - header->load_address;

    if (header->cut_off) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "multiboot header, address fields: found the file's end, expected 20 "
                           "bytes at offset 0x%llx; the file is truncated",
                           (unsigned long long)header->offset + 12);
    }
    if (header->load_address > header->header_address || before > header->offset) {
        return load_refuse(
            job, STATUS_MALFORMED, kernel->file,
            "multiboot header, load_addr: found 0x%x, expected 0x%llx to 0x%x (the "
            "header's address, the header is at offset 0x%llx)",
            header->load_address,
            (unsigned long long)header->header_address -
                (header->header_address < header->offset ? header->header_address : header->offset),
            header->header_address, (unsigned long long)header->offset);
    }
    plan->flat_offset = header->offset - before;
    plan->flat_bytes = kernel->size - plan->flat_offset;
    if (header->load_end != 0) {
        uint64_t bytes = (uint64_t)header->load_end - header->load_address;
        if (header->load_end < header->load_address || bytes > plan->flat_bytes) {
            return load_refuse(job, STATUS_MALFORMED, kernel->file,
                               "multiboot header, load_end_addr: found 0x%x, expected 0x%x to "
                               "0x%llx (load_addr and the file's end)",
                               header->load_end, header->load_address,
                               (unsigned long long)header->load_address + plan->flat_bytes);
        }
        plan->flat_bytes = bytes;
    }
    plan->kernel.start = header->load_address;
    plan->kernel.end = header->load_address + plan->flat_bytes;
    if (header->bss_end > plan->kernel.end) {
        plan->kernel.end = header->bss_end;
    }
    plan->entry = header->entry;
    return STATUS_OK;
}

static enum status check_flat(const struct load_job *job, const struct multiboot_plan *plan)
{
    const char *file = job->request->kernel.file;

    if (plan->kernel.end > job->low_end) {
        return load_refuse(job, STATUS_NO_MEMORY, file,
                           "multiboot header, address fields: found 0x%llx to 0x%llx, expected "
                           "inside guest memory 0x0 to 0x%llx; give the guest more memory",
                           (unsigned long long)plan->kernel.start,
                           (unsigned long long)plan->kernel.end, (unsigned long long)job->low_end);
    }
    if (plan->entry < plan->kernel.start || plan->entry >= plan->kernel.end) {
        return load_refuse(job, STATUS_MALFORMED, file,
                           "multiboot header, entry_addr: found 0x%llx, expected 0x%llx to 0x%llx "
                           "(inside the kernel)",
                           (unsigned long long)plan->entry, (unsigned long long)plan->kernel.start,
                           (unsigned long long)plan->kernel.end);
    }
    return STATUS_OK;
}

static enum status plan_elf(const struct load_job *job, struct multiboot_plan *plan)
{
    const struct load_image *kernel = &job->request->kernel;
    struct load_range allowed = {0, job->low_end};

    if (!elf_is32(kernel->bytes, kernel->size) && !elf_is64(kernel->bytes, kernel->size)) {
        return load_refuse(
            job, STATUS_MALFORMED, kernel->file,
            "multiboot header, flags: found 0x%x in a file that is not ELF, expected "
            "bit 16 (address fields) or an ELF file",
            plan->header.flags);
    }
    enum status status = elf_open(job, kernel, allowed, &plan->elf);
    if (status == STATUS_OK) {
        status = elf_entry(job, &plan->elf, &plan->entry);
    }
    if (status == STATUS_OK) {
        plan->kernel = elf_extent(&plan->elf);
    }
    return status;
}

static enum status plan_kernel(const struct load_job *job, struct multiboot_plan *plan)
{
    enum status status = find_header(job, plan);

    if (status != STATUS_OK) {
        return status;
    }
    plan->flat = (plan->header.flags & MULTIBOOT_ADDRESSES) != 0 &&
                 !elf_is32(job->request->kernel.bytes, job->request->kernel.size);
    if (!plan->flat) {
        return plan_elf(job, plan);
    }
    status = plan_flat(job, plan);
    return status == STATUS_OK ? check_flat(job, plan) : status;
}

static uint64_t text_bytes(const char *text)
{
    return text == NULL ? 0 : strnlen(text, (size_t)LOAD_COMMAND_MAXIMUM + 1);
}

// Bytes of "FILE ARGUMENTS" with its NUL.
static uint64_t string_bytes(const char *file, const char *arguments)
{
    uint64_t length = text_bytes(arguments);

    return text_bytes(file) + (length == 0 ? 0 : length + 1) + 1;
}

static void collect_modules(const struct load_job *job, struct multiboot_plan *plan)
{
    const struct load_request *request = job->request;

    if (request->initrd.bytes != NULL) {
        plan->module[plan->module_count++] = request->initrd;
    }
    for (uint32_t i = 0; i < request->module_count; i++) {
        plan->module[plan->module_count++] = request->modules[i];
    }
}

static enum status plan_modules(const struct load_job *job, struct multiboot_plan *plan)
{
    uint64_t address = align_up(plan->kernel.end < ONE_MIB ? ONE_MIB : plan->kernel.end, PAGE_SIZE);

    for (uint32_t i = 0; i < plan->module_count; i++) {
        uint64_t size = plan->module[i].size;

        if (!range_fits(address, size, job->low_end)) {
            return load_refuse(
                job, STATUS_NO_MEMORY, plan->module[i].file,
                "size: found %llu bytes, expected at most %llu (between 0x%llx and "
                "the end of guest memory); give the guest more memory",
                (unsigned long long)size,
                (unsigned long long)(address < job->low_end ? job->low_end - address : 0),
                (unsigned long long)address);
        }
        plan->module_address[i] = address;
        address = align_up(address + size, PAGE_SIZE);
    }
    return STATUS_OK;
}

// True when some byte of the kernel lies in `range`.
static bool kernel_touches(const struct multiboot_plan *plan, struct load_range range)
{
    struct elf_segment segment;

    if (plan->flat) {
        return load_overlap(plan->kernel, range);
    }
    for (uint32_t cursor = 0; elf_next(&plan->elf, &cursor, &segment);) {
        struct load_range used = {segment.physical, segment.physical + segment.memory_size};
        if (load_overlap(used, range)) {
            return true;
        }
    }
    return false;
}

static enum status plan_information(const struct load_job *job, struct multiboot_plan *plan)
{
    const struct load_request *request = job->request;
    uint64_t bytes = BLOCK_MODULES + (uint64_t)plan->module_count * MODULE_ROW_BYTES +
                     sizeof(LOADER_NAME) +
                     string_bytes(request->kernel.file, request->command_line);

    for (uint32_t i = 0; i < plan->module_count; i++) {
        bytes += string_bytes(plan->module[i].file, plan->module[i].arguments);
    }
    plan->information = (struct load_range){INFORMATION_LOWEST, INFORMATION_LOWEST + bytes};
    if (plan->information.end > INFORMATION_LIMIT) {
        return load_refuse(
            job, STATUS_INVALID, request->kernel.file,
            "command lines of kernel and modules: found %llu bytes, expected at most "
            "%llu; shorten them",
            (unsigned long long)bytes, INFORMATION_LIMIT - INFORMATION_LOWEST);
    }
    while (plan->information.end <= INFORMATION_LIMIT) {
        if (!kernel_touches(plan, plan->information)) {
            return STATUS_OK;
        }
        plan->information.start += PAGE_SIZE;
        plan->information.end += PAGE_SIZE;
    }
    return load_refuse(job, STATUS_MALFORMED, request->kernel.file,
                       "load address: found the kernel at 0x%llx to 0x%llx, expected it to leave "
                       "%llu bytes free in 0x%llx to 0x%llx for the boot information; link it at "
                       "1 MiB or above",
                       (unsigned long long)plan->kernel.start, (unsigned long long)plan->kernel.end,
                       (unsigned long long)bytes, INFORMATION_LOWEST, INFORMATION_LIMIT);
}

// Guest-physical address of what stands at `offset` in the block.
static uint32_t address_of(const struct multiboot_plan *plan, uint64_t offset)
{
    return (uint32_t)(plan->information.start + offset);
}

// Appends "FILE ARGUMENTS" at `*cursor`, an offset in the block, and returns that offset.
static uint64_t put_string(uint8_t *block, uint64_t *cursor, const char *file,
                           const char *arguments)
{
    uint64_t start = *cursor;
    uint64_t file_bytes = text_bytes(file);
    uint64_t argument_bytes = text_bytes(arguments);
    uint8_t *to = block + start;

    if (file_bytes != 0) {
        memcpy(to, file, file_bytes);
        to += file_bytes;
    }
    if (argument_bytes != 0) {
        *to++ = ' ';
        memcpy(to, arguments, argument_bytes);
        to += argument_bytes;
    }
    *to++ = 0;
    *cursor = (uint64_t)(to - block);
    return start;
}

static uint32_t put_memory_map(const struct load_job *job, uint8_t *block)
{
    struct load_map_row rows[LOAD_MAP_ROWS];
    uint32_t count = load_memory_map(job, rows);

    for (uint32_t i = 0; i < count; i++) {
        uint8_t *row = block + BLOCK_MMAP + (uint64_t)i * MMAP_ROW_BYTES;

        put32(row, MMAP_ROW_BYTES - 4);
        put64(row + 4, rows[i].start);
        put64(row + 12, rows[i].size);
        put32(row + 20, rows[i].type);
    }
    return count * MMAP_ROW_BYTES;
}

static void put_modules(const struct multiboot_plan *plan, uint8_t *block, uint64_t *cursor)
{
    for (uint32_t i = 0; i < plan->module_count; i++) {
        const struct load_image *module = &plan->module[i];
        uint8_t *row = block + BLOCK_MODULES + (uint64_t)i * MODULE_ROW_BYTES;

        put32(row, (uint32_t)plan->module_address[i]);
        put32(row + 4, (uint32_t)(plan->module_address[i] + module->size));
        put32(row + 8,
              address_of(plan, put_string(block, cursor, module->file, module->arguments)));
        put32(row + 12, 0);
    }
}

static void write_information(const struct load_job *job, const struct multiboot_plan *plan)
{
    const struct load_request *request = job->request;
    uint64_t bytes = plan->information.end - plan->information.start;
    uint8_t *block = load_window(job, plan->information.start, bytes);
    uint8_t *info = block + BLOCK_INFO;
    uint64_t cursor = BLOCK_MODULES + (uint64_t)plan->module_count * MODULE_ROW_BYTES;

    memset(block, 0, bytes);
    load_gdt_write(block + BLOCK_GDT, 0);
    put32(info + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODULES | INFO_HAS_MMAP |
                                 INFO_HAS_LOADER_NAME);
    put32(info + INFO_MEM_LOWER, (uint32_t)(LOAD_LOW_FREE_END / 1024));
    put32(info + INFO_MEM_UPPER, (uint32_t)((job->low_end - ONE_MIB) / 1024));
    put32(info + INFO_CMDLINE, address_of(plan, put_string(block, &cursor, request->kernel.file,
                                                           request->command_line)));
    put32(info + INFO_MODS_COUNT, plan->module_count);
    put32(info + INFO_MODS_ADDR, address_of(plan, BLOCK_MODULES));
    put32(info + INFO_MMAP_LENGTH, put_memory_map(job, block));
    put32(info + INFO_MMAP_ADDR, address_of(plan, BLOCK_MMAP));
    put32(info + INFO_BOOT_LOADER_NAME,
          address_of(plan, put_string(block, &cursor, LOADER_NAME, NULL)));
    put_modules(plan, block, &cursor);
}

static void place_kernel(const struct load_job *job, const struct multiboot_plan *plan)
{
    if (!plan->flat) {
        elf_place(job, &plan->elf);
        return;
    }
    uint64_t loaded_end = plan->kernel.start + plan->flat_bytes;
    load_copy(job, plan->kernel.start, job->request->kernel.bytes + plan->flat_offset,
              plan->flat_bytes);
    load_zero(job, loaded_end, plan->kernel.end - loaded_end);
}

static void commit(const struct load_job *job, const struct multiboot_plan *plan,
                   struct load_entry *entry)
{
    place_kernel(job, plan);
    for (uint32_t i = 0; i < plan->module_count; i++) {
        load_copy(job, plan->module_address[i], plan->module[i].bytes, plan->module[i].size);
    }
    write_information(job, plan);
    load_entry_protected(entry, (uint32_t)plan->entry, address_of(plan, BLOCK_GDT));
    entry->type = LOAD_MULTIBOOT;
    entry->gpr[GPR_RAX] = BOOTLOADER_MAGIC;
    entry->gpr[GPR_RBX] = address_of(plan, BLOCK_INFO);
    format_text(
        entry->summary, sizeof(entry->summary),
        "multiboot kernel at 0x%llx to 0x%llx, %u modules, entered at 0x%llx in 32-bit mode",
        (unsigned long long)plan->kernel.start, (unsigned long long)plan->kernel.end,
        plan->module_count, (unsigned long long)plan->entry);
}

enum status load_multiboot(const struct load_job *job, struct load_entry *entry)
{
    struct multiboot_plan plan = {0};

    enum status status = plan_kernel(job, &plan);
    if (status != STATUS_OK) {
        return status;
    }
    collect_modules(job, &plan);
    status = plan_modules(job, &plan);
    if (status != STATUS_OK) {
        return status;
    }
    status = plan_information(job, &plan);
    if (status != STATUS_OK) {
        return status;
    }
    commit(job, &plan, entry);
    return STATUS_OK;
}
