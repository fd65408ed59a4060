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

// An ISA interrupt's line, for the driver and for contracts.
struct io_apic_line {
    volatile uint32_t *words; // of its I/O APIC, device memory; null: no I/O APIC has it
    uint32_t pin;
    uint32_t entry; // low half of the pin's register as last written
};
extern struct io_apic_line io_apic_lines[ACPI_ISA_IRQ_COUNT];

#define IO_APIC_FIRST_PIN 0x10u // the register of pin 0; each has two

// What contracts know of the registers of I/O APICs.
//@ ghost int io_apic_state;
/*@
  axiomatic io_apics {
    logic integer io_apic_register{L}(uint32_t *words, integer index) reads io_apic_state;
  }

  predicate io_apic_line_usable{L}(integer irq) =
    0 <= irq < ACPI_ISA_IRQ_COUNT && io_apic_lines[irq].pin < 256;

  // The low half of the line's register.
  logic integer io_apic_pin{L}(integer irq) =
    io_apic_register((uint32_t *)io_apic_lines[irq].words,
                     IO_APIC_FIRST_PIN + 2 * io_apic_lines[irq].pin);
*/

// Moves the 8259 pair's vectors out of the exceptions' way and masks all its lines.
void legacy_pic_disable(void);

// Maps each I/O APIC and masks all pins. STATUS_NOT_FOUND: there is none; else mapping errors.
MUST_CHECK enum status io_apic_initialize(const struct acpi_information *acpi,
                                          const struct page_source *source);

// Routes an ISA interrupt (0 to 15) to a vector of the CPU with this APIC id (below 256), masked.
// Polarity and trigger mode come from the MADT. STATUS_INVALID, STATUS_NOT_FOUND.
MUST_CHECK enum status io_apic_route_isa(unsigned irq, uint8_t vector, uint32_t apic_id);

// Masks or unmasks. STATUS_INVALID for a line that is not routed.
/*@
  requires irq < ACPI_ISA_IRQ_COUNT ==> io_apic_line_usable(irq);
  terminates \true;
  assigns io_apic_lines[irq].entry, io_apic_state;
  behavior refused:
    assumes irq >= ACPI_ISA_IRQ_COUNT || io_apic_lines[irq].words == \null;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior done:
    assumes irq < ACPI_ISA_IRQ_COUNT && io_apic_lines[irq].words != \null;
    ensures \result == STATUS_OK;
    ensures io_apic_lines[irq].entry == (masked ? \old(io_apic_lines[irq].entry) | 0x10000 :
      \old(io_apic_lines[irq].entry) & ~0x10000u);
    ensures io_apic_pin(irq) == io_apic_lines[irq].entry;
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status io_apic_mask_isa(unsigned irq, bool masked);
