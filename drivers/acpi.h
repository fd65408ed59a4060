// SPDX-License-Identifier: MIT
// The ACPI tables that tell of interrupt controllers: RSDP, RSDT or XSDT, MADT ("ACPI Software
// Programming Model"). A pure parser: tables are reached through a callback, so host tests give it
// bytes. Called once at boot.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define ACPI_IO_APIC_MAXIMUM 8u
#define ACPI_ISA_IRQ_COUNT   16u
#define ACPI_CPU_MAXIMUM     64u

struct acpi_memory {
    // Returns where [physical, physical + size) can be read, or null.
    const void *(*view)(void *context, hpa_t physical, uint64_t size);
    void *context;
};

struct acpi_io_apic {
    uint32_t address;
    uint32_t first_interrupt; // global system interrupt of its pin 0
};

struct acpi_isa_irq {
    uint32_t interrupt; // global system interrupt
    bool active_low;
    bool level;
};

struct acpi_information {
    uint64_t local_apic_address;
    uint32_t io_apic_count;
    struct acpi_io_apic io_apics[ACPI_IO_APIC_MAXIMUM];
    struct acpi_isa_irq isa_irqs[ACPI_ISA_IRQ_COUNT];
    uint32_t cpu_count;    // enabled ones, the boot CPU among them; 0: the tables name none
    uint32_t cpu_left_out; // more than fit
    uint32_t cpu_apic_ids[ACPI_CPU_MAXIMUM];
};

// Fills in what a machine without tables is assumed to have: local APIC at 0xfee00000, I/O APIC at
// 0xfec00000, identity ISA interrupts.
void acpi_defaults(struct acpi_information *information);

// Follows an RSDP of `size` bytes (0: none), the loader's copy, to a table by signature ("APIC"),
// checks lengths and checksums, stores address and length. STATUS_NOT_FOUND, STATUS_MALFORMED.
MUST_CHECK enum status acpi_find_table(const struct acpi_memory *memory, const uint8_t *rsdp,
                                       uint32_t size, const char signature[4],
                                       const uint8_t **table, uint32_t *length);

// Reads a MADT of `length` bytes into `information` (over acpi_defaults). STATUS_MALFORMED: an
// entry's length breaks the table; `information` is then unchanged.
MUST_CHECK enum status acpi_parse_madt(const uint8_t *table, uint32_t length,
                                       struct acpi_information *information);
