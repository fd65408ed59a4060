// SPDX-License-Identifier: MIT
// Linux bzImages: checks the setup header of "The Linux/x86 Boot Protocol", then either unpacks an
// LZ4 payload and enters the vmlinux inside, or places the image and enters its decompressor by the
// 64-bit entry point.
#include "vmm/load/loaders.h"
#include "kernel/lib/address.h"
#include "kernel/lib/format.h"
#include "vmm/load/boot_params.h"
#include "vmm/load/elf_image.h"
#include "vmm/load/lz4.h"

#define SECTOR_BYTES        512ull
#define SETUP_SECTS_DEFAULT 4u
#define VERSION_2_12        0x020cu // the first with xloadflags
#define ENTRY_64_OFFSET     0x200ull
#define LOWEST_ADDRESS      0x100000ull
#define HEADER_BYTES        0x268u // up to init_size included

// The setup header, decoded and checked.
struct linux_header {
    uint64_t setup_bytes; // real-mode part with the boot sector
    uint64_t image_bytes; // protected-mode part
    uint64_t payload;     // file offset
    uint64_t payload_bytes;
    uint64_t preferred; // address
    uint64_t alignment;
    uint64_t init_size;
    uint32_t xloadflags;
    uint32_t version;
    bool relocatable;
};

bool load_is_linux(const struct load_image *kernel)
{
    return kernel->size >= BOOT_VERSION && get32(kernel->bytes + BOOT_HEADER) == BOOT_HEADER_VALUE;
}

// Fields that say whether this is a 64-bit bzImage at all.
static enum status check_protocol(const struct load_job *job, struct linux_header *header)
{
    const struct load_image *kernel = &job->request->kernel;
    const uint8_t *bytes = kernel->bytes;

    if (!load_is_linux(kernel)) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "setup header: found no \"HdrS\" at offset 0x202, expected a Linux "
                           "bzImage; choose another kernel type");
    }
    if (kernel->size < HEADER_BYTES) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "setup header: found a file of %llu bytes, expected at least %u; the "
                           "file is truncated",
                           (unsigned long long)kernel->size, HEADER_BYTES);
    }
    if (get16(bytes + BOOT_BOOT_FLAG) != BOOT_FLAG_VALUE) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "boot_flag: found 0x%x, expected 0xaa55; the file is damaged",
                           get16(bytes + BOOT_BOOT_FLAG));
    }
    header->version = get16(bytes + BOOT_VERSION);
    header->xloadflags = get16(bytes + BOOT_XLOADFLAGS);
    if (header->version < VERSION_2_12) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "version: found boot protocol %u.%02u, expected 2.12 or later; use a "
                           "64-bit kernel of Linux 3.8 or later",
                           header->version >> 8, header->version & 0xff);
    }
    if ((header->xloadflags & BOOT_XLOAD_64BIT) == 0) {
        return load_refuse(
            job, STATUS_MALFORMED, kernel->file,
            "xloadflags: found 0x%x, a kernel for 32-bit only, expected bit 0 (64-bit "
            "entry point); use a 64-bit kernel",
            header->xloadflags);
    }
    return STATUS_OK;
}

// The two parts and the payload lie inside the file.
static enum status check_extent(const struct load_job *job, struct linux_header *header)
{
    const struct load_image *kernel = &job->request->kernel;
    const uint8_t *bytes = kernel->bytes;
    uint64_t sectors = bytes[BOOT_SETUP_SECTS] == 0 ? SETUP_SECTS_DEFAULT : bytes[BOOT_SETUP_SECTS];

