// SPDX-License-Identifier: MIT
// A guest with descriptor tables, for the tests of what the processor does with them: task
// switches, and the loads and stores of table registers and selectors. 32-bit protected mode
// without paging on the machine of machine_fixture.h; page tables that map RAM to itself can be
// turned on.
#pragma once

#include "test/host/monitor/machine_fixture.h"
#include "vmm/monitor/system_access.h"
#include <string.h>

#define GDT          0x2000u
#define GDT_LIMIT    0x7fu
#define LDT          0x3000u
#define LDT_LIMIT    0x1fu
#define OLD_TSS      0x4000u
#define NEW_TSS      0x5000u
#define STACK        0x7000u // of the new task; it grows down from here
#define PAGE_TABLES  0x10000u
#define PAGE_PRESENT 3u // and writable
#define PAGE_USER    4u
#define PAGE_LARGE   0x80u

// Selectors.
enum {
    CODE = 0x08,
    DATA = 0x10,
    OLD = 0x18,
    NEW = 0x20,
    LOCAL = 0x28, // the LDT
    CODE_3 = 0x30,
    DATA_3 = 0x38,
    OTHER = 0x40, // for the test; 16 bytes with the next, which a wide descriptor needs
    BEYOND = 0x80,
    IN_LDT = 0x0c, // a data segment
};

// Access bytes of descriptors, and flags above them.
#define TSS_32     0x89u
#define TSS_16     0x81u
#define BUSY       2u
#define LDT_TYPE   0x82u
#define CODE_TYPE  0x9au
#define DATA_TYPE  0x92u
#define PRESENT    0x80u
#define DPL_3      0x60u
#define FLAT_FLAGS 0xcu // G and D/B

static inline void put(struct fixture *fixture, uint32_t address, uint64_t value, size_t size)
{
    memcpy(fixture->ram + address, &value, size);
}

static inline uint64_t get(const struct fixture *fixture, uint32_t address, size_t size)
{
    uint64_t value = 0;

    memcpy(&value, fixture->ram + address, size);
    return value;
}

static inline void put_descriptor(struct fixture *fixture, uint32_t address, uint32_t base,
                                  uint32_t limit, uint32_t access, uint32_t flags)
{
    put(fixture, address, (limit & 0xffff) | (base & 0xffff) << 16, 4);
    put(fixture, address + 4,
        (base >> 16 & 0xff) | access << 8 | (limit & 0xf0000) | flags << 20 | (base & 0xff000000),
        4);
}

static inline void put_flat(struct fixture *fixture, uint32_t selector, uint32_t access)
{
    put_descriptor(fixture, GDT + selector, 0, 0xfffff, access, FLAT_FLAGS);
}

// The access byte of a descriptor of the GDT.
static inline uint8_t access_of(const struct fixture *fixture, uint32_t selector)
{
    return fixture->ram[GDT + selector + 5];
}

static inline struct fixture *system_guest_new(void)
{
    struct fixture *fixture = fixture_new();
    struct vcpu_page *page = &fixture->page;

    put_flat(fixture, CODE, CODE_TYPE);
    put_flat(fixture, DATA, DATA_TYPE);
    put_flat(fixture, CODE_3, CODE_TYPE | DPL_3);
    put_flat(fixture, DATA_3, DATA_TYPE | DPL_3);
    put_descriptor(fixture, GDT + OLD, OLD_TSS, 0x67, TSS_32 | BUSY, 0);
    put_descriptor(fixture, GDT + NEW, NEW_TSS, 0x67, TSS_32, 0);
    put_descriptor(fixture, GDT + LOCAL, LDT, LDT_LIMIT, LDT_TYPE, 0);
    put_descriptor(fixture, LDT + (IN_LDT & ~7u), 0x100, 0xffff, DATA_TYPE, 0);
    page->gdtr = (struct vcpu_table){.base = GDT, .limit = GDT_LIMIT};
    page->segment[SEGMENT_TR] = (struct vcpu_segment){
        .base = OLD_TSS, .limit = 0x67, .access_rights = TSS_32 | BUSY, .selector = OLD};
    page->segment[SEGMENT_LDTR] = (struct vcpu_segment){.access_rights = SEGMENT_UNUSABLE};
    return fixture;
}

// Page tables for 32-bit paging: 4 KiB pages, address equals guest-physical address.
static inline void map_32(struct fixture *fixture)
{
    put(fixture, PAGE_TABLES, (PAGE_TABLES + 0x1000) | PAGE_PRESENT | PAGE_USER, 4);
    for (uint32_t i = 0; i < FIXTURE_MEMORY / 4096; i++) {
        put(fixture, PAGE_TABLES + 0x1000 + 4 * i, i << 12 | PAGE_PRESENT | PAGE_USER, 4);
    }
    fixture->page.cr3 = PAGE_TABLES;
    fixture->page.cr0 |= CR0_PG;
}

// The entry of one page of map_32.
static inline void set_page_32(struct fixture *fixture, uint32_t address, uint32_t bits)
{
    put(fixture, PAGE_TABLES + 0x1000 + 4 * (address >> 12), address | bits, 4);
}

// 64-bit mode with the first 2 MiB mapped to themselves.
static inline void map_64(struct fixture *fixture)
{
    put(fixture, PAGE_TABLES, (PAGE_TABLES + 0x1000) | PAGE_PRESENT, 8);
    put(fixture, PAGE_TABLES + 0x1000, (PAGE_TABLES + 0x2000) | PAGE_PRESENT, 8);
    put(fixture, PAGE_TABLES + 0x2000, PAGE_LARGE | PAGE_PRESENT, 8);
    fixture->page.cr3 = PAGE_TABLES;
    fixture_long_mode(fixture);
}

// True when this exception with this error code is about to be injected.
static inline bool raised_with(const struct fixture *fixture, unsigned vector, uint32_t error_code)
{
    return fixture->page.event.word ==
               (VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR_CODE | vector) &&
           fixture->page.event.error_code == error_code;
}
