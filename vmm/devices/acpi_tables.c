// SPDX-License-Identifier: MIT
// The ACPI tables of the platform. Layouts follow "ACPI Software Programming Model"; the hardware
// they describe is acpi_pm.h, keyboard_controller.h and the PIC.
#include "vmm/devices/acpi_tables.h"

#include <stdbool.h>
#include "kernel/lib/string.h"
#include "vmm/devices/acpi_pm.h"

#define LOCAL_APIC_ADDRESS 0xfee00000u
#define PROCESSORS_MAXIMUM 64u
#define TABLE_ALIGNMENT    64u // what the FACS needs

#define SPACE_IO     1u
#define ACCESS_BYTE  1u
#define ACCESS_WORD  2u
#define ACCESS_DWORD 3u

// IAPC_BOOT_ARCH: ISA devices yes; no 8042 to expect, no VGA, no MSI, no PCIe power states.
#define BOOT_LEGACY_DEVICES 0x0001u
#define BOOT_NO_VGA         0x0004u
#define BOOT_NO_MSI         0x0008u
#define BOOT_NO_ASPM        0x0010u

#define FLAG_WBINVD       (1u << 0)
#define FLAG_C1           (1u << 2)
#define FLAG_SLEEP_BUTTON (1u << 5) // set: no fixed sleep button
#define FLAG_FIX_RTC      (1u << 6) // set: no wake status of the clock in fixed registers
#define FLAG_TIMER_32     (1u << 8)
#define FLAG_RESET        (1u << 10)
#define FLAG_HEADLESS     (1u << 12)

#define RESET_PORT  0xcf9u
#define RESET_VALUE 0x06u

#define PROFILE_SERVER    4u
#define NO_C2_LATENCY     101u  // more than 100: the state is not there
#define NO_C3_LATENCY     1001u // more than 1000: likewise
#define CMOS_CENTURY      0x32u
#define MADT_PCAT_COMPAT  1u // there is a pair of 8259s too
#define LOCAL_APIC_USABLE 1u

struct PACKED rsdp {
    char signature[8];
    uint8_t checksum; // of the first 20 bytes
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
};
static_assert(sizeof(struct rsdp) == 36, "root system description pointer");

struct PACKED header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
};
static_assert(sizeof(struct header) == 36, "system description table header");

struct PACKED address {
    uint8_t space;
    uint8_t bits;
    uint8_t offset;
    uint8_t access;
    uint64_t value;
};
static_assert(sizeof(struct address) == 12, "generic address structure");

struct PACKED fadt {
    struct header header;
    uint32_t facs, dsdt;
    uint8_t reserved0, profile;
    uint16_t sci;
    uint32_t smi_command;
    uint8_t acpi_enable, acpi_disable, s4bios, pstate;
    uint32_t pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm2_control, pm_timer;
    uint32_t gpe0, gpe1;
    uint8_t pm1_event_length, pm1_control_length, pm2_control_length, pm_timer_length;
    uint8_t gpe0_length, gpe1_length, gpe1_base, cstate;
    uint16_t c2_latency, c3_latency, flush_size, flush_stride;
    uint8_t duty_offset, duty_width, day_alarm, month_alarm, century;
    uint16_t boot_architecture;
    uint8_t reserved1;
    uint32_t flags;
    struct address reset;
    uint8_t reset_value;
    uint16_t arm_boot;
    uint8_t minor;
    uint64_t x_facs, x_dsdt;
    struct address x_pm1a_event, x_pm1b_event, x_pm1a_control, x_pm1b_control, x_pm2_control;
    struct address x_pm_timer, x_gpe0, x_gpe1;
};
static_assert(__builtin_offsetof(struct fadt, flags) == 112, "fixed ACPI description table");
static_assert(__builtin_offsetof(struct fadt, x_pm_timer) == 208, "its extended addresses");
static_assert(sizeof(struct fadt) == 244, "revision 4");

struct PACKED facs {
    char signature[4];
    uint32_t length;
    uint8_t rest[56]; // hardware signature, waking vectors, lock, flags: all zero
};
static_assert(sizeof(struct facs) == 64, "firmware ACPI control structure");

struct PACKED madt {
    struct header header;
    uint32_t local_apic;
    uint32_t flags;
};
static_assert(sizeof(struct madt) == 44, "multiple APIC description table");

struct PACKED madt_local_apic {
    uint8_t type, length, processor, apic;
    uint32_t flags;
};
struct PACKED madt_io_apic {
    uint8_t type, length, id, reserved;
    uint32_t address, first_interrupt;
};
struct PACKED madt_override {
    uint8_t type, length, bus, source;
    uint32_t interrupt;
    uint16_t flags; // polarity 1:0, trigger mode 3:2
};
static_assert(sizeof(struct madt_local_apic) == 8, "processor local APIC structure");
static_assert(sizeof(struct madt_io_apic) == 12, "I/O APIC structure");
static_assert(sizeof(struct madt_override) == 10, "interrupt source override structure");