    header->setup_bytes = (sectors + 1) * SECTOR_BYTES;
    header->image_bytes = get32(bytes + BOOT_SYSSIZE) * 16ull;
    if (!range_fits(header->setup_bytes, header->image_bytes, kernel->size)) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "setup_sects and syssize: found %llu + %llu bytes, expected at most the "
                           "file's %llu; the file is truncated",
                           (unsigned long long)header->setup_bytes,
                           (unsigned long long)header->image_bytes,
                           (unsigned long long)kernel->size);
    }
    if (header->image_bytes <= ENTRY_64_OFFSET) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "syssize: found %llu bytes, expected more than %llu (the 64-bit entry)",
                           (unsigned long long)header->image_bytes, ENTRY_64_OFFSET);
    }
    uint64_t offset = get32(bytes + BOOT_PAYLOAD_OFFSET);
    header->payload_bytes = get32(bytes + BOOT_PAYLOAD_LENGTH);
    if (!range_fits(offset, header->payload_bytes, header->image_bytes)) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "payload_offset and payload_length: found 0x%llx bytes at 0x%llx, "
                           "expected inside the kernel's 0x%llx; the file is damaged",
                           (unsigned long long)header->payload_bytes, (unsigned long long)offset,
                           (unsigned long long)header->image_bytes);
    }
    header->payload = header->setup_bytes + offset;
    return STATUS_OK;
}

// Where the image may run.
static enum status check_placement(const struct load_job *job, struct linux_header *header)
{
    const struct load_image *kernel = &job->request->kernel;
    const uint8_t *bytes = kernel->bytes;

    header->preferred = get64(bytes + BOOT_PREF_ADDRESS);
    header->alignment = get32(bytes + BOOT_KERNEL_ALIGNMENT);
    header->init_size = get32(bytes + BOOT_INIT_SIZE);
    header->relocatable = bytes[BOOT_RELOCATABLE] != 0;
    if (header->alignment == 0 || (header->alignment & (header->alignment - 1)) != 0) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "kernel_alignment: found 0x%llx, expected a power of two",
                           (unsigned long long)header->alignment);
    }
    if (header->init_size < header->image_bytes) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "init_size: found 0x%llx, expected at least the image's 0x%llx",
                           (unsigned long long)header->init_size,
                           (unsigned long long)header->image_bytes);
    }
    return STATUS_OK;
}

static enum status read_header(const struct load_job *job, struct linux_header *header)
{
    enum status status = check_protocol(job, header);

    if (status == STATUS_OK) {
        status = check_extent(job, header);
    }
    if (status == STATUS_OK) {
        status = check_placement(job, header);
    }
    return status;
}

static void fill_plan(const struct load_job *job, const struct linux_header *header,
                      uint64_t address, struct boot_plan *plan)
{
    const uint8_t *bytes = job->request->kernel.bytes;

    plan->kernel = (struct load_range){address, address + header->init_size};
    plan->entry = address + ENTRY_64_OFFSET;
    plan->setup = bytes;
    plan->initrd_last = get32(bytes + BOOT_INITRD_ADDR_MAX);
    plan->command_line_limit = get32(bytes + BOOT_CMDLINE_SIZE);
    plan->initrd_above_4g = (header->xloadflags & BOOT_XLOAD_ABOVE_4G) != 0;
}

// The preferred address, or for a relocatable kernel that does not fit there the lowest one.
static enum status choose_address(const struct load_job *job, const struct linux_header *header,
                                  uint64_t *address)
{
    *address = header->preferred;
    if (*address >= LOWEST_ADDRESS && range_fits(*address, header->init_size, job->low_end)) {
        return STATUS_OK;
    }
    if (header->relocatable) {
        *address = align_up(LOWEST_ADDRESS, header->alignment);
        if (range_fits(*address, header->init_size, job->low_end)) {
            return STATUS_OK;
        }
    }
    return load_refuse(job, STATUS_NO_MEMORY, job->request->kernel.file,
                       "init_size: found 0x%llx bytes needed from 0x%llx on, expected to fit below "
                       "0x%llx; give the guest more memory",
                       (unsigned long long)header->init_size, (unsigned long long)*address,
                       (unsigned long long)job->low_end);
}

