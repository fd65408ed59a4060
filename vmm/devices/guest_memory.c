// SPDX-License-Identifier: MIT
// Guest memory ranges: lookup and checked copies. See guest_memory.h.
#include "vmm/devices/guest_memory.h"

#include "kernel/lib/string.h"

void guest_memory_init(struct guest_memory *memory)
{
    memory->count = 0;
}

enum status guest_memory_add(struct guest_memory *memory, gpa_t start, uint64_t size, void *host,
                             bool read_only)
{
    if (size == 0 || host == NULL || !range_fits(start.value, size, UINT64_MAX))
        return STATUS_INVALID;
    unsigned place = 0;
    while (place < memory->count && memory->range[place].start < start.value)
        place++;
    if (place > 0 && start.value - memory->range[place - 1].start < memory->range[place - 1].size)
        return STATUS_INVALID;
    if (place < memory->count && memory->range[place].start - start.value < size)
        return STATUS_INVALID;
    if (memory->count == GUEST_MEMORY_RANGES)
        return STATUS_NO_MEMORY;
    for (unsigned i = memory->count; i > place; i--)
        memory->range[i] = memory->range[i - 1];
    memory->range[place] = (struct guest_memory_range){start.value, size, host, read_only};
    memory->count++;
    return STATUS_OK;
}

// The range that holds guest-physical `address`, or null.
static const struct guest_memory_range *find(const struct guest_memory *memory, uint64_t address)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct guest_memory_range *range = &memory->range[i];
        if (address >= range->start && address - range->start < range->size)
            return range;
    }
    return NULL;
}

void *guest_memory_pointer(const struct guest_memory *memory, gpa_t start, uint64_t size)
{
    const struct guest_memory_range *range = find(memory, start.value);
    if (range == NULL || size == 0 || size > range->size - (start.value - range->start))
        return NULL;
    return range->host + (start.value - range->start);
}

// True when [start, start + size) is memory throughout and, with `writable`, none is read-only.
static bool check(const struct guest_memory *memory, uint64_t start, uint64_t size, bool writable)
{
    while (size > 0) {
        const struct guest_memory_range *range = find(memory, start);
        if (range == NULL || (writable && range->read_only))
            return false;
        uint64_t there = range->size - (start - range->start);
        if (there >= size)
            return true;
        size -= there;
        start += there; // cannot wrap: guest_memory_add refused ranges that do
    }
    return true;
}

bool guest_memory_covers(const struct guest_memory *memory, gpa_t start, uint64_t size)
{
    return check(memory, start.value, size, false);
}

// The longest piece of [*start, *start + *size) that is contiguous on the host; advances both.
// The caller has checked the whole.
static uint8_t *next_piece(const struct guest_memory *memory, uint64_t *start, size_t *size,
                           size_t *piece)
{
    const struct guest_memory_range *range = find(memory, *start);
    uint64_t offset = *start - range->start;
    uint64_t there = range->size - offset;
    *piece = there < *size ? (size_t)there : *size;
    *start += *piece;
    *size -= *piece;
    return range->host + offset;
}

enum status guest_memory_read(const struct guest_memory *memory, gpa_t start, void *buffer,
                              size_t size)
{
    if (!check(memory, start.value, size, false))
        return STATUS_FAULT;
    uint8_t *to = buffer;
    uint64_t address = start.value;
    while (size > 0) {
        size_t piece;
        const uint8_t *host = next_piece(memory, &address, &size, &piece);
        memcpy(to, host, piece);
        to += piece;
    }
    return STATUS_OK;
}

enum status guest_memory_write(const struct guest_memory *memory, gpa_t start, const void *buffer,
                               size_t size)
{
    if (!check(memory, start.value, size, true))
        return STATUS_FAULT;
    const uint8_t *from = buffer;
    uint64_t address = start.value;
    while (size > 0) {
        size_t piece;
        uint8_t *host = next_piece(memory, &address, &size, &piece);
        memcpy(host, from, piece);
        from += piece;
    }
    return STATUS_OK;
}

enum status guest_memory_fill(const struct guest_memory *memory, gpa_t start, uint8_t byte,
                              size_t size)
{
    if (!check(memory, start.value, size, true))
        return STATUS_FAULT;
    uint64_t address = start.value;
    while (size > 0) {
        size_t piece;
        uint8_t *host = next_piece(memory, &address, &size, &piece);
        memset(host, byte, piece);
    }
    return STATUS_OK;
}

uint64_t guest_memory_total(const struct guest_memory *memory)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < memory->count; i++)
        total += memory->range[i].size;
    return total;
}
