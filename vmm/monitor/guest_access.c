// SPDX-License-Identifier: MIT
// An access is cut at the page boundary into at most two parts; all parts are translated before the
// first byte moves. A part is RAM or a device's.
#include "vmm/monitor/guest_access.h"
#include "kernel/lib/string.h"

#define PARTS_MAXIMUM 2u

struct part {
    gpa_t physical;
    uint32_t size; // bytes
};

struct parts {
    struct part part[PARTS_MAXIMUM];
    unsigned count;
};

void guest_access_init(struct guest_access *access, struct guest_memory *memory,
                       struct mmio_bus *mmio, struct port_bus *ports)
{
    *access = (struct guest_access){.memory = memory, .mmio = mmio, .ports = ports};
}

void guest_access_start(struct guest_access *access, const struct vcpu_page *page)
{
    const struct vm_exit *exit = &page->exit;

    access->paging = guest_paging_of(page);
    access->known_access = 0;
    if (exit->kind != EXIT_MEMORY || !exit->memory.gva_valid || exit->memory.in_page_walk ||
        exit->memory.fetch)
        return;
    access->known_linear = align_down(exit->memory.gva, PAGE_SIZE);
    access->known_physical = align_down(exit->memory.gpa, PAGE_SIZE);
    access->known_access = EMULATE_READ | (exit->memory.write ? EMULATE_WRITE : 0u);
}

static enum status translate(struct guest_access *access, gva_t address, uint32_t kind,
                             gpa_t *physical, struct emulate_fault *fault)
{
    if (align_down(address.value, PAGE_SIZE) == access->known_linear &&
        (kind & ~access->known_access) == 0) {
        *physical = gpa(access->known_physical | (address.value & PAGE_MASK));
        return STATUS_OK;
    }
    return guest_walk(access->memory, &access->paging, address, kind, physical, fault);
}

static enum status locate(struct guest_access *access, gva_t address, uint32_t size, uint32_t kind,
                          struct parts *parts, struct emulate_fault *fault)
{
    uint32_t room = (uint32_t)(PAGE_SIZE - (address.value & PAGE_MASK));
    uint32_t first = size < room ? size : room;
    enum status status;

    parts->count = 1;
    parts->part[0].size = first;
    status = translate(access, address, kind, &parts->part[0].physical, fault);
    if (status != STATUS_OK || first == size)
        return status;
    parts->count = 2;
    parts->part[1].size = size - first;
    return translate(access, gva(address.value + first), kind, &parts->part[1].physical, fault);
}

// Devices take 1, 2, 4 or 8 bytes: the largest of these that is left.
static unsigned device_size(uint32_t left)
{
    return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

static void device_read(struct guest_access *access, struct part part, uint8_t *bytes)
{
    while (part.size > 0) {
        unsigned size = device_size(part.size);
        uint64_t value = mmio_bus_read(access->mmio, part.physical, size);

        memcpy(bytes, &value, size);
        bytes += size;
        part.physical.value += size;
        part.size -= size;
    }
}

static void device_write(struct guest_access *access, struct part part, const uint8_t *bytes)
{
    while (part.size > 0) {
        unsigned size = device_size(part.size);
        uint64_t value = 0;

        memcpy(&value, bytes, size);
        mmio_bus_write(access->mmio, part.physical, size, value);
        bytes += size;
        part.physical.value += size;
        part.size -= size;
    }
}

static enum status read_part(struct guest_access *access, struct part part, uint8_t *bytes,
                             uint32_t kind)
{
    if (guest_memory_read(access->memory, part.physical, bytes, part.size) == STATUS_OK)
        return STATUS_OK;
    if (kind & EMULATE_FETCH)
        return STATUS_NOT_FOUND;
    device_read(access, part, bytes);
    return STATUS_OK;
}

static void write_part(struct guest_access *access, struct part part, const uint8_t *bytes)
{
    if (guest_memory_write(access->memory, part.physical, bytes, part.size) == STATUS_OK)
        return;
    if (guest_memory_covers(access->memory, part.physical, part.size))
        access->dropped_writes++;
    else
        device_write(access, part, bytes);
}

static enum status access_read(void *context, gva_t address, void *buffer, uint32_t size,
                               uint32_t kind, struct emulate_fault *fault)
{
    struct guest_access *access = context;
    uint8_t *bytes = buffer;
    struct parts parts;
    enum status status = locate(access, address, size, kind, &parts, fault);

    for (unsigned i = 0; status == STATUS_OK && i < parts.count; i++) {
        status = read_part(access, parts.part[i], bytes, kind);
        bytes += parts.part[i].size;
    }
    return status;
}

static enum status access_write(void *context, gva_t address, const void *buffer, uint32_t size,
                                struct emulate_fault *fault)
{
    struct guest_access *access = context;
    const uint8_t *bytes = buffer;
    struct parts parts;
    enum status status = locate(access, address, size, EMULATE_WRITE, &parts, fault);

    if (status != STATUS_OK)
        return status;
    for (unsigned i = 0; i < parts.count; i++) {
        write_part(access, parts.part[i], bytes);
        bytes += parts.part[i].size;
    }
    return STATUS_OK;
}

static enum status access_probe(void *context, gva_t address, uint32_t size, uint32_t kind,
                                struct emulate_fault *fault)
{
    struct parts parts;

    return locate(context, address, size, kind, &parts, fault);
}

static enum status access_port_in(void *context, uint16_t port, uint32_t size, uint32_t *value)
{
    struct guest_access *access = context;

    *value = port_bus_read(access->ports, port, size);
    return STATUS_OK;
}

static enum status access_port_out(void *context, uint16_t port, uint32_t size, uint32_t value)
{
    struct guest_access *access = context;

    port_bus_write(access->ports, port, size, value);
    return STATUS_OK;
}

const struct emulate_operations guest_access_operations = {
    .read = access_read,
    .write = access_write,
    .probe = access_probe,
    .port_in = access_port_in,
    .port_out = access_port_out,
};