// Name (\_S5, Package (4) { 5, 5, 0, 0 }): the sleep types that power off. A test holds these
// bytes against the ACPI compiler.
// clang-format off
static const uint8_t dsdt_code[] = {
    0x08, '_', 'S', '5', '_',                 // Name (_S5_, in the root scope
    0x12, 0x08, 0x04,                         //   Package (4)
    0x0a, ACPI_PM_S5, 0x0a, ACPI_PM_S5, 0, 0, //   { 5, 5, 0, 0 })
};
// clang-format on

// Where the tables go, and whether they still fit.
struct builder {
    uint8_t *buffer;
    size_t capacity;
    size_t used;
    uint32_t base; // guest-physical address of buffer[0]
    bool full;
};

static void append(struct builder *builder, const void *bytes, size_t size)
{
    if (builder->full || size > builder->capacity - builder->used) {
        builder->full = true;
        return;
    }
    memcpy(builder->buffer + builder->used, bytes, size);
    builder->used += size;
}

// Zeros up to the next multiple of TABLE_ALIGNMENT; returns that offset.
static size_t align(struct builder *builder)
{
    static const uint8_t zeros[TABLE_ALIGNMENT];
    append(builder, zeros, -builder->used % TABLE_ALIGNMENT);
    return builder->used;
}

static uint8_t checksum(const uint8_t *bytes, size_t size)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

static struct header make_header(const char *signature, uint8_t revision)
{
    struct header header = {
        .length = 0,
        .revision = revision,
        .oem = {'G', 'A', 'T', 'E', 'H', 'S'},
        .oem_table = {'G', 'A', 'T', 'E', 'H', 'O', 'U', 'S'},
        .oem_revision = 1,
        .creator = {'G', 'A', 'T', 'E'},
        .creator_revision = 1,
    };
    memcpy(header.signature, signature, sizeof(header.signature));
    return header;
}

// Ends the table that began at offset `start`: fills in its length and checksum. Returns its
// guest-physical address.
static uint32_t finish(struct builder *builder, size_t start)
{
    if (!builder->full) {
        uint8_t *table = builder->buffer + start;
        uint32_t length = (uint32_t)(builder->used - start);
        memcpy(table + __builtin_offsetof(struct header, length), &length, sizeof(length));
        uint8_t *sum = table + __builtin_offsetof(struct header, checksum);
        *sum = 0;
        *sum = checksum(table, length);
    }
    return builder->base + (uint32_t)start;
}

static uint32_t build_facs(struct builder *builder)
{
    struct facs facs = {.signature = {'F', 'A', 'C', 'S'}, .length = sizeof(facs)};
    size_t start = align(builder);
    append(builder, &facs, sizeof(facs));
    return builder->base + (uint32_t)start; // no checksum in this one
}

static uint32_t build_dsdt(struct builder *builder)
{
    struct header header = make_header("DSDT", 2);
    size_t start = align(builder);
    append(builder, &header, sizeof(header));
    append(builder, dsdt_code, sizeof(dsdt_code));
    return finish(builder, start);
}

static struct address io_address(uint16_t port, uint8_t bits, uint8_t access)
{
    return (struct address){SPACE_IO, bits, 0, access, port};
}

static uint32_t build_fadt(struct builder *builder, uint32_t facs, uint32_t dsdt)
{
    const struct fadt fadt = {
        .header = make_header("FACP", 4),
        .facs = facs,
        .dsdt = dsdt,
        .profile = PROFILE_SERVER,
        .sci = ACPI_SCI_IRQ,
        .pm1a_event = ACPI_PM_BASE + PM1_STATUS,
        .pm1a_control = ACPI_PM_BASE + PM1_CONTROL,
        .pm_timer = ACPI_PM_BASE + PM_TIMER,
        .pm1_event_length = 4,
        .pm1_control_length = 2,
        .pm_timer_length = 4,
        .c2_latency = NO_C2_LATENCY,
        .c3_latency = NO_C3_LATENCY,
        .century = CMOS_CENTURY,
        .boot_architecture = BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_MSI | BOOT_NO_ASPM,
        .flags = FLAG_WBINVD | FLAG_C1 | FLAG_SLEEP_BUTTON | FLAG_FIX_RTC | FLAG_TIMER_32 |
                 FLAG_RESET | FLAG_HEADLESS,
        .reset = io_address(RESET_PORT, 8, ACCESS_BYTE),
        .reset_value = RESET_VALUE,
        .x_dsdt = dsdt,
        .x_pm1a_event = io_address(ACPI_PM_BASE + PM1_STATUS, 32, ACCESS_WORD),
        .x_pm1a_control = io_address(ACPI_PM_BASE + PM1_CONTROL, 16, ACCESS_WORD),
        .x_pm_timer = io_address(ACPI_PM_BASE + PM_TIMER, 32, ACCESS_DWORD),
    };
    size_t start = align(builder);
    append(builder, &fadt, sizeof(fadt));
    return finish(builder, start);
}

