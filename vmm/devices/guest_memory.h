// SPDX-License-Identifier: MIT
// Guest memory as the monitor sees it: ranges of guest-physical addresses and the host addresses
// where their bytes are mapped. Used by the loaders, the emulator and devices that reach memory.
// Every access is bounds-checked here. Filled once while the VM is built, then only read.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define GUEST_MEMORY_RANGES 8u

struct guest_memory_range {
    uint64_t start; // guest-physical, in bytes
    uint64_t size;  // in bytes, not zero
    uint8_t *host;  // where byte `start` is mapped
    bool read_only; // to the guest: guest_memory_write refuses
};

struct guest_memory {
    struct guest_memory_range range[GUEST_MEMORY_RANGES]; // by ascending start, none overlap
    unsigned count;
};

// Makes `memory` empty.
void guest_memory_init(struct guest_memory *memory);

// Adds `size` bytes at guest-physical `start`, mapped at `host`. STATUS_INVALID: empty, wraps, or
// overlaps a range that is there; STATUS_NO_MEMORY: all GUEST_MEMORY_RANGES are used.
MUST_CHECK enum status guest_memory_add(struct guest_memory *memory, gpa_t start, uint64_t size,
                                        void *host, bool read_only);

// Host address of `size` bytes from guest-physical `start` when they lie in one range, else null.
// A size of 0 gives null. The caller may read; it may write only where the range is not read-only.
void *guest_memory_pointer(const struct guest_memory *memory, gpa_t start, uint64_t size);

// True when every byte of [start, start + size) is memory (adjacent ranges count). Size 0: true.
bool guest_memory_covers(const struct guest_memory *memory, gpa_t start, uint64_t size);

// Copy out of, into, and fill guest memory; may span adjacent ranges. STATUS_FAULT: some byte is
// not memory, or (write, fill) is read-only; then nothing was changed.
MUST_CHECK enum status guest_memory_read(const struct guest_memory *memory, gpa_t start,
                                         void *buffer, size_t size);
MUST_CHECK enum status guest_memory_write(const struct guest_memory *memory, gpa_t start,
                                          const void *buffer, size_t size);
MUST_CHECK enum status guest_memory_fill(const struct guest_memory *memory, gpa_t start,
                                         uint8_t byte, size_t size);

// Sum of the sizes of all ranges, in bytes.
uint64_t guest_memory_total(const struct guest_memory *memory);
