// SPDX-License-Identifier: MIT
// Making a process out of a boot module (process.h): address space, program, information page,
// handles, first thread.
#include "arch/x86/cpu/features.h"
#include "drivers/time_base.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/processors.h"
#include "kernel/lib/string.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/process/elf_parser.h"
#include "kernel/process/module.h"
#include "kernel/process/process.h"
#include "kernel/process/process_private.h"
#include "kernel/vm/vm.h"

#define PROGRAM_LOWEST 0x10000ull // no program may cover the null page's neighbourhood

static enum status load_segment(struct process *process, const struct elf_segment *segment,
                                const uint8_t *file)
{
    uint64_t start = align_down(segment->address, PAGE_SIZE);
    uint64_t end = align_up(segment->address + segment->memory_size, PAGE_SIZE);
    uint32_t permission =
        (segment->writable ? USER_WRITE : 0) | (segment->executable ? USER_EXECUTE : 0);
    enum status status = address_space_allocate_at(&process->space, start, end - start, permission);

    if (status != STATUS_OK) {
        return status;
    }
    return address_space_write(&process->space, segment->address, file + segment->file_offset,
                               segment->file_size);
}

static enum status load_program(struct process *process, uint32_t module, uint64_t *entry)
{
    const uint8_t *file = memory_pointer(module_start(module));
    struct elf_image image;
    const char *reason;
    enum status status =
        elf_parse(file, module_bytes(module), PROGRAM_LOWEST, USER_DYNAMIC_BASE, &image, &reason);

    if (status != STATUS_OK) {
        log_line(LOG_ERROR, "module %s is not a program that can be started: %s", process->name,
                 reason);
        return status;
    }
    for (uint32_t i = 0; status == STATUS_OK && i < image.segment_count; i++) {
        status = load_segment(process, &image.segments[i], file);
    }
    *entry = image.entry;
    return status;
}

static void fill_information(struct process_info *info, const struct process_options *options)
{
    info->tsc_hz = time_base_tsc_hz();
    info->free_pages = page_free_count(&kernel_pages);
    info->cpu_count = processor_count();
    info->module_count = module_count();
    info->is_root = options->is_root;
    info->vm_support = *virt_support();
    info->argument_bytes = options->argument_bytes;
    memcpy(info->arguments, options->arguments, options->argument_bytes);
}

static enum status map_information(struct process *process, const struct process_options *options,
                                   uint64_t *address)
{
    process->information = memory_allocate_object(process->container);
    if (!process->information) {
        return STATUS_QUOTA;
    }
    fill_information(process->information, options);
    return address_space_map_borrowed(&process->space, memory_address(process->information),
                                      PAGE_SIZE, USER_READ, address);
}

void process_free_space(struct process *process)
{
    address_space_destroy(&process->space);
    if (process->information) {
        memory_free_object(process->container, process->information);
    }
}

// The table of a new process has room for these, so entering them cannot fail.
static void fill_handles(struct process *process, const struct process_options *options)
{
    struct handle *entries = process->handles.entries;

    static_assert(HANDLE_FIRST_PASSED + HANDLES_PASSED_MAXIMUM <= HANDLE_MAXIMUM, "they fit");
    entries[HANDLE_SELF_CONTAINER] = container_handle(process->container);
    entries[HANDLE_SELF_PROCESS] = (struct handle){HANDLE_PROCESS, {process}};
    object_acquire(&process->object);
    memcpy(&entries[HANDLE_FIRST_PASSED], options->passed,
           options->passed_count * sizeof(struct handle));
}

// Makes all but the first thread. `*entry` and `*information` are where that starts, and its
// argument.
static enum status populate(struct process *process, const struct process_options *options,
                            uint64_t *entry, uint64_t *information)
{
    enum status status = address_space_init(&process->space, process->container);

    if (status != STATUS_OK) {
        return status;
    }
    // From now on the container has a page in use, and so is not revoked.
    status = container_handle_check(&options->container);
    if (status == STATUS_OK) {
        status = load_program(process, options->module, entry);
    }
    if (status == STATUS_OK) {
        status = map_information(process, options, information);
    }
    if (status != STATUS_OK) {
        process_free_space(process);
    }
    return status;
}

// Makes the process one that others can kill, and starts it.
static enum status launch(struct process *process, const struct process_options *options,
                          uint64_t entry, uint64_t information)
{
    struct thread *thread;

    fill_handles(process, options);
    process_list_add(process);
    enum status status =
        process_add_thread(process, entry, USER_DYNAMIC_BASE, information, options->cpu, &thread);
    if (status == STATUS_OK) {
        object_release(&thread->object);
        return STATUS_OK;
    }
    memset(&process->handles.entries[HANDLE_FIRST_PASSED], 0,
           options->passed_count * sizeof(struct handle)); // still the caller's
    process_abandon(process);
    object_release(&process->object);
    return status;
}

static void destroy(struct object *object)
{
    const struct process *process = CONTAINER_OF(object, struct process, object);

    if (process->watcher.thread) {
        object_release(&process->watcher.thread->object);
    }
}

static struct process *allocate_struct(const struct process_options *options)
{
    struct process *process = object_create(options->struct_container, 2, destroy);
    struct module_info info;

    if (process && module_describe(options->module, &info) == STATUS_OK) {
        memcpy(process->name, info.name, sizeof(process->name) - 1);
        lock_initialize(&process->lock, LOCK_PROCESS);
        process->container = (uint32_t)options->container.value;
        process->priority = options->priority;
        process->is_root = options->is_root;
    }
    return process;
}

enum status process_create(const struct process_options *options, struct process **created)
{
    ASSERT(options->module < module_count() && options->priority < PRIORITY_COUNT &&
           options->argument_bytes <= PROCESS_ARGUMENTS_MAXIMUM &&
           options->passed_count <= HANDLES_PASSED_MAXIMUM);
    struct process *process = allocate_struct(options);
    if (!process) {
        return STATUS_QUOTA;
    }
    uint64_t entry = 0;
    uint64_t information = 0;
    enum status status = populate(process, options, &entry, &information);
    if (status != STATUS_OK) {
        memory_free_object(options->struct_container, process);
        return status;
    }
    *created = process;
    return launch(process, options, entry, information);
}
