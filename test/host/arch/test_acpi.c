// SPDX-License-Identifier: MIT
// Tests drivers/acpi.c on a made-up physical memory whose views are exactly sized heap blocks, so
// that ASan sees any read outside a view.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "drivers/acpi.h"

#define MEMORY_SIZE 0x140000u
#define XSDT        0x120000u
#define RSDT        0x121000u
#define MADT        0x122000u
#define OTHER       0x123000u

static uint8_t memory_bytes[MEMORY_SIZE];
static void *views[4096];
static unsigned view_count;

static const void *view(void *context, hpa_t physical, uint64_t size)
{
    (void)context;
    if (!range_fits(physical.value, size, MEMORY_SIZE) || view_count == 4096) {
        return NULL;
    }
    void *copy = malloc(size != 0 ? size : 1);
    memcpy(copy, memory_bytes + physical.value, size);
    views[view_count++] = copy;
    return copy;
}

static const struct acpi_memory memory = {view, NULL};

static int reset(void **state)
{
    (void)state;
    while (view_count != 0) {
        free(views[--view_count]);
    }
    memset(memory_bytes, 0, sizeof memory_bytes);
    return 0;
}

static void put32(uint32_t at, uint32_t value)
{
    memcpy(memory_bytes + at, &value, 4);
}

static void fix_sum(uint8_t *bytes, uint32_t size, uint32_t at)
{
    uint8_t sum = 0;
    bytes[at] = 0;
    for (uint32_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[at] = (uint8_t)-sum;
}

static void put_table(uint32_t at, const char *signature, uint32_t length)
{
    memcpy(memory_bytes + at, signature, 4);
    put32(at + 4, length);
    fix_sum(memory_bytes + at, length, 9);
}

static void make_rsdp(uint8_t *rsdp, uint8_t revision)
{
    memset(rsdp, 0, 36);
    static const char signature[8] = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '};
    memcpy(rsdp, signature, sizeof signature);
    uint32_t rsdt = RSDT, length = 36, xsdt = XSDT;
    rsdp[15] = revision;
    memcpy(rsdp + 16, &rsdt, 4);
    if (revision >= 2) {
        memcpy(rsdp + 20, &length, 4);
        memcpy(rsdp + 24, &xsdt, 4);
    }
    fix_sum(rsdp, 20, 8);
    fix_sum(rsdp, 36, 32);
}

static uint32_t madt_length;

static void madt_add(const void *entry, uint32_t size)
{
    memcpy(memory_bytes + MADT + madt_length, entry, size);
    madt_length += size;
}

static void make_tables(void)
{
    put32(MADT + 36, 0xfee00000);
    put32(MADT + 40, 1);
    madt_length = 44;
    madt_add((uint8_t[]){0, 8, 0, 0, 1, 0, 0, 0}, 8);
    madt_add((uint8_t[]){0, 8, 1, 5, 1, 0, 0, 0}, 8);
    madt_add((uint8_t[]){0, 8, 2, 6, 0, 0, 0, 0}, 8);                                 // disabled
    madt_add((uint8_t[]){9, 16, 0, 0, 0x34, 0x12, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}, 16); // x2APIC
    madt_add((uint8_t[]){1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
    madt_add((uint8_t[]){1, 12, 8, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0}, 12);
    madt_add((uint8_t[]){2, 10, 0, 0, 2, 0, 0, 0, 0, 0}, 10);
    madt_add((uint8_t[]){2, 10, 0, 9, 20, 0, 0, 0, 0xf, 0}, 10);
    madt_add((uint8_t[]){4, 6, 0xff, 0, 0, 1}, 6); // local APIC NMI: not ours
    put_table(MADT, "APIC", madt_length);
    put_table(OTHER, "FACP", 116);
    put32(XSDT + 36, OTHER);
    put32(XSDT + 44, MADT);
    put_table(XSDT, "XSDT", 52);
    put32(RSDT + 36, OTHER);
    put32(RSDT + 40, 0xfffff000); // not readable: skipped
    put32(RSDT + 44, MADT);
    put_table(RSDT, "RSDT", 48);
}

static enum status find_madt(const uint8_t *rsdp, uint32_t size)
{
    const uint8_t *table;
    uint32_t length;
    uint8_t *exact = malloc(size != 0 ? size : 1);
    memcpy(exact, rsdp, size);
    enum status status = acpi_find_table(&memory, exact, size, "APIC", &table, &length);
    free(exact);
    return status;
}

static void test_rsdp(void **state)
{
    (void)state;
    uint8_t rsdp[36];
    make_tables();
    make_rsdp(rsdp, 2);
    assert_int_equal(find_madt(rsdp, 0), STATUS_NOT_FOUND);
    assert_int_equal(find_madt(rsdp, 19), STATUS_NOT_FOUND);
    assert_int_equal(find_madt(rsdp, 36), STATUS_OK);
    put32(RSDT, 0); // from here on only the XSDT leads anywhere
    assert_int_equal(find_madt(rsdp, 36), STATUS_OK);
    assert_int_equal(find_madt(rsdp, 20), STATUS_NOT_FOUND); // no XSDT from an old copy
    rsdp[30]++;                                              // sum of the newer part
    assert_int_equal(find_madt(rsdp, 36), STATUS_NOT_FOUND);
    make_tables();
    assert_int_equal(find_madt(rsdp, 36), STATUS_OK); // by the RSDT again
    rsdp[9]++;
    assert_int_equal(find_madt(rsdp, 36), STATUS_NOT_FOUND);
}

static void test_find_table(void **state)
{
    (void)state;
    uint8_t rsdp[36];
    const uint8_t *table;
    uint32_t length;
    make_tables();
    for (uint8_t revision = 0; revision <= 2; revision += 2) {
        make_rsdp(rsdp, revision);
        assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_OK);
        assert_int_equal(length, madt_length);
        assert_int_equal(acpi_find_table(&memory, rsdp, 36, "HPET", &table, &length),
                         STATUS_NOT_FOUND);
    }
    memory_bytes[MADT + 50]++; // checksum
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_MALFORMED);
    put32(MADT + 4, 8); // shorter than a header
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_MALFORMED);
    put32(MADT + 4, 0xffffffff);
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_MALFORMED);
    put32(MADT + 4, MEMORY_SIZE); // runs out of memory
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_MALFORMED);
    memory_bytes[XSDT] = 'Y'; // falls back to the RSDT
    make_tables();
    memory_bytes[XSDT] = 'Y';
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_OK);
    memory_bytes[RSDT] = 'Y';
    assert_int_equal(acpi_find_table(&memory, rsdp, 36, "APIC", &table, &length), STATUS_NOT_FOUND);
}

