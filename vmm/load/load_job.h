// SPDX-License-Identifier: MIT
// What all loaders share: the loading at hand, refusals, checked access to guest memory and to
// little-endian image fields, and the guest's memory map. Internal to vmm/load.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/load/load.h"

// One loading. Built by load_guest; the loaders only read it.
struct load_job {
    const struct load_request *request;
    struct load_report *report;
    uint64_t low_end;  // bytes of RAM from 0 on, at most LOAD_MEMORY_LOW
    uint64_t high_end; // end of the RAM from 4 GiB on; LOAD_MEMORY_HIGH when there is none
};

// A range [start, end) of guest-physical addresses.
struct load_range {
    uint64_t start;
    uint64_t end;
};

// A row of the memory map that guests are told, with e820 types (1 free, 2 reserved).
struct load_map_row {
    uint64_t start;
    uint64_t size;
    uint32_t type;
};
#define LOAD_MAP_FREE     1u
#define LOAD_MAP_RESERVED 2u
#define LOAD_MAP_ROWS     4u

// Writes "FILE: " and the formatted text (field, found, expected, what to do) to the report and
// returns `status`. `file` may be null when the request itself is refused.
enum status load_refuse(const struct load_job *job, enum status status, const char *file,
                        const char *format, ...) PRINTF(4, 5);

// Host address of guest memory [address, address + size), or null when that is not all RAM.
uint8_t *load_window(const struct load_job *job, uint64_t address, uint64_t size);

// Copies `size` bytes to guest memory; the caller has checked that they fit (load_window).
void load_copy(const struct load_job *job, uint64_t address, const void *bytes, uint64_t size);

// Fills with zeroes; the caller has checked the range.
void load_zero(const struct load_job *job, uint64_t address, uint64_t size);

// Fills `rows` and returns how many there are.
uint32_t load_memory_map(const struct load_job *job, struct load_map_row rows[LOAD_MAP_ROWS]);

static inline bool load_overlap(struct load_range a, struct load_range b)
{
    return a.start < b.end && b.start < a.end;
}

// Little-endian fields at any alignment.
static inline uint16_t get16(const uint8_t *field)
{
    return (uint16_t)(field[0] | field[1] << 8);
}

static inline uint32_t get32(const uint8_t *field)
{
    return get16(field) | (uint32_t)get16(field + 2) << 16;
}

static inline uint64_t get64(const uint8_t *field)
{
    return get32(field) | (uint64_t)get32(field + 4) << 32;
}

static inline void put16(uint8_t *field, uint16_t value)
{
    field[0] = (uint8_t)value;
    field[1] = (uint8_t)(value >> 8);
}

static inline void put32(uint8_t *field, uint32_t value)
{
    put16(field, (uint16_t)value);
    put16(field + 2, (uint16_t)(value >> 16));
}

static inline void put64(uint8_t *field, uint64_t value)
{
    put32(field, (uint32_t)value);
    put32(field + 4, (uint32_t)(value >> 32));
}