static enum status load_image_whole(const struct load_job *job, const struct linux_header *header,
                                    struct load_entry *entry)
{
    const struct load_image *kernel = &job->request->kernel;
    struct boot_plan plan = {0};
    uint64_t address = 0;

    enum status status = choose_address(job, header, &address);
    if (status != STATUS_OK) {
        return status;
    }
    fill_plan(job, header, address, &plan);
    status = boot_params_check(job, &plan);
    if (status != STATUS_OK) {
        return status;
    }
    load_copy(job, address, kernel->bytes + header->setup_bytes, header->image_bytes);
    boot_params_commit(job, &plan, entry);
    entry->type = LOAD_LINUX;
    format_text(entry->summary, sizeof(entry->summary),
                "bzImage (protocol %u.%02u) at 0x%llx, entered at 0x%llx in 64-bit mode",
                header->version >> 8, header->version & 0xff, (unsigned long long)address,
                (unsigned long long)plan.entry);
    return STATUS_OK;
}

// The payload ends with the size of what it unpacks to.
static uint64_t unpacked_size(const uint8_t *payload, uint64_t bytes)
{
    return bytes < 8 ? 0 : get32(payload + bytes - 4);
}

// Unpacks the payload at the top of low memory, free until the initrd is placed. The copy stays in
// guest memory, from `*address` on, as what any boot loader leaves behind. STATUS_UNSUPPORTED: the
// image has to unpack itself, because of its compression or for lack of room.
static enum status unpack_payload(const struct load_job *job, const struct linux_header *header,
                                  struct load_image *vmlinux, uint64_t *address)
{
    const struct load_image *kernel = &job->request->kernel;
    const uint8_t *payload = kernel->bytes + header->payload;
    uint64_t expected = unpacked_size(payload, header->payload_bytes);
    uint64_t written;
    uint64_t failed_at;

    if (!lz4_is_legacy(payload, header->payload_bytes) || expected == 0 ||
        expected > job->low_end) {
        return STATUS_UNSUPPORTED;
    }
    uint64_t scratch = align_down(job->low_end - expected, PAGE_SIZE);
    uint8_t *window = load_window(job, scratch, expected);
    if (!range_fits(header->preferred, header->init_size, scratch) || window == NULL) {
        return STATUS_UNSUPPORTED;
    }
    enum status status = lz4_decode_legacy(payload, header->payload_bytes - 4, window, expected,
                                           &written, &failed_at);
    if (status != STATUS_OK || written != expected) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "payload: found damaged LZ4 data in the block at offset 0x%llx (%llu "
                           "bytes unpacked), expected %llu bytes; the file is damaged",
                           (unsigned long long)header->payload + failed_at,
                           (unsigned long long)written, (unsigned long long)expected);
    }
    *address = scratch;
    *vmlinux = (struct load_image){.bytes = window, .size = expected, .file = kernel->file};
    return STATUS_OK;
}

enum status load_linux(const struct load_job *job, struct load_entry *entry)
{
    struct linux_header header = {0};
    struct load_image vmlinux = {0};
    uint64_t scratch = 0;

    if (elf_is64(job->request->kernel.bytes, job->request->kernel.size)) {
        return load_elf(job, entry); // a vmlinux is Linux too
    }
    enum status status = read_header(job, &header);
    if (status != STATUS_OK) {
        return status;
    }
    if (job->request->linux_entry == LOAD_LINUX_BZIMAGE) {
        return load_image_whole(job, &header, entry);
    }
    status = unpack_payload(job, &header, &vmlinux, &scratch);
    if (status == STATUS_OK && elf_is64(vmlinux.bytes, vmlinux.size)) {
        return load_elf_image(job, &vmlinux, job->request->kernel.bytes, scratch, entry);
    }
    if (status == STATUS_MALFORMED) {
        return status;
    }
    return load_image_whole(job, &header, entry);
}
