// SPDX-License-Identifier: MIT
// Entrance of the guest loaders: checks the request, finds out what the kernel is, and hands over
// to the loader of its type.
#include "vmm/load/load.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"
#include "vmm/load/elf_image.h"
#include "vmm/load/loaders.h"

struct load_type_row {
    const char *word;
    enum status (*load)(const struct load_job *job, struct load_entry *entry);
};

static const struct load_type_row type_table[LOAD_TYPE_COUNT] = {
    [LOAD_AUTO] = {"auto", NULL},      [LOAD_LINUX] = {"linux", load_linux},
    [LOAD_ELF] = {"elf", load_elf},    [LOAD_MULTIBOOT] = {"multiboot", load_multiboot},
    [LOAD_FLAT] = {"flat", load_flat},
};

enum load_type load_detect(const struct load_image *kernel)
{
    if (kernel->bytes == NULL) {
        return LOAD_AUTO;
    }
    if (load_is_linux(kernel)) {
        return LOAD_LINUX;
    }
    if (load_is_multiboot(kernel)) {
        return LOAD_MULTIBOOT;
    }
    if (elf_is64(kernel->bytes, kernel->size)) {
        return LOAD_ELF;
    }
    return load_is_flat(kernel) ? LOAD_FLAT : LOAD_AUTO;
}

enum status load_type_parse(const char *word, enum load_type *type)
{
    for (unsigned i = 0; i < LOAD_TYPE_COUNT; i++) {
        if (strcmp(word, type_table[i].word) == 0) {
            *type = (enum load_type)i;
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

static enum status check_memory(const struct load_job *job)
{
    uint64_t bytes = job->request->memory_bytes;

    if (bytes < LOAD_MEMORY_MINIMUM || bytes > LOAD_MEMORY_MAXIMUM ||
        !is_aligned(bytes, PAGE_SIZE)) {
        return load_refuse(job, STATUS_INVALID, NULL,
                           "memory: found %llu bytes, expected a multiple of 4096 from %llu MiB to "
                           "%llu GiB; choose another size",
                           (unsigned long long)bytes, LOAD_MEMORY_MINIMUM >> 20,
                           LOAD_MEMORY_MAXIMUM >> 30);
    }
    if (load_window(job, 0, job->low_end) == NULL ||
        (job->high_end > LOAD_MEMORY_HIGH &&
         load_window(job, LOAD_MEMORY_HIGH, job->high_end - LOAD_MEMORY_HIGH) == NULL)) {
        return load_refuse(job, STATUS_INVALID, NULL,
                           "memory: found less guest memory than the %llu bytes asked for",
                           (unsigned long long)bytes);
    }
    return STATUS_OK;
}

static enum status check_request(const struct load_job *job)
{
    const struct load_request *request = job->request;

    if (request->module_count > LOAD_MODULES_MAXIMUM) {
        return load_refuse(job, STATUS_INVALID, request->kernel.file,
                           "modules: found %u, expected at most %u", request->module_count,
                           LOAD_MODULES_MAXIMUM);
    }
    if (request->kernel.bytes == NULL || request->kernel.size == 0) {
        return load_refuse(job, STATUS_MALFORMED, request->kernel.file,
                           "size: found an empty file, expected a kernel");
    }
    return check_memory(job);
}

static enum status refuse_unknown(const struct load_job *job)
{
    const struct load_image *kernel = &job->request->kernel;

    return load_refuse(job, STATUS_MALFORMED, kernel->file,
                       "type: found no kernel (%llu bytes), expected a Linux bzImage (\"HdrS\" at "
                       "0x202), a multiboot kernel (0x1badb002 in the first 8192 bytes), a 64-bit "
                       "ELF kernel, or a boot sector (0x55aa at 510); name the type to load it as "
                       "a flat image",
                       (unsigned long long)kernel->size);
}

enum status load_guest(const struct load_request *request, struct load_entry *entry,
                       struct load_report *report)
{
    uint64_t bytes = request->memory_bytes;
    uint64_t low = bytes < LOAD_MEMORY_LOW ? bytes : LOAD_MEMORY_LOW;
    struct load_job job = {.request = request,
                           .report = report,
                           .low_end = low,
                           .high_end = LOAD_MEMORY_HIGH + (bytes - low)};
    enum load_type type = request->type;

    report->text[0] = '\0';
    enum status status = check_request(&job);
    if (status != STATUS_OK) {
        return status;
    }
    if (type == LOAD_AUTO) {
        type = load_detect(&request->kernel);
    }
    if (type == LOAD_AUTO) {
        return refuse_unknown(&job);
    }
    if ((unsigned)type >= LOAD_TYPE_COUNT) {
        return load_refuse(&job, STATUS_INVALID, request->kernel.file,
                           "type: found %u, expected 0 "
                           "to %u",
                           (unsigned)type, LOAD_TYPE_COUNT - 1u);
    }
    return type_table[type].load(&job, entry);
}
