// SPDX-License-Identifier: MIT
// The guest of paged_guest.h.
#include "test/host/monitor/paged_guest.h"

uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
uint8_t rom[ROM_BYTES] __attribute__((aligned(4096)));
struct guest_memory memory;
struct guest_paging paging;

int paged_guest_set_up(void **state)
{
    (void)state;
    memset(ram, 0, sizeof(ram));
    memset(rom, 0, sizeof(rom));
    guest_memory_init(&memory);
    assert_int_equal(guest_memory_add(&memory, gpa(0), RAM_BYTES, ram, false), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(ROM_START), ROM_BYTES, rom, true), STATUS_OK);
    paging = (struct guest_paging){.cr0 = CR0_PAGING | CR0_WP,
                                   .cr3 = 0x1018, // PWT and PCD set: not part of the address
                                   .cr4 = CR4_PAE,
                                   .efer = EFER_LONG | EFER_NXE};
    return 0;
}

void put64(uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(&ram[table + 8ull * index], &entry, 8);
}

uint64_t get64(uint64_t table, unsigned index)
{
    uint64_t entry;

    memcpy(&entry, &ram[table + 8ull * index], 8);
    return entry;
}

void put32(uint64_t table, unsigned index, uint32_t entry)
{
    memcpy(&ram[table + 4ull * index], &entry, 4);
}

void map_long(uint64_t address, uint64_t upper, uint64_t leaf)
{
    put64(0x1000, (address >> 39) & 511, 0x2000 | upper);
    put64(0x2000, (address >> 30) & 511, 0x3000 | upper);
    put64(0x3000, (address >> 21) & 511, 0x4000 | upper);
    put64(0x4000, (address >> 12) & 511, leaf);
}
