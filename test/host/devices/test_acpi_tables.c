// SPDX-License-Identifier: MIT
// The ACPI tables: walked as an operating system does, held against the ACPI compiler where it is
// installed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "vmm/devices/acpi_tables.h"

#define ADDRESS 0xe0000u

static uint8_t buffer[ACPI_TABLES_MAXIMUM + 64];

static size_t build(uint32_t processors, uint32_t io_apic)
{
    const struct acpi_tables_config config = {processors, io_apic};
    size_t size = 0;
    memset(buffer, 0xcc, sizeof(buffer));
    assert_int_equal(acpi_tables_build(buffer, ACPI_TABLES_MAXIMUM, gpa(ADDRESS), &config, &size),
                     STATUS_OK);
    assert_in_range(size, 1, ACPI_TABLES_MAXIMUM);
    for (size_t i = size; i < sizeof(buffer); i++)
        assert_int_equal(buffer[i], 0xcc); // nothing beyond what it says
    return size;
}

static uint64_t field(const uint8_t *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = size; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}

static uint8_t sum(const uint8_t *at, size_t size)
{
    uint8_t total = 0;
    while (size-- > 0)
        total = (uint8_t)(total + *at++);
    return total;
}

// The table at guest-physical `address`: in bounds, right signature, checksum.
static const uint8_t *table_at(uint64_t address, const char *signature)
{
    assert_in_range(address, ADDRESS, ADDRESS + ACPI_TABLES_MAXIMUM - 36);
    const uint8_t *table = buffer + (address - ADDRESS);
    assert_memory_equal(table, signature, 4);
    uint64_t length = field(table + 4, 4);
    assert_in_range(length, 36, ACPI_TABLES_MAXIMUM - (address - ADDRESS));
    if (strcmp(signature, "FACS") != 0)
        assert_int_equal(sum(table, length), 0);
    return table;
}

// Entry `index` of the XSDT; the RSDT must agree.
static uint64_t root_entry(unsigned index, unsigned count)
{
    const uint8_t *rsdt = table_at(field(buffer + 16, 4), "RSDT");
    const uint8_t *xsdt = table_at(field(buffer + 24, 8), "XSDT");
    assert_int_equal(field(rsdt + 4, 4), 36 + 4 * count);
    assert_int_equal(field(xsdt + 4, 4), 36 + 8 * count);
    uint64_t entry = field(xsdt + 36 + 8 * index, 8);
    assert_int_equal(field(rsdt + 36 + 4 * index, 4), entry);
    return entry;
}

static void tables_hang_together(void **state)
{
    (void)state;
    build(0, 0);
    assert_memory_equal(buffer, "RSD PTR ", 8);
    assert_int_equal(sum(buffer, 20), 0);
    assert_int_equal(sum(buffer, 36), 0);
    const uint8_t *fadt = table_at(root_entry(0, 1), "FACP");
    table_at(field(fadt + 40, 4), "DSDT");
    assert_int_equal(field(fadt + 140, 8), field(fadt + 40, 4));
    uint64_t facs = field(fadt + 36, 4);
    table_at(facs, "FACS");
    assert_int_equal(facs % 64, 0);
    assert_int_equal(field(fadt + 46, 2), 9);     // SCI
    assert_int_equal(field(fadt + 48, 4), 0);     // no SMI command port
    assert_int_equal(field(fadt + 56, 4), 0x600); // PM1a event, control, timer
    assert_int_equal(field(fadt + 64, 4), 0x604);
    assert_int_equal(field(fadt + 76, 4), 0x608);
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(field(fadt + 109, 2) & 0x02, 0);      // no 8042 to look for
    assert_int_equal(field(fadt + 112, 4) & (1 << 20), 0); // not hardware-reduced
    assert_int_equal(field(fadt + 112, 4) >> 8 & 1, 1);    // 32-bit timer
    assert_int_equal(field(fadt + 116 + 4, 8), 0xcf9);     // reset register
    assert_int_equal(fadt[128], 0x06);
}

static void madt_lists_processors(void **state)
{
    (void)state;
    for (uint32_t processors = 1; processors <= 64; processors += 21) {
        build(processors, 0xfec00000);
        const uint8_t *madt = table_at(root_entry(1, 2), "APIC");
        uint64_t length = field(madt + 4, 4);
        uint32_t found = 0, io_apics = 0;
        for (uint64_t at = 44; at < length; at += madt[at + 1]) {
            assert_in_range(madt[at + 1], 2, length - at);
            if (madt[at] == 0)
                assert_int_equal(madt[at + 3], found++);
            io_apics += madt[at] == 1;
        }
        assert_int_equal(found, processors);
        assert_int_equal(io_apics, 1);
    }
}