static void test_madt(void **state)
{
    (void)state;
    struct acpi_information information;
    make_tables();
    assert_int_equal(acpi_parse_madt(memory_bytes + MADT, madt_length, &information), STATUS_OK);
    assert_int_equal(information.local_apic_address, 0xfee00000);
    assert_int_equal(information.io_apic_count, 2);
    assert_int_equal(information.cpu_count, 3); // the disabled one is none
    assert_int_equal(information.cpu_apic_ids[1], 5);
    assert_int_equal(information.cpu_apic_ids[2], 0x1234);
    assert_int_equal(information.io_apics[1].address, 0xfec01000);
    assert_int_equal(information.io_apics[1].first_interrupt, 24);
    assert_int_equal(information.isa_irqs[0].interrupt, 2);
    assert_false(information.isa_irqs[0].level);
    assert_int_equal(information.isa_irqs[9].interrupt, 20);
    assert_true(information.isa_irqs[9].level);
    assert_true(information.isa_irqs[9].active_low);
    assert_int_equal(information.isa_irqs[4].interrupt, 4);
    madt_add((uint8_t[]){5, 12, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 12);
    assert_int_equal(acpi_parse_madt(memory_bytes + MADT, madt_length, &information), STATUS_OK);
    assert_int_equal(information.local_apic_address, 1ull << 32);
}

static void test_bad_madt(void **state)
{
    (void)state;
    struct acpi_information information, before;
    make_tables();
    acpi_defaults(&information);
    before = information;
    assert_int_equal(acpi_parse_madt(memory_bytes + MADT, 43, &information), STATUS_MALFORMED);
    for (uint32_t entry = 44; entry < madt_length; entry += memory_bytes[MADT + entry + 1]) {
        uint8_t size = memory_bytes[MADT + entry + 1];
        static const uint8_t sizes[] = {0, 1, 200};
        for (unsigned i = 0; i < 3; i++) {
            memory_bytes[MADT + entry + 1] = sizes[i];
            assert_int_equal(acpi_parse_madt(memory_bytes + MADT, madt_length, &information),
                             STATUS_MALFORMED);
        }
        memory_bytes[MADT + entry + 1] = size;
    }
    assert_memory_equal(&information, &before, sizeof before);
    uint8_t *exact = malloc(madt_length);
    for (uint32_t length = 0; length <= madt_length; length++) { // any cut: no overrun
        memcpy(exact, memory_bytes + MADT, length);
        uint8_t *cut = malloc(length != 0 ? length : 1);
        memcpy(cut, exact, length);
        (void)!acpi_parse_madt(cut, length, &information);
        free(cut);
    }
    free(exact);
}

static void test_too_many(void **state)
{
    (void)state;
    struct acpi_information information;
    put32(MADT + 40, 0);
    madt_length = 44;
    for (unsigned i = 0; i < 70; i++) {
        madt_add((uint8_t[]){0, 8, 0, (uint8_t)i, 1, 0, 0, 0}, 8);
        madt_add((uint8_t[]){0, 8, 0, (uint8_t)(i / 2), 1, 0, 0, 0}, 8); // named twice
    }
    for (unsigned i = 0; i < 9; i++) {
        madt_add((uint8_t[]){1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0}, 12);
    }
    madt_add((uint8_t[]){2, 10, 0, 16, 2, 0, 0, 0, 0, 0}, 10);
    assert_int_equal(acpi_parse_madt(memory_bytes + MADT, madt_length, &information), STATUS_OK);
    assert_int_equal(information.io_apic_count, ACPI_IO_APIC_MAXIMUM);
    assert_int_equal(information.cpu_count, ACPI_CPU_MAXIMUM);
    assert_int_equal(information.cpu_left_out, 70 - ACPI_CPU_MAXIMUM);
    assert_int_equal(information.cpu_apic_ids[63], 63);
    assert_int_equal(information.isa_irqs[15].interrupt, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rsdp, reset, reset),
        cmocka_unit_test_setup_teardown(test_find_table, reset, reset),
        cmocka_unit_test_setup_teardown(test_madt, reset, reset),
        cmocka_unit_test_setup_teardown(test_bad_madt, reset, reset),
        cmocka_unit_test_setup_teardown(test_too_many, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
