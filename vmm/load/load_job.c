// SPDX-License-Identifier: MIT
// Shared parts of the loaders: refusals, guest memory access, the guest's memory map. No state.
#include "vmm/load/load_job.h"
#include "kernel/lib/address.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/devices/guest_memory.h"

#define ONE_MIB 0x100000ull

enum status load_refuse(const struct load_job *job, enum status status, const char *file,
                        const char *format, ...)
{
    char *text = job->report->text;
    size_t capacity = sizeof(job->report->text);
    size_t used = 0;
    va_list arguments;

    if (file != NULL) {
        // A very long file name must leave room for the reason.
        used = format_text(text, capacity, "%.*s: ", 200, file);
    }
    va_start(arguments, format);
    format_text_va(text + used, capacity - used, format, arguments);
    va_end(arguments);
    return status;
}

uint8_t *load_window(const struct load_job *job, uint64_t address, uint64_t size)
{
    return guest_memory_pointer(job->request->memory, gpa(address), size);
}

void load_copy(const struct load_job *job, uint64_t address, const void *bytes, uint64_t size)
{
    uint8_t *window = load_window(job, address, size);

    if (window != NULL && size != 0) {
        memcpy(window, bytes, size);
    }
}

void load_zero(const struct load_job *job, uint64_t address, uint64_t size)
{
    uint8_t *window = load_window(job, address, size);

    if (window != NULL && size != 0) {
        memset(window, 0, size);
    }
}

uint32_t load_memory_map(const struct load_job *job, struct load_map_row rows[LOAD_MAP_ROWS])
{
    uint32_t count = 0;

    rows[count++] = (struct load_map_row){0, LOAD_LOW_FREE_END, LOAD_MAP_FREE};
    rows[count++] =
        (struct load_map_row){LOAD_LOW_FREE_END, ONE_MIB - LOAD_LOW_FREE_END, LOAD_MAP_RESERVED};
    rows[count++] = (struct load_map_row){ONE_MIB, job->low_end - ONE_MIB, LOAD_MAP_FREE};
    if (job->high_end > LOAD_MEMORY_HIGH) {
        rows[count++] = (struct load_map_row){LOAD_MEMORY_HIGH, job->high_end - LOAD_MEMORY_HIGH,
                                              LOAD_MAP_FREE};
    }
    return count;
}
