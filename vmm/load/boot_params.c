// SPDX-License-Identifier: MIT
// Builds what the "64-bit Boot Protocol" of "The Linux/x86 Boot Protocol" demands of a boot loader.
#include "vmm/load/boot_params.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"
#include "vmm/load/load_entry.h"

#define GDT_ADDRESS          0x6000ull
#define BOOT_PARAMS_ADDRESS  0x7000ull
#define PAGE_TABLES_ADDRESS  0x9000ull
#define COMMAND_LINE_ADDRESS 0x10000ull

#define LOADER_UNDEFINED  0xffu // type_of_loader without an assigned number
#define LOADED_HIGH       0x01u
#define VERSION_2_15      0x020fu
#define E820_ROW_BYTES    20u
#define HEADER_COPY_FIRST BOOT_SETUP_SECTS
#define MADE_UP_ALIGNMENT 0x200000u

static_assert(PAGE_TABLES_ADDRESS + LOAD_PAGE_TABLES_BYTES <= COMMAND_LINE_ADDRESS,
              "page tables end before the command line");
static_assert(COMMAND_LINE_ADDRESS + LOAD_COMMAND_MAXIMUM + 1 <= 0x70000,
              "the command line ends before the start-up stack");

static uint64_t command_line_length(const struct load_request *request)
{
    // One byte past the limit is enough to see that it is too long.
    return request->command_line == NULL
               ? 0
               : strnlen(request->command_line, (size_t)LOAD_COMMAND_MAXIMUM + 1);
}

static bool fits_high(const struct load_job *job, const struct boot_plan *plan, uint64_t size)
{
    return plan->initrd_above_4g && size <= job->high_end - LOAD_MEMORY_HIGH;
}

// As high as possible, as boot loaders do: the kernel unpacks and allocates from below.
static enum status place_initrd(const struct load_job *job, struct boot_plan *plan)
{
    const struct load_image *initrd = &job->request->initrd;
    uint64_t limit = job->low_end;

    if (initrd->bytes == NULL || initrd->size == 0) {
        return STATUS_OK;
    }
    if (plan->initrd_last < limit) {
        limit = align_down(plan->initrd_last + 1, PAGE_SIZE);
    }
    if (limit > plan->kernel.end && initrd->size <= limit - plan->kernel.end) {
        plan->initrd = align_down(limit - initrd->size, PAGE_SIZE);
        if (plan->initrd >= plan->kernel.end) {
            return STATUS_OK;
        }
    }
    if (fits_high(job, plan, initrd->size)) {
        plan->initrd = align_down(job->high_end - initrd->size, PAGE_SIZE);
        return STATUS_OK;
    }
    return load_refuse(
        job, STATUS_NO_MEMORY, initrd->file,
        "size: found %llu bytes, expected at most %llu (between the kernel's end 0x%llx and "
        "0x%llx); "
        "give the guest more memory or use a smaller initrd",
        (unsigned long long)initrd->size,
        (unsigned long long)(limit > plan->kernel.end ? limit - plan->kernel.end : 0),
        (unsigned long long)plan->kernel.end, (unsigned long long)limit);
}

enum status boot_params_check(const struct load_job *job, struct boot_plan *plan)
{
    const struct load_request *request = job->request;
    uint64_t length = command_line_length(request);
    uint64_t limit = plan->command_line_limit;

    if (limit > LOAD_COMMAND_MAXIMUM) {
        limit = LOAD_COMMAND_MAXIMUM;
    }
    if (length > limit) {
        return load_refuse(job, STATUS_INVALID, request->kernel.file,
                           "command line: found %s%llu bytes, expected at most %llu; shorten it",
                           length > LOAD_COMMAND_MAXIMUM ? "at least " : "",
                           (unsigned long long)length, (unsigned long long)limit);
    }
    if (request->module_count != 0) {
        return load_refuse(job, STATUS_INVALID, request->kernel.file,
                           "modules: found %u, expected none, since this kernel is not a multiboot "
                           "kernel; hand the file over as its initrd",
                           request->module_count);
    }
    return place_initrd(job, plan);
}

