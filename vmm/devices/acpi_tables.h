// SPDX-License-Identifier: MIT
// The ACPI tables of the platform: RSDP, RSDT, XSDT, FADT, FACS, DSDT and, for machines with local
// APICs, MADT; after "ACPI Software Programming Model". Built by the loaders into guest memory.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define ACPI_TABLES_MAXIMUM 4096u      // bytes that the tables never exceed
#define ACPI_TABLES_ADDRESS 0xe0000ull // where guests search for the RSDP, 16-byte aligned

struct acpi_tables_config {
    uint32_t processors;      // local APICs 0 ... processors - 1 in the MADT; 0: no MADT, PIC only
    uint32_t io_apic_address; // with processors > 0: guest-physical address; 0: no I/O APIC
};

// Builds all tables into `buffer` as they are to stand at guest-physical `address` (below 4 GiB, a
// multiple of 64); the RSDP is first. `*size`: bytes used. STATUS_INVALID: the address is
// not allowed or there are more than 64 processors; STATUS_TOO_SMALL: `capacity` bytes do not hold
// them (ACPI_TABLES_MAXIMUM always does).
MUST_CHECK enum status acpi_tables_build(uint8_t *buffer, size_t capacity, gpa_t address,
                                         const struct acpi_tables_config *config, size_t *size);
