// SPDX-License-Identifier: MIT
// Shared by the loader tests: guest memory, a request, images built in the test, and checks of
// refusals. Images live on the heap at their exact size, so that the address sanitizer sees every
// read past their end.
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "vmm/devices/guest_memory.h"
#include "vmm/load/load.h"
#include "vmm/load/load_job.h"

#define TEST_MEMORY (64ull << 20)

struct fixture {
    struct guest_memory memory;
    uint8_t *ram; // low memory
    uint64_t ram_bytes;
    struct load_request request;
    struct load_entry entry;
    struct load_report report;
    struct load_image modules[LOAD_MODULES_MAXIMUM + 1];
};

// A fresh fixture with `bytes` of RAM, all below 4 GiB, and an empty request.
struct fixture *fixture_new(uint64_t bytes);
void fixture_free(struct fixture *fixture);

// Replaces the kernel by a heap copy of `bytes`, `size` long; the file is called "kernel.img".
void fixture_kernel(struct fixture *fixture, const void *bytes, uint64_t size);

// An initrd of `size` bytes, called "initrd.img".
void fixture_initrd(struct fixture *fixture, uint64_t size);

// Appends a module with its arguments, called "module.bin".
void fixture_module(struct fixture *fixture, const void *bytes, uint64_t size,
                    const char *arguments);

// Runs the loader and demands success.
void fixture_accept(struct fixture *fixture);

// Runs the loader and demands that it refuses with `status` and one line of text that begins with
// `begin` and contains `found` and the words "found" and "expected".
void fixture_refuse(struct fixture *fixture, enum status status, const char *begin,
                    const char *found);

// The 64-bit ELF kernel that tests start from: one segment of 0x1000 bytes from file offset 0x1000
// at `physical`, virtual `virtual`, with 0x1000 bytes of bss, entry at its start. Needs 0x2000
// bytes; returns that.
uint64_t make_elf64(uint8_t *image, uint64_t physical, uint64_t virtual);

// The same in 32 bits, with a multiboot1 header at file offset 0x1000 unless `flags` is UINT32_MAX.
uint64_t make_elf32(uint8_t *image, uint32_t physical, uint32_t flags);

// Deterministic random numbers for the mutation tests; the seed is printed when it is set.
void random_seed(uint64_t seed);
uint32_t random_below(uint32_t limit);

// Loads copies of the request's kernel with random bytes changed or cut off, `rounds` times: it
// must return, with a report exactly when it refuses.
void fixture_mutate(struct fixture *fixture, unsigned rounds);
