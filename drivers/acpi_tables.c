// SPDX-License-Identifier: MIT
// ACPI tables in this machine's memory; see acpi_tables.h. Boot only, one CPU, no lock.
#include "drivers/acpi_tables.h"
#include "arch/x86/paging/kernel_space.h"

// Firmware may keep its tables in memory that is no RAM of ours, so each gets a mapping.
static const void *view(void *context, hpa_t physical, uint64_t size)
{
    void *address;
    enum status status =
        kernel_space_map_device(physical, size, PAGE_READ, MEMORY_WRITE_BACK, context, &address);
    return status == STATUS_OK ? address : NULL;
}

enum status acpi_discover(const struct boot_information *boot, const struct page_source *source,
                          struct acpi_information *information)
{
    struct acpi_memory memory = {view, (void *)(uintptr_t)source};
    const uint8_t *table;
    uint32_t length;
    acpi_defaults(information);
    enum status status =
        acpi_find_table(&memory, boot->rsdp, boot->rsdp_size, "APIC", &table, &length);
    return status == STATUS_OK ? acpi_parse_madt(table, length, information) : status;
}
