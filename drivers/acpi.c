// SPDX-License-Identifier: MIT
// The ACPI table parser; see acpi.h. Pure: it reads only what its callback shows and checks every
// length against it.
#include "drivers/acpi.h"
#include "kernel/lib/string.h"

// "Root System Description Pointer (RSDP) Structure"
#define RSDP_SIZE       36u
#define RSDP_OLD_SIZE   20u
#define RSDP_REVISION   15
#define RSDP_RSDT       16
#define RSDP_XSDT       24
#define HEADER_SIZE     36u
#define HEADER_LENGTH   4
#define TABLE_MAXIMUM   (1u << 20)
#define MADT_FIXED_SIZE 44u

// A little-endian number of up to 8 bytes.
static uint64_t get(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}

static uint32_t get32(const uint8_t *bytes)
{
    return (uint32_t)get(bytes, 4);
}

static bool sums_to_zero(const uint8_t *bytes, uint32_t size)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    return sum == 0;
}

void acpi_defaults(struct acpi_information *information)
{
    memset(information, 0, sizeof *information);
    information->local_apic_address = 0xfee00000;
    information->io_apic_count = 1;
    information->io_apics[0] = (struct acpi_io_apic){0xfec00000, 0};
    for (uint32_t irq = 0; irq < ACPI_ISA_IRQ_COUNT; irq++) {
        information->isa_irqs[irq].interrupt = irq;
    }
}

// Shows a whole table. STATUS_NOT_FOUND: not readable or another signature.
static enum status open_table(const struct acpi_memory *memory, uint64_t address,
                              const char signature[4], const uint8_t **table, uint32_t *length)
{
    const uint8_t *header = memory->view(memory->context, hpa(address), HEADER_SIZE);
    if (!header || memcmp(header, signature, 4) != 0) {
        return STATUS_NOT_FOUND;
    }
    *length = get32(header + HEADER_LENGTH);
    if (*length < HEADER_SIZE || *length > TABLE_MAXIMUM) {
        return STATUS_MALFORMED;
    }
    *table = memory->view(memory->context, hpa(address), *length);
    return *table && sums_to_zero(*table, *length) ? STATUS_OK : STATUS_MALFORMED;
}

enum status acpi_find_table(const struct acpi_memory *memory, const uint8_t *rsdp, uint32_t size,
                            const char signature[4], const uint8_t **table, uint32_t *length)
{
    const uint8_t *root;
    uint32_t root_length;
    uint32_t width = 8;
    if (size < RSDP_OLD_SIZE || memcmp(rsdp, "RSD PTR ", 8) != 0 ||
        !sums_to_zero(rsdp, RSDP_OLD_SIZE)) {
        return STATUS_NOT_FOUND;
    }
    enum status status = STATUS_NOT_FOUND;
    if (size >= RSDP_SIZE && rsdp[RSDP_REVISION] >= 2 && sums_to_zero(rsdp, RSDP_SIZE)) {
        status = open_table(memory, get(rsdp + RSDP_XSDT, 8), "XSDT", &root, &root_length);
    }
    if (status != STATUS_OK) {
        width = 4;
        status = open_table(memory, get32(rsdp + RSDP_RSDT), "RSDT", &root, &root_length);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (uint32_t at = HEADER_SIZE; root_length - at >= width; at += width) {
        status = open_table(memory, get(root + at, width), signature, table, length);
        if (status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    return STATUS_NOT_FOUND;
}

static void add_io_apic(struct acpi_information *information, const uint8_t *entry)
{
    if (information->io_apic_count < ACPI_IO_APIC_MAXIMUM) { // ISA lines are on the first one
        information->io_apics[information->io_apic_count++] =
            (struct acpi_io_apic){get32(entry + 4), get32(entry + 8)};
    }
}

static void add_override(struct acpi_information *information, const uint8_t *entry)
{
    uint8_t source = entry[3];
    uint64_t flags = get(entry + 8, 2);
    if (entry[2] != 0 || source >= ACPI_ISA_IRQ_COUNT) { // only bus 0, ISA, is defined
        return;
    }
    // "MPS INTI Flags": polarity 1:0, trigger mode 3:2; 0 conforms to ISA, 3 is the other way.
    information->isa_irqs[source] = (struct acpi_isa_irq){
        .interrupt = get32(entry + 4),
        .active_low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

// Firmware may name a processor twice, once in each form.
static void add_cpu(struct acpi_information *information, uint32_t apic_id, uint32_t flags)
{
    bool known = (flags & 1) == 0; // disabled
    for (uint32_t i = 0; !known && i < information->cpu_count; i++) {
        known = information->cpu_apic_ids[i] == apic_id;
    }
    if (known) {
        return;
    }
    if (information->cpu_count < ACPI_CPU_MAXIMUM) {
        information->cpu_apic_ids[information->cpu_count++] = apic_id;
    } else {
        information->cpu_left_out++;
    }
}

static void add_xapic(struct acpi_information *information, const uint8_t *entry)
{
    add_cpu(information, entry[3], get32(entry + 4));
}

static void add_x2apic(struct acpi_information *information, const uint8_t *entry)
{
    add_cpu(information, get32(entry + 4), get32(entry + 8));
}

static void set_address(struct acpi_information *information, const uint8_t *entry)
{
    information->local_apic_address = get(entry + 4, 8);
}

// "Interrupt Controller Structure Types"
static const struct madt_row {
    uint8_t type;
    uint8_t size;
    void (*add)(struct acpi_information *information, const uint8_t *entry);
} madt_rows[] = {
    {0, 8, add_xapic},    {1, 12, add_io_apic}, {2, 10, add_override},
    {5, 12, set_address}, {9, 16, add_x2apic},
};

static enum status parse_entry(struct acpi_information *information, const uint8_t *entry)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(madt_rows); i++) {
        if (madt_rows[i].type == entry[0]) {
            if (entry[1] < madt_rows[i].size) {
                return STATUS_MALFORMED;
            }
            madt_rows[i].add(information, entry);
        }
    }
    return STATUS_OK;
}

enum status acpi_parse_madt(const uint8_t *table, uint32_t length,
                            struct acpi_information *information)
{
    if (length < MADT_FIXED_SIZE) {
        return STATUS_MALFORMED;
    }
    struct acpi_information found;
    acpi_defaults(&found);
    found.io_apic_count = 0;
    found.local_apic_address = get32(table + 36);
    uint32_t at = MADT_FIXED_SIZE;
    while (length - at >= 2) {
        uint8_t size = table[at + 1];
        if (size < 2 || size > length - at || parse_entry(&found, table + at) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
        at += size;
    }
    *information = found;
    return STATUS_OK;
}
