// SPDX-License-Identifier: MIT
// The I/O APICs ("I/O Advanced Programmable Interrupt Controller (IOAPIC)") and the retired 8259
// pair. Set up at boot with every line masked; later changes come from the kernel's interrupt code
// under its lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "drivers/acpi.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Moves the 8259 pair's vectors out of the exceptions' way and masks all its lines.
void legacy_pic_disable(void);

// Maps each I/O APIC and masks all pins. STATUS_NOT_FOUND: there is none; else mapping errors.
MUST_CHECK enum status io_apic_initialize(const struct acpi_information *acpi,
                                          const struct page_source *source);

// Routes an ISA interrupt (0 to 15) to a vector of the CPU with this APIC id (below 256), masked.
// Polarity and trigger mode come from the MADT. STATUS_INVALID, STATUS_NOT_FOUND.
MUST_CHECK enum status io_apic_route_isa(unsigned irq, uint8_t vector, uint32_t apic_id);

// Masks or unmasks. STATUS_INVALID for a line that is not routed.
MUST_CHECK enum status io_apic_mask_isa(unsigned irq, bool masked);
