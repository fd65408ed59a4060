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
#define EBDA_SEGMENT    0x40e
#define BIOS_AREA       0xe0000
#define BIOS_AREA_SIZE  0x20000
#define HEADER_SIZE     36u
#define HEADER_LENGTH   4
#define TABLE_MAXIMUM   (1u << 20)
#define MADT_FIXED_SIZE 44u

static uint16_t get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t get32(const uint8_t *bytes)
{
    return get16(bytes) | (uint32_t)get16(bytes + 2) << 16;
}

static uint64_t get64(const uint8_t *bytes)
{
    return get32(bytes) | (uint64_t)get32(bytes + 4) << 32;
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
    information->has_8259 = true;
    information->io_apic_count = 1;
    information->io_apics[0] = (struct acpi_io_apic){0, 0xfec00000, 0};
    for (uint32_t irq = 0; irq < ACPI_ISA_IRQ_COUNT; irq++) {
        information->isa_irqs[irq].interrupt = irq;
    }
}

// Copies an RSDP of which `size` bytes can be seen; false when it is not one.
static bool take_rsdp(const uint8_t *bytes, uint32_t size, uint8_t rsdp[36])
{
    if (size < RSDP_OLD_SIZE || memcmp(bytes, "RSD PTR ", 8) != 0 ||
        !sums_to_zero(bytes, RSDP_OLD_SIZE)) {
        return false;
    }
    bool extended =
        bytes[RSDP_REVISION] >= 2 && size >= RSDP_SIZE && sums_to_zero(bytes, RSDP_SIZE);
    memset(rsdp, 0, RSDP_SIZE);
    memcpy(rsdp, bytes, extended ? RSDP_SIZE : RSDP_OLD_SIZE);
    return true;
}

static bool scan(const struct acpi_memory *memory, uint64_t start, uint32_t size, uint8_t rsdp[36])
{
    const uint8_t *bytes = memory->view(memory->context, hpa(start), size);
    for (uint32_t at = 0; bytes && size - at >= RSDP_OLD_SIZE; at += 16) {
        if (take_rsdp(bytes + at, size - at, rsdp)) {
            return true;
        }
    }
    return false;
}

enum status acpi_find_rsdp(const struct acpi_memory *memory, const uint8_t *given, uint32_t size,
                           uint8_t rsdp[36])
{
    if (take_rsdp(given, size, rsdp)) {
        return STATUS_OK;
    }
    const uint8_t *segment = memory->view(memory->context, hpa(EBDA_SEGMENT), 2);
    uint64_t ebda = segment ? (uint64_t)get16(segment) << 4 : 0;
    if (ebda >= 0x400 && ebda < 0xa0000 && scan(memory, ebda, 1024, rsdp)) {
        return STATUS_OK;
    }
    return scan(memory, BIOS_AREA, BIOS_AREA_SIZE, rsdp) ? STATUS_OK : STATUS_NOT_FOUND;
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

enum status acpi_find_table(const struct acpi_memory *memory, const uint8_t rsdp[36],
                            const char signature[4], const uint8_t **table, uint32_t *length)
{
    const uint8_t *root;
    uint32_t root_length;
    uint32_t width = 8;
    enum status status = STATUS_NOT_FOUND;
    if (get64(rsdp + RSDP_XSDT) != 0) {
        status = open_table(memory, get64(rsdp + RSDP_XSDT), "XSDT", &root, &root_length);
    }
    if (status != STATUS_OK) {
        width = 4;
        status = open_table(memory, get32(rsdp + RSDP_RSDT), "RSDT", &root, &root_length);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (uint32_t at = HEADER_SIZE; root_length - at >= width; at += width) {
        uint64_t address = width == 8 ? get64(root + at) : get32(root + at);
        status = open_table(memory, address, signature, table, length);
        if (status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    return STATUS_NOT_FOUND;
}

static void add_cpu(struct acpi_information *information, uint32_t apic_id, uint32_t flags)
{
    if (!(flags & 1)) { // not enabled
        return;
    }
    if (information->cpu_count == ACPI_CPU_MAXIMUM) {
        information->dropped++;
        return;
    }
    information->cpus[information->cpu_count++] = apic_id;
}

static void add_local_apic(struct acpi_information *information, const uint8_t *entry)
{
    add_cpu(information, entry[3], get32(entry + 4));
}

static void add_x2apic(struct acpi_information *information, const uint8_t *entry)
{
    add_cpu(information, get32(entry + 4), get32(entry + 8));
}

static void add_io_apic(struct acpi_information *information, const uint8_t *entry)
{
    if (information->io_apic_count == ACPI_IO_APIC_MAXIMUM) {
        information->dropped++;
        return;
    }
    information->io_apics[information->io_apic_count++] =
        (struct acpi_io_apic){entry[2], get32(entry + 4), get32(entry + 8)};
}

static void add_override(struct acpi_information *information, const uint8_t *entry)
{
    uint8_t source = entry[3];
    uint16_t flags = get16(entry + 8);
    if (entry[2] != 0 || source >= ACPI_ISA_IRQ_COUNT) { // only bus 0, ISA, is defined
        information->dropped++;
        return;
    }
    // "MPS INTI Flags": polarity 1:0, trigger mode 3:2; 0 conforms to ISA, 3 is the other way.
    information->isa_irqs[source] = (struct acpi_isa_irq){
        .interrupt = get32(entry + 4),
        .active_low = (flags & 3) == 3,
        .level = (flags >> 2 & 3) == 3,
    };
}

static void set_address(struct acpi_information *information, const uint8_t *entry)
{
    information->local_apic_address = get64(entry + 4);
}

// "Interrupt Controller Structure Types"
static const struct madt_row {
    uint8_t type;
    uint8_t size;
    void (*add)(struct acpi_information *information, const uint8_t *entry);
} madt_rows[] = {
    {0, 8, add_local_apic}, {1, 12, add_io_apic}, {2, 10, add_override},
    {5, 12, set_address},   {9, 16, add_x2apic},
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
    found.has_8259 = (table[40] & 1) != 0;
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
