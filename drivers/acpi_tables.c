// SPDX-License-Identifier: MIT
// ACPI tables in this machine's memory; see acpi_tables.h. Boot only, one CPU, no lock.
#include "drivers/acpi_tables.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"

// True when the direct map shows all of [start, start + size).
static bool in_direct_map(uint64_t start, uint64_t size)
{
    uint64_t at = DIRECT_MAP_BASE + start;
    uint64_t end = at + size;
    while (at < end) {
        struct page_mapping mapping;
        if (page_table_translate(kernel_space(), at, &mapping) != STATUS_OK) {
            return false;
        }
        at = mapping.address + mapping.size;
    }
    return true;
}

static const void *view(void *context, hpa_t physical, uint64_t size)
{
    const struct page_source *source = context;
    void *address;
    if (!range_fits(physical.value, size, kernel_space()->physical_limit)) {
        return NULL;
    }
    if (in_direct_map(physical.value, size)) {
        return direct_map(physical);
    }
    enum status status =
        kernel_space_map_device(physical, size, PAGE_READ, MEMORY_WRITE_BACK, source, &address);
    return status == STATUS_OK ? address : NULL;
}

enum status acpi_discover(const struct boot_information *boot, const struct page_source *source,
                          struct acpi_information *information)
{
    struct acpi_memory memory = {view, (void *)(uintptr_t)source};
    uint8_t rsdp[BOOT_RSDP_SIZE];
    const uint8_t *table;
    uint32_t length;
    acpi_defaults(information);
    enum status status = acpi_find_rsdp(&memory, boot->rsdp, boot->rsdp_size, rsdp);
    if (status == STATUS_OK) {
        status = acpi_find_table(&memory, rsdp, "APIC", &table, &length);
    }
    return status == STATUS_OK ? acpi_parse_madt(table, length, information) : status;
}
