// SPDX-License-Identifier: MIT
// Segmentation, with instructions that a hypervisor finishes for the guest: limits, types, bases
// and 16-bit addresses of port strings, of devices in memory, and of LGDT and SGDT. Also INTO and
// BOUND.
#include "guests/legacy/subjects.h"
#include "guests/legacy/traps.h"
#include "guests/library/suite.h"

#define MASK 0x21
#define HOLE 0xf0000000u

static uint8_t buffer[256];

static void set_fs(unsigned entry)
{
    __asm__ volatile("mov %0, %%fs" : : "r"(SELECTOR(entry)));
}

static void check_software_exceptions(void)
{
    static const int32_t bounds[2] = {1, 5};

    check("into",
          TRY("movb $0x7f, %%al; addb $1, %%al; into",
              :
              :
              : "eax", "memory", "cc"),
          VECTOR_OF);
    check("into without overflow",
          TRY("xor %%eax, %%eax; into",
              :
              :
              : "eax", "memory", "cc"),
          TRAP_NONE);
    check("bound", TRY("bound %0, %1", : : "r"(6), "m"(bounds) : "memory"), VECTOR_BR);
    check("bound within", TRY("bound %0, %1", : : "r"(5), "m"(bounds) : "memory"), TRAP_NONE);
}

static void check_ports(void)
{
    uint32_t si = 2;

    buffer[2] = 0x5b;
    gdt_set(ENTRY_SMALL, (uint32_t)buffer, 3, RIGHTS_BYTES);
    set_fs(ENTRY_SMALL);
    __asm__ volatile("outsb %%fs:(%%esi), (%%dx)" : "+S"(si) : "d"(MASK) : "memory");
    check("outsb from fs", port_in8(MASK), 0x5b);
    check("outsb from fs, esi", si, 3);
    check("outsw beyond the limit",
          TRY("outsw %%fs:(%%esi), (%%dx)",
              : "+S"(si)
              : "d"(0x5550)
              : "memory"),
          VECTOR_GP);
    check("outsw beyond the limit, error code", trap_last.error_code, 0);
    si = 0x12340001;
    buffer[1] = 0x6c;
    __asm__ volatile("addr16 outsb %%fs:(%%si), (%%dx)" : "+S"(si) : "d"(MASK) : "memory");
    check("outsb with a 16-bit address", port_in8(MASK), 0x6c);
    check("outsb with a 16-bit address, esi", si, 0x12340002);
    set_fs(ENTRY_NULL);
    check("outsb from a null segment",
          TRY("outsb %%fs:(%%esi), (%%dx)",
              :
              : "S"(0), "d"(MASK)
              : "memory"),
          VECTOR_GP);
    set_fs(ENTRY_DATA);
}

static void check_insb(void)
{
    uint32_t di = 1;

    port_out8(MASK, 0x7d);
    gdt_set(ENTRY_SMALL, (uint32_t)buffer, 3, RIGHTS_BYTES);
    gdt_set(ENTRY_READ_ONLY, (uint32_t)buffer, 3, RIGHTS_READ);
    __asm__ volatile("mov %2, %%es; insb; mov %3, %%es"
                     : "+D"(di)
                     : "d"(MASK), "r"(SELECTOR(ENTRY_SMALL)), "r"(SELECTOR(ENTRY_DATA))
                     : "memory");
    check("insb into es", buffer[1], 0x7d);
    check("insb into a read-only segment",
          TRY("mov %1, %%es; insb",
              :
              : "d"(MASK), "r"(SELECTOR(ENTRY_READ_ONLY)), "D"(0)
              : "memory"),
          VECTOR_GP);
    __asm__ volatile("mov %0, %%es" : : "r"(SELECTOR(ENTRY_DATA)));
    port_out8(MASK, 0xff);
}

static void check_devices(void)
{
    uint32_t value = 0;

    gdt_set(ENTRY_SMALL, HOLE, 0xff, RIGHTS_BYTES);
    set_fs(ENTRY_SMALL);
    __asm__ volatile("mov %%fs:0x10, %0" : "=r"(value));
    check("read of a device through fs", value, 0xffffffff);
    check("read of a device beyond the limit",
          TRY("mov %%fs:0xfd, %%eax",
              :
              :
              : "eax", "memory"),
          VECTOR_GP);
    gdt_set(ENTRY_READ_ONLY, HOLE, 0xff, RIGHTS_READ);
    set_fs(ENTRY_READ_ONLY);
    check("write to a device through a read-only segment",
          TRY("movl $1, %%fs:0",
              :
              :
              : "memory"),
          VECTOR_GP);
    set_fs(ENTRY_DATA);
    __asm__ volatile("xor %0, %0; movl $0xf0000000, %%ebx; addr16 mov %%es:(0x10), %0"
                     : "=&r"(value)
                     :
                     : "ebx");
    check("addr16 reads low memory", value != 0xffffffff, 1);
    gdt_set(ENTRY_ABSENT, 0, 0xff, RIGHTS_ABSENT);
    check("segment not present",
          TRY("mov %0, %%fs",
              :
              : "r"(SELECTOR(ENTRY_ABSENT))
              : "memory"),
          VECTOR_NP);
    check("segment not present, error code", trap_last.error_code, SELECTOR(ENTRY_ABSENT));
}

// A 16-bit LGDT takes 24 bits of the base.
static void check_tables(void)
{
    struct table_register before, other = {0x77, 0x81234567}, seen = {0};

    __asm__ volatile("sgdt %0" : "=m"(before));
    check("sgdt", before.base, (uint32_t)gdt);
    __asm__ volatile("lgdt %1; sgdt %0; lgdt %2" : "=m"(seen) : "m"(other), "m"(before));
    check("lgdt, 32 bits", seen.base, 0x81234567);
    __asm__ volatile(".byte 0x66; lgdt %1; sgdt %0; lgdt %2"
                     : "=m"(seen)
                     : "m"(other), "m"(before));
    check("lgdt, 16 bits", seen.base, 0x234567);
    gdt_set(ENTRY_SMALL, (uint32_t)buffer, 0xff, RIGHTS_BYTES);
    set_fs(ENTRY_SMALL);
    check("lgdt beyond a limit", TRY("lgdt %%fs:0xfd", : : : "memory"), VECTOR_GP);
    check("sidt beyond a limit", TRY("sidt %%fs:0xfb", : : : "memory"), VECTOR_GP);
    set_fs(ENTRY_DATA);
}

void subject_segment(void)
{
    check_software_exceptions();
    check_ports();
    check_insb();
    check_devices();
    check_tables();
}
