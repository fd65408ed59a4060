// SPDX-License-Identifier: MIT
// Joins the ACPI parser with this machine's memory, which it maps. Called once at boot.
#pragma once

#include "arch/x86/boot/boot_information.h"
#include "arch/x86/paging/page_table.h"
#include "drivers/acpi.h"

// Fills `information` from the machine's MADT; what cannot be found or read is left at its default.
// STATUS_OK, STATUS_NOT_FOUND (no RSDP or no MADT) or STATUS_MALFORMED; usable in every case.
enum status acpi_discover(const struct boot_information *boot, const struct page_source *source,
                          struct acpi_information *information);
