// SPDX-License-Identifier: MIT
// A small guest with page tables, for the tests of the page walk and of the emulator's access path.
#pragma once

#include "kernel/lib/processor.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/monitor/guest_walk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define RAM_BYTES 0x40000u
#define ROM_START 0x100000ull
#define ROM_BYTES 0x2000u

#define P  1ull
#define W  2ull
#define U  4ull
#define A  0x20ull
#define D  0x40ull
#define PS 0x80ull
#define NX (1ull << 63)

#define CR0_PAGING 0x80000001ull
#define EFER_LONG  0x500ull
#define AC         0x40000ull

extern uint8_t ram[RAM_BYTES]; // guest-physical 0
extern uint8_t rom[ROM_BYTES]; // guest-physical ROM_START, read-only
extern struct guest_memory memory;
extern struct guest_paging paging; // long mode with NX and WP, tables at 0x1000

// cmocka set-up function: everything above as at the start.
int paged_guest_set_up(void **state);

// An entry of a table in `ram`.
void put64(uint64_t table, unsigned index, uint64_t entry);
uint64_t get64(uint64_t table, unsigned index);
void put32(uint64_t table, unsigned index, uint32_t entry);

// PML4 0x1000, PDPT 0x2000, PD 0x3000, PT 0x4000.
void map_long(uint64_t address, uint64_t upper, uint64_t leaf);
