// SPDX-License-Identifier: MIT
// I/O APICs and the 8259 pair; see io_apic.h. The kernel's interrupt lock guards later changes.
#include "drivers/io_apic.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"

#define PIC1_COMMAND 0x20
#define PIC1_DATA    0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA    0xa1

// Memory-mapped registers, in 32-bit words, and the indices behind them.
#define WORD_SELECT    0
#define WORD_DATA      4
#define INDEX_VERSION  1u
#define PIN_ACTIVE_LOW (1u << 13)
#define PIN_LEVEL      (1u << 15)
#define PIN_MASKED     (1u << 16)

struct io_apic_line io_apic_lines[ACPI_ISA_IRQ_COUNT];

void legacy_pic_disable(void)
{
    // "8259A initialization command words": edge, cascade, vectors 0xf0 and 0xf8.
    static const uint8_t words[][4] = {{0x11, 0xf0, 0x04, 0x01}, {0x11, 0xf8, 0x02, 0x01}};
    static const uint16_t ports[][2] = {{PIC1_COMMAND, PIC1_DATA}, {PIC2_COMMAND, PIC2_DATA}};
    for (unsigned chip = 0; chip < 2; chip++) {
        port_write8(ports[chip][0], words[chip][0]);
        for (unsigned i = 1; i < 4; i++) {
            port_write8(ports[chip][1], words[chip][i]);
        }
        port_write8(ports[chip][1], 0xff); // all masked
    }
}

// Trusted: what a write to the device does.
/*@
  terminates \true;
  assigns io_apic_state;
  ensures io_apic_register((uint32_t *)words, index) == value;
  ensures \forall uint32_t *other, integer i; other != (uint32_t *)words || i != index ==>
    io_apic_register(other, i) == \old(io_apic_register(other, i));
*/
static void write_index(volatile uint32_t *words, uint32_t index, uint32_t value)
{
    words[WORD_SELECT] = index;
    words[WORD_DATA] = value;
}

// Masks a pin and gives it to the ISA line, if any, that it serves.
static void start_pin(volatile uint32_t *words, uint32_t pin, uint32_t interrupt,
                      const struct acpi_information *acpi)
{
    write_index(words, IO_APIC_FIRST_PIN + 2 * pin, PIN_MASKED);
    write_index(words, IO_APIC_FIRST_PIN + 2 * pin + 1, 0);
    for (unsigned irq = 0; irq < ACPI_ISA_IRQ_COUNT; irq++) {
        const struct acpi_isa_irq *isa = &acpi->isa_irqs[irq];
        if (isa->interrupt == interrupt) {
            io_apic_lines[irq] = (struct io_apic_line){words, pin, PIN_MASKED};
            io_apic_lines[irq].entry |= isa->active_low ? PIN_ACTIVE_LOW : 0;
            io_apic_lines[irq].entry |= isa->level ? PIN_LEVEL : 0;
        }
    }
}

enum status io_apic_initialize(const struct acpi_information *acpi,
                               const struct page_source *source)
{
    bool found = false;
    for (uint32_t i = 0; i < acpi->io_apic_count; i++) {
        void *address;
        enum status status =
            kernel_space_map_device(hpa(acpi->io_apics[i].address), 32, PAGE_READ | PAGE_WRITE,
                                    MEMORY_UNCACHEABLE, source, &address);
        if (status != STATUS_OK) {
            return status;
        }
        volatile uint32_t *words = address;
        words[WORD_SELECT] = INDEX_VERSION;
        uint32_t version = words[WORD_DATA];
        if (version == UINT32_MAX) { // the table names one that is not there
            continue;
        }
        found = true;
        for (uint32_t pin = 0; pin <= (version >> 16 & 0xff); pin++) {
            start_pin(words, pin, acpi->io_apics[i].first_interrupt + pin, acpi);
        }
    }
    return found ? STATUS_OK : STATUS_NOT_FOUND;
}

/*@
  requires \valid_read(line) && line->pin < 256;
  terminates \true;
  assigns io_apic_state;
  ensures io_apic_register((uint32_t *)line->words, IO_APIC_FIRST_PIN + 2 * line->pin) ==
    line->entry;
*/
static void write_line(const struct io_apic_line *line)
{
    write_index(line->words, IO_APIC_FIRST_PIN + 2 * line->pin, line->entry);
}

enum status io_apic_route_isa(unsigned irq, uint8_t vector, uint32_t apic_id)
{
    if (irq >= ACPI_ISA_IRQ_COUNT || vector < 32 || apic_id > 255) {
        return STATUS_INVALID;
    }
    struct io_apic_line *line = &io_apic_lines[irq];
    if (!line->words) {
        return STATUS_NOT_FOUND;
    }
    line->entry = (line->entry & (PIN_ACTIVE_LOW | PIN_LEVEL)) | PIN_MASKED | vector;
    write_line(line);
    write_index(line->words, IO_APIC_FIRST_PIN + 2 * line->pin + 1, apic_id << 24);
    return STATUS_OK;
}

enum status io_apic_mask_isa(unsigned irq, bool masked)
{
    if (irq >= ACPI_ISA_IRQ_COUNT || !io_apic_lines[irq].words) {
        return STATUS_INVALID;
    }
    struct io_apic_line *line = &io_apic_lines[irq];
    line->entry = masked ? line->entry | PIN_MASKED : line->entry & ~PIN_MASKED;
    write_line(line);
    return STATUS_OK;
}
