// SPDX-License-Identifier: MIT
// Processor start states as data: segments, control registers, the GDT and the identity map.
#include "vmm/load/load_entry.h"
#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"
#include "vmm/load/load_job.h"

// Access rights in the layout of struct vcpu_segment: present, accessed, DPL 0.
#define ACCESS_CODE64 0xa09bu
#define ACCESS_CODE32 0xc09bu
#define ACCESS_DATA   0xc093u
#define ACCESS_CODE16 0x009bu
#define ACCESS_DATA16 0x0093u
#define ACCESS_TASK   0x008bu // busy 32/64-bit TSS: VM entry demands one

// The same segments as descriptors: base 0, limit 4 GiB.
#define DESCRIPTOR_CODE64 0x00af9b000000ffffull
#define DESCRIPTOR_CODE32 0x00cf9b000000ffffull
#define DESCRIPTOR_DATA   0x00cf93000000ffffull
#define DESCRIPTOR_TASK   0x00008b0000000067ull

#define PAGE_TABLE_ENTRY 0x023ull // present, writable, accessed
#define PAGE_LARGE_ENTRY 0x0e3ull // the same, dirty, 2 MiB page
#define TABLE_ENTRIES    512u
#define DIRECTORIES      4ull // one GiB each
#define TABLE_BYTES      4096ull

static struct vcpu_segment flat_segment(uint16_t selector, uint32_t access_rights)
{
    return (struct vcpu_segment){
        .limit = UINT32_MAX, .access_rights = access_rights, .selector = selector};
}

static void set_protected_segments(struct load_entry *entry, uint32_t code_access)
{
    static const enum segment_index data_segments[] = {SEGMENT_ES, SEGMENT_SS, SEGMENT_DS,
                                                       SEGMENT_FS, SEGMENT_GS};

    for (size_t i = 0; i < ARRAY_COUNT(data_segments); i++) {
        entry->segment[data_segments[i]] = flat_segment(LOAD_GDT_DATA, ACCESS_DATA);
    }
    entry->segment[SEGMENT_CS] = flat_segment(LOAD_GDT_CODE, code_access);
    entry->segment[SEGMENT_LDTR] = (struct vcpu_segment){.access_rights = SEGMENT_UNUSABLE};
    entry->segment[SEGMENT_TR] = (struct vcpu_segment){
        .limit = 0x67, .access_rights = ACCESS_TASK, .selector = LOAD_GDT_TASK};
}

void load_entry_long(struct load_entry *entry, uint64_t rip, uint64_t gdt, uint64_t cr3)
{
    memset(entry, 0, sizeof(*entry));
    entry->mode = LOAD_MODE_LONG;
    entry->rip = rip;
    entry->rflags = RFLAGS_RESERVED;
    entry->gpr[GPR_RSP] = LOAD_LOW_STACK;
    entry->cr0 = CR0_PG | CR0_ET | CR0_PE;
    entry->cr3 = cr3;
    entry->cr4 = CR4_PAE;
    entry->efer = EFER_LME | EFER_LMA;
    set_protected_segments(entry, ACCESS_CODE64);
    entry->gdtr = (struct vcpu_table){.base = gdt, .limit = LOAD_GDT_BYTES - 1};
}

void load_entry_protected(struct load_entry *entry, uint32_t eip, uint64_t gdt)
{
    memset(entry, 0, sizeof(*entry));
    entry->mode = LOAD_MODE_PROTECTED;
    entry->rip = eip;
    entry->rflags = RFLAGS_RESERVED;
    entry->gpr[GPR_RSP] = LOAD_LOW_STACK;
    entry->cr0 = CR0_ET | CR0_PE;
    set_protected_segments(entry, ACCESS_CODE32);
    entry->gdtr = (struct vcpu_table){.base = gdt, .limit = LOAD_GDT_BYTES - 1};
}

void load_entry_real(struct load_entry *entry, uint16_t ip)
{
    memset(entry, 0, sizeof(*entry));
    entry->mode = LOAD_MODE_REAL;
    entry->rip = ip;
    entry->rflags = RFLAGS_RESERVED;
    entry->gpr[GPR_RSP] = LOAD_FLAT_ADDRESS; // the stack grows down from the image
    entry->cr0 = CR0_ET;
    for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
        entry->segment[i] = (struct vcpu_segment){.limit = 0xffff, .access_rights = ACCESS_DATA16};
    }
    entry->segment[SEGMENT_CS].access_rights = ACCESS_CODE16;
    entry->segment[SEGMENT_LDTR] = (struct vcpu_segment){.access_rights = SEGMENT_UNUSABLE};
    entry->segment[SEGMENT_TR] =
        (struct vcpu_segment){.limit = 0xffff, .access_rights = ACCESS_TASK};
    entry->gdtr = (struct vcpu_table){.limit = 0xffff};
    entry->idtr = (struct vcpu_table){.limit = 0x3ff};
}

void load_gdt_write(uint8_t gdt[LOAD_GDT_BYTES], int code64)
{
    memset(gdt, 0, LOAD_GDT_BYTES);
    put64(gdt + LOAD_GDT_CODE, code64 ? DESCRIPTOR_CODE64 : DESCRIPTOR_CODE32);
    put64(gdt + LOAD_GDT_DATA, DESCRIPTOR_DATA);
    // In 64-bit mode this descriptor is 16 bytes long; nothing reads its upper half, since TR is
    // loaded with the rest of the state and a guest that reloads it brings its own GDT.
    put64(gdt + LOAD_GDT_TASK, DESCRIPTOR_TASK);
}

void load_page_tables_write(uint8_t tables[LOAD_PAGE_TABLES_BYTES], uint64_t address)
{
    uint8_t *pointers = tables + TABLE_BYTES;
    uint8_t *directories = tables + 2 * TABLE_BYTES;

    memset(tables, 0, 2 * TABLE_BYTES);
    put64(tables, (address + TABLE_BYTES) | PAGE_TABLE_ENTRY);
    for (uint64_t i = 0; i < DIRECTORIES; i++) {
        put64(pointers + i * 8, (address + (2 + i) * TABLE_BYTES) | PAGE_TABLE_ENTRY);
    }
    for (uint64_t i = 0; i < DIRECTORIES * TABLE_ENTRIES; i++) {
        put64(directories + i * 8, i << 21 | PAGE_LARGE_ENTRY);
    }
}