// A setup header for kernels that bring none.
static void make_header(uint8_t *params)
{
    put16(params + BOOT_BOOT_FLAG, BOOT_FLAG_VALUE);
    put32(params + BOOT_HEADER, BOOT_HEADER_VALUE);
    put16(params + BOOT_VERSION, VERSION_2_15);
    params[BOOT_LOADFLAGS] = LOADED_HIGH;
    put32(params + BOOT_INITRD_ADDR_MAX, BOOT_INITRD_MAX_DEFAULT);
    put32(params + BOOT_KERNEL_ALIGNMENT, MADE_UP_ALIGNMENT);
    put16(params + BOOT_XLOADFLAGS, BOOT_XLOAD_64BIT | BOOT_XLOAD_ABOVE_4G);
}

static void copy_header(uint8_t *params, const uint8_t *setup)
{
    uint64_t end = BOOT_HEADER + (uint64_t)setup[BOOT_JUMP_LENGTH];

    if (end > BOOT_HEADER_END) {
        end = BOOT_HEADER_END;
    }
    memcpy(params + HEADER_COPY_FIRST, setup + HEADER_COPY_FIRST, end - HEADER_COPY_FIRST);
}

static void write_memory_map(const struct load_job *job, uint8_t *params)
{
    struct load_map_row rows[LOAD_MAP_ROWS];
    uint32_t count = load_memory_map(job, rows);

    for (uint32_t i = 0; i < count; i++) {
        uint8_t *row = params + BOOT_E820_TABLE + (uint64_t)i * E820_ROW_BYTES;

        put64(row, rows[i].start);
        put64(row + 8, rows[i].size);
        put32(row + 16, rows[i].type);
    }
    params[BOOT_E820_ENTRIES] = (uint8_t)count;
}

// screen_info stays empty: there is no display, and the kernel then leaves VGA alone.
static void write_params(const struct load_job *job, const struct boot_plan *plan, uint8_t *params)
{
    const struct load_request *request = job->request;

    memset(params, 0, BOOT_PARAMS_BYTES);
    if (plan->setup != NULL) {
        copy_header(params, plan->setup);
    } else {
        make_header(params);
    }
    params[BOOT_TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put64(params + BOOT_ACPI_RSDP, request->rsdp);
    put64(params + BOOT_SETUP_DATA, 0);
    put32(params + BOOT_CMD_LINE_PTR, (uint32_t)COMMAND_LINE_ADDRESS);
    if (request->initrd.bytes != NULL && request->initrd.size != 0) {
        put32(params + BOOT_RAMDISK_IMAGE, (uint32_t)plan->initrd);
        put32(params + BOOT_EXT_RAMDISK_IMAGE, (uint32_t)(plan->initrd >> 32));
        put32(params + BOOT_RAMDISK_SIZE, (uint32_t)request->initrd.size);
        put32(params + BOOT_EXT_RAMDISK_SIZE, (uint32_t)(request->initrd.size >> 32));
    }
    write_memory_map(job, params);
}

void boot_params_commit(const struct load_job *job, const struct boot_plan *plan,
                        struct load_entry *entry)
{
    const struct load_request *request = job->request;
    uint64_t length = command_line_length(request);

    load_gdt_write(load_window(job, GDT_ADDRESS, LOAD_GDT_BYTES), 1);
    write_params(job, plan, load_window(job, BOOT_PARAMS_ADDRESS, BOOT_PARAMS_BYTES));
    load_page_tables_write(load_window(job, PAGE_TABLES_ADDRESS, LOAD_PAGE_TABLES_BYTES),
                           PAGE_TABLES_ADDRESS);
    load_copy(job, COMMAND_LINE_ADDRESS, request->command_line, length);
    load_zero(job, COMMAND_LINE_ADDRESS + length, 1);
    if (request->initrd.bytes != NULL) {
        load_copy(job, plan->initrd, request->initrd.bytes, request->initrd.size);
    }
    load_entry_long(entry, plan->entry, GDT_ADDRESS, PAGE_TABLES_ADDRESS);
    entry->gpr[GPR_RSI] = BOOT_PARAMS_ADDRESS;
}
