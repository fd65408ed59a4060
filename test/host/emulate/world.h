// SPDX-License-Identifier: MIT
// A flat guest for the emulator's tests: memory with pages that fault, ports that count, and the
// start states of the three modes. One world, set up anew by world_start.
#pragma once

#include "vmm/emulate/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MEMORY_BYTES 0x40000u
#define NO_PAGE      UINT64_MAX

// A flat guest: linear address = index into bytes[]; one page may be missing, one read-only.
struct world {
    struct vcpu_page page;
    struct emulate_result result;
    uint8_t bytes[MEMORY_BYTES];
    uint64_t missing;   // linear address of a page that faults on every access
    uint64_t read_only; // linear address of a page that faults on writes
    uint64_t refused;   // linear address of a page that ends the emulation
    uint16_t port;      // of the last port operation
    uint32_t port_size;
    uint32_t port_values; // returned by IN, counting up; number of OUTs
    uint32_t port_sum;    // of the values written
    unsigned reads;       // data reads
};

extern struct world world;
extern const struct emulate_operations world_operations; // context: &world

// Code at 0x1000; segments with base 0 (16-bit code: DS and ES 0x10000, SS 0x20000, limit 64 KiB).
void world_start(unsigned mode);

// Emulates at RIP, after placing `code` there or with what is there.
void world_run(const uint8_t *code, size_t size);
void world_run_at_rip(void);

#define RUN(...) world_run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

// The last emulation completed and RIP is `rip`; or raised this exception and RIP is still 0x1000.
void assert_done(uint64_t rip);
void assert_exception(unsigned vector, bool has_error_code, uint32_t error_code);