static void refusals(void **state)
{
    (void)state;
    struct acpi_tables_config config = {0, 0};
    size_t size = build(0, 0);
    size_t unchanged = 77;
    for (size_t capacity = 0; capacity < size; capacity++)
        assert_int_equal(acpi_tables_build(buffer, capacity, gpa(ADDRESS), &config, &unchanged),
                         STATUS_TOO_SMALL);
    static const uint64_t addresses[] = {1, 16, 0xe0020, 1ull << 32, 0xfffffff40, UINT64_MAX - 63};
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++)
        assert_int_equal(
            acpi_tables_build(buffer, sizeof(buffer), gpa(addresses[i]), &config, &unchanged),
            STATUS_INVALID);
    config.processors = 65;
    assert_int_equal(acpi_tables_build(buffer, sizeof(buffer), gpa(ADDRESS), &config, &unchanged),
                     STATUS_INVALID);
    assert_int_equal(unchanged, 77);
}

// -- against the ACPI compiler ----------------------------------------------------------------

struct workshop {
    char folder[32];
};

static void run(const struct workshop *workshop, const char *command)
{
    char line[512];
    snprintf(line, sizeof(line), "cd %s && %s > log 2>&1", workshop->folder, command);
    assert_int_equal(system(line), 0);
}

static void save(const struct workshop *workshop, const char *name, const uint8_t *table)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", workshop->folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    size_t length = field(table + 4, 4);
    assert_int_equal(fwrite(table, 1, length, file), length);
    fclose(file);
}

static size_t load(const struct workshop *workshop, const char *name, uint8_t *bytes, size_t room)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", workshop->folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, room, file);
    fclose(file);
    return size;
}

static struct workshop open_workshop(void)
{
    struct workshop workshop = {"/tmp/acpi-test-XXXXXX"};
    if (system("command -v iasl > /dev/null 2>&1") != 0)
        skip();
    assert_non_null(mkdtemp(workshop.folder));
    return workshop;
}

static void close_workshop(const struct workshop *workshop)
{
    char line[64];
    snprintf(line, sizeof(line), "rm -r %s", workshop->folder);
    assert_int_equal(system(line), 0);
}

static void dsdt_is_what_the_compiler_makes(void **state)
{
    (void)state;
    struct workshop workshop = open_workshop();
    uint8_t compiled[256];
    run(&workshop, "iasl -p dsdt " DSDT_SOURCE);
    size_t size = load(&workshop, "dsdt.aml", compiled, sizeof(compiled));
    build(0, 0);
    const uint8_t *fadt = table_at(root_entry(0, 1), "FACP");
    const uint8_t *dsdt = table_at(field(fadt + 40, 4), "DSDT");
    assert_int_equal(field(dsdt + 4, 4), size);
    assert_memory_equal(dsdt + 36, compiled + 36, size - 36);
    close_workshop(&workshop);
}

// Every field that the disassembler shows must be one it knows, and the checksums right for it.
static void tables_disassemble_cleanly(void **state)
{
    (void)state;
    struct workshop workshop = open_workshop();
    char text[32768];
    build(2, 0xfec00000);
    const uint8_t *fadt = table_at(root_entry(0, 2), "FACP");
    save(&workshop, "facp.aml", fadt);
    save(&workshop, "apic.aml", table_at(root_entry(1, 2), "APIC"));
    save(&workshop, "facs.aml", table_at(field(fadt + 36, 4), "FACS"));
    save(&workshop, "dsdt.aml", table_at(field(fadt + 40, 4), "DSDT"));
    save(&workshop, "xsdt.aml", table_at(field(buffer + 24, 8), "XSDT"));
    static const char *const names[] = {"facp", "apic", "facs", "dsdt", "xsdt"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char command[64];
        snprintf(command, sizeof(command), "iasl -d %s.aml", names[i]);
        run(&workshop, command);
        snprintf(command, sizeof(command), "%s.dsl", names[i]);
        size_t size = load(&workshop, command, (uint8_t *)text, sizeof(text) - 1);
        text[size] = 0;
        assert_null(strstr(text, "Incorrect checksum"));
        assert_null(strstr(text, "Invalid"));
        assert_null(strstr(text, "Unknown"));
        size = load(&workshop, "log", (uint8_t *)text, sizeof(text) - 1);
        text[size] = 0;
        assert_null(strstr(text, "Warning"));
        assert_null(strstr(text, "Error"));
    }
    close_workshop(&workshop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_hang_together),
        cmocka_unit_test(madt_lists_processors),
        cmocka_unit_test(refusals),
        cmocka_unit_test(dsdt_is_what_the_compiler_makes),
        cmocka_unit_test(tables_disassemble_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