// The I/O APIC and how ISA interrupts reach it: IRQ 0 at input 2, the SCI level-triggered.
static void append_io_apic(struct builder *builder, const struct acpi_tables_config *config)
{
    const struct madt_io_apic io_apic = {
        .type = 1, .length = sizeof(io_apic), .address = config->io_apic_address};
    const struct madt_override timer = {
        .type = 2, .length = sizeof(timer), .source = 0, .interrupt = 2};
    const struct madt_override sci = {.type = 2,
                                      .length = sizeof(sci),
                                      .source = ACPI_SCI_IRQ,
                                      .interrupt = ACPI_SCI_IRQ,
                                      .flags = 0x0d}; // active high, level
    append(builder, &io_apic, sizeof(io_apic));
    append(builder, &timer, sizeof(timer));
    append(builder, &sci, sizeof(sci));
}

static uint32_t build_madt(struct builder *builder, const struct acpi_tables_config *config)
{
    const struct madt madt = {make_header("APIC", 3), LOCAL_APIC_ADDRESS, MADT_PCAT_COMPAT};
    size_t start = align(builder);
    append(builder, &madt, sizeof(madt));
    for (uint32_t i = 0; i < config->processors; i++) {
        struct madt_local_apic apic = {0, sizeof(apic), (uint8_t)i, (uint8_t)i, LOCAL_APIC_USABLE};
        append(builder, &apic, sizeof(apic));
    }
    if (config->io_apic_address != 0)
        append_io_apic(builder, config);
    return finish(builder, start);
}

// RSDT (entry_size 4) or XSDT (8).
static uint32_t build_root(struct builder *builder, const char *signature, size_t entry_size,
                           const uint32_t *tables, unsigned count)
{
    struct header header = make_header(signature, 1);
    size_t start = align(builder);
    append(builder, &header, sizeof(header));
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry = tables[i];
        append(builder, &entry, entry_size); // little-endian: the low bytes come first
    }
    return finish(builder, start);
}

static void fill_rsdp(struct builder *builder, uint32_t rsdt, uint32_t xsdt)
{
    struct rsdp rsdp = {
        .signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
        .oem = {'G', 'A', 'T', 'E', 'H', 'S'},
        .revision = 2,
        .rsdt = rsdt,
        .length = sizeof(rsdp),
        .xsdt = xsdt,
    };
    rsdp.checksum = checksum((const uint8_t *)&rsdp, 20);
    rsdp.extended_checksum = checksum((const uint8_t *)&rsdp, sizeof(rsdp));
    memcpy(builder->buffer, &rsdp, sizeof(rsdp));
}

enum status acpi_tables_build(uint8_t *buffer, size_t capacity, gpa_t address,
                              const struct acpi_tables_config *config, size_t *size)
{
    if (!is_aligned(address.value, TABLE_ALIGNMENT) ||
        !range_fits(address.value, ACPI_TABLES_MAXIMUM, 1ull << 32) ||
        config->processors > PROCESSORS_MAXIMUM)
        return STATUS_INVALID;
    if (capacity > ACPI_TABLES_MAXIMUM)
        capacity = ACPI_TABLES_MAXIMUM;
    struct builder builder = {buffer, capacity, 0, (uint32_t)address.value, false};
    const struct rsdp reserved = {.length = 0}; // filled in last
    append(&builder, &reserved, sizeof(reserved));
    uint32_t facs = build_facs(&builder);
    uint32_t dsdt = build_dsdt(&builder);
    uint32_t tables[2] = {build_fadt(&builder, facs, dsdt)};
    unsigned count = 1;
    if (config->processors > 0)
        tables[count++] = build_madt(&builder, config);
    uint32_t rsdt = build_root(&builder, "RSDT", 4, tables, count);
    uint32_t xsdt = build_root(&builder, "XSDT", 8, tables, count);
    if (builder.full)
        return STATUS_TOO_SMALL;
    fill_rsdp(&builder, rsdt, xsdt);
    *size = builder.used;
    return STATUS_OK;
}
