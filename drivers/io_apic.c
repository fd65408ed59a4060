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
#define WORD_SELECT     0
#define WORD_DATA       4
#define INDEX_VERSION   1u
#define INDEX_FIRST_PIN 0x10u
#define PIN_ACTIVE_LOW  (1u << 13)
#define PIN_LEVEL       (1u << 15)
#define PIN_MASKED      (1u << 16)

struct io_apic {
    volatile uint32_t *words; // device memory
    uint32_t first;           // global system interrupt of pin 0
    uint32_t pins;
};

struct isa_line {
    struct io_apic *controller; // null: not routed
    uint32_t pin;
    uint32_t entry; // low half of the pin's register as last written
};

static struct io_apic controllers[ACPI_IO_APIC_MAXIMUM];
static uint32_t controller_count;
static struct acpi_isa_irq isa_irqs[ACPI_ISA_IRQ_COUNT];
static struct isa_line lines[ACPI_ISA_IRQ_COUNT];

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

static uint32_t read_index(const struct io_apic *controller, uint32_t index)
{
    controller->words[WORD_SELECT] = index;
    return controller->words[WORD_DATA];
}

static void write_index(const struct io_apic *controller, uint32_t index, uint32_t value)
{
    controller->words[WORD_SELECT] = index;
    controller->words[WORD_DATA] = value;
}

static void mask_all(const struct io_apic *controller)
{
    for (uint32_t pin = 0; pin < controller->pins; pin++) {
        write_index(controller, INDEX_FIRST_PIN + 2 * pin, PIN_MASKED);
        write_index(controller, INDEX_FIRST_PIN + 2 * pin + 1, 0);
    }
}

enum status io_apic_initialize(const struct acpi_information *acpi,
                               const struct page_source *source)
{
    controller_count = 0;
    for (uint32_t i = 0; i < acpi->io_apic_count; i++) {
        struct io_apic *controller = &controllers[controller_count];
        void *address;
        enum status status =
            kernel_space_map_device(hpa(acpi->io_apics[i].address), 32, PAGE_READ | PAGE_WRITE,
                                    MEMORY_UNCACHEABLE, source, &address);
        if (status != STATUS_OK) {
            return status;
        }
        controller->words = address;
        controller->first = acpi->io_apics[i].first_interrupt;
        uint32_t version = read_index(controller, INDEX_VERSION);
        if (version == UINT32_MAX) { // the table names one that is not there
            continue;
        }
        controller->pins = (version >> 16 & 0xff) + 1;
        mask_all(controller);
        controller_count++;
    }
    for (unsigned irq = 0; irq < ACPI_ISA_IRQ_COUNT; irq++) {
        isa_irqs[irq] = acpi->isa_irqs[irq];
    }
    return controller_count != 0 ? STATUS_OK : STATUS_NOT_FOUND;
}

static struct io_apic *controller_of(uint32_t interrupt)
{
    for (uint32_t i = 0; i < controller_count; i++) {
        struct io_apic *controller = &controllers[i];
        if (interrupt >= controller->first && interrupt - controller->first < controller->pins) {
            return controller;
        }
    }
    return NULL;
}

static void write_line(const struct isa_line *line)
{
    write_index(line->controller, INDEX_FIRST_PIN + 2 * line->pin, line->entry);
}

enum status io_apic_route_isa(unsigned irq, uint8_t vector, uint32_t apic_id)
{
    if (irq >= ACPI_ISA_IRQ_COUNT || vector < 32 || apic_id > 255) {
        return STATUS_INVALID;
    }
    struct io_apic *controller = controller_of(isa_irqs[irq].interrupt);
    if (!controller) {
        return STATUS_NOT_FOUND;
    }
    struct isa_line *line = &lines[irq];
    line->controller = controller;
    line->pin = isa_irqs[irq].interrupt - controller->first;
    line->entry = vector | PIN_MASKED;
    line->entry |= isa_irqs[irq].active_low ? PIN_ACTIVE_LOW : 0;
    line->entry |= isa_irqs[irq].level ? PIN_LEVEL : 0;
    write_line(line);
    write_index(controller, INDEX_FIRST_PIN + 2 * line->pin + 1, apic_id << 24);
    return STATUS_OK;
}

enum status io_apic_mask_isa(unsigned irq, bool masked)
{
    if (irq >= ACPI_ISA_IRQ_COUNT || !lines[irq].controller) {
        return STATUS_INVALID;
    }
    struct isa_line *line = &lines[irq];
    line->entry = masked ? line->entry | PIN_MASKED : line->entry & ~PIN_MASKED;
    write_line(line);
    return STATUS_OK;
}
