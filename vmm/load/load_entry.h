// SPDX-License-Identifier: MIT
// The processor states that guests start in. Internal to vmm/load.
#pragma once

#include <stdint.h>
#include "vmm/load/load.h"

#define LOAD_GDT_BYTES         40u // null, unused, code, data, task
#define LOAD_GDT_CODE          0x10u
#define LOAD_GDT_DATA          0x18u
#define LOAD_GDT_TASK          0x20u
#define LOAD_PAGE_TABLES_BYTES (6ull * 4096u)

// 64-bit mode: flat segments of the GDT at guest-physical `gdt`, paging by `cr3`, interrupts off.
void load_entry_long(struct load_entry *entry, uint64_t rip, uint64_t gdt, uint64_t cr3);

// 32-bit protected mode without paging: flat segments of the GDT at `gdt`, interrupts off.
void load_entry_protected(struct load_entry *entry, uint32_t eip, uint64_t gdt);

// 16-bit real mode, all segments 0, interrupts off.
void load_entry_real(struct load_entry *entry, uint16_t ip);

// Writes the GDT those states refer to; `code64` chooses a 64-bit code segment. The layout of the
// first four entries is what "64-bit Boot Protocol" asks for (__BOOT_CS 0x10, __BOOT_DS 0x18).
void load_gdt_write(uint8_t gdt[LOAD_GDT_BYTES], int code64);

// Writes six page tables that will lie at guest-physical `address`: the first 4 GiB mapped to
// themselves in 2 MiB pages. CR3 is `address`.
void load_page_tables_write(uint8_t tables[LOAD_PAGE_TABLES_BYTES], uint64_t address);
