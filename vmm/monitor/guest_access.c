// SPDX-License-Identifier: MIT
// An access is cut at the page boundary into at most two parts; all parts are translated before the
// first byte moves. A part is RAM or a device's. Translations are remembered, with the entries they
// rest on, because most exits come from the same few instructions.
#include "vmm/monitor/guest_access.h"
#include "kernel/lib/string.h"

#define RFLAGS_AC (1ull << 18)

#define PARTS_MAXIMUM 2u

struct part {
    gpa_t physical;
    uint8_t *host; // null: through guest_memory or the bus
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

static bool paging_is_same(const struct guest_paging *paging, const struct vcpu_page *page)
{
    return paging->cr3 == page->cr3 && paging->cr0 == page->cr0 && paging->cr4 == page->cr4 &&
           paging->efer == page->efer && !((paging->rflags ^ page->rflags) & RFLAGS_AC) &&
           paging->user == (emulate_cpl(page) == 3);
}

void guest_access_start(struct guest_access *access, const struct vcpu_page *page)
{
    const struct vm_exit *exit = &page->exit;

    if (!paging_is_same(&access->paging, page)) {
        access->paging = guest_paging_of(page);
        for (unsigned i = 0; i < GUEST_PAGE_USES; i++)
            access->walked[i].access = 0;
    }
    access->known.access = 0;
    if (exit->kind != EXIT_MEMORY || !exit->memory.gva_valid || exit->memory.in_page_walk ||
        exit->memory.fetch)
        return;
    access->known.linear = align_down(exit->memory.gva, PAGE_SIZE);
    access->known.physical = align_down(exit->memory.gpa, PAGE_SIZE);
    access->known.access = EMULATE_READ | (exit->memory.write ? EMULATE_WRITE : 0u);
}

static bool covers(const struct guest_page *page, uint64_t linear, uint32_t kind)
{
    return page->linear == linear && (kind & ~page->access) == 0;
}

static bool is_writable(const struct guest_memory *memory, uint64_t physical)
{
    for (unsigned i = 0; i < memory->count; i++) {
        if (physical - memory->range[i].start < memory->range[i].size)
            return !memory->range[i].read_only;
    }
    return false;
}

// Walks, and remembers.
static enum status walk_page(struct guest_access *access, uint64_t linear, gva_t address,
                             uint32_t kind, struct guest_page *page, struct emulate_fault *fault)
{
    gpa_t physical;
    enum status status;

    page->access = 0;
    status = guest_walk_traced(access->memory, &access->paging, address, kind, &physical, fault,
                               &page->trace);
    if (status != STATUS_OK)
        return status;
    page->linear = linear;
    page->physical = align_down(physical.value, PAGE_SIZE);
    page->host = guest_memory_pointer(access->memory, gpa(page->physical), PAGE_SIZE);
    if ((kind & EMULATE_WRITE) && !is_writable(access->memory, page->physical))
        page->host = NULL;
    page->access = kind;
    return STATUS_OK;
}

static enum guest_page_use use_of(uint32_t kind)
{
    if (kind & EMULATE_FETCH)
        return GUEST_PAGE_FETCH;
    return kind & EMULATE_WRITE ? GUEST_PAGE_WRITE : GUEST_PAGE_READ;
}

// Fills in `physical` and `host` of a part that begins at `address`.
static enum status translate(struct guest_access *access, gva_t address, uint32_t kind,
                             struct part *part, struct emulate_fault *fault)
{
    uint64_t linear = align_down(address.value, PAGE_SIZE);
    uint64_t offset = address.value & PAGE_MASK;
    struct guest_page *page = &access->known;

    if (!covers(page, linear, kind)) {
        page = &access->walked[use_of(kind)];
        if (!covers(page, linear, kind) || !guest_walk_holds(&page->trace)) {
            enum status status = walk_page(access, linear, address, kind, page, fault);

            if (status != STATUS_OK)
                return status;
        }
    }
    part->physical = gpa(page->physical | offset);
    part->host = page->host != NULL ? page->host + offset : NULL;
    return STATUS_OK;
}

static enum status locate(struct guest_access *access, gva_t address, uint32_t size, uint32_t kind,
                          struct parts *parts, struct emulate_fault *fault)
{
    uint32_t room = (uint32_t)(PAGE_SIZE - (address.value & PAGE_MASK));
    uint32_t first = size < room ? size : room;
    enum status status = translate(access, address, kind, &parts->part[0], fault);

    parts->count = 1;
    parts->part[0].size = first;
    if (LIKELY(first == size) || status != STATUS_OK)
        return status;
    parts->count = 2;
    parts->part[1].size = size - first;
    return translate(access, gva(address.value + first), kind, &parts->part[1], fault);
}

// A whole operand moves in one piece where it can; `size` is at most 16.
static void copy(void *to, const void *from, uint32_t size)
{
    if (size == 4)
        memcpy(to, from, 4);
    else if (size == 8)
        memcpy(to, from, 8);
    else if (size == 1)
        memcpy(to, from, 1);
    else if (size == 2)
        memcpy(to, from, 2);
    else
        memcpy(to, from, size);
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

        copy(bytes, &value, size);
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

        copy(&value, bytes, size);
        mmio_bus_write(access->mmio, part.physical, size, value);
        bytes += size;
        part.physical.value += size;
        part.size -= size;
    }
}

static enum status read_part(struct guest_access *access, struct part part, uint8_t *bytes,
                             uint32_t kind)
{
    if (LIKELY(part.host != NULL)) {
        copy(bytes, part.host, part.size);
        return STATUS_OK;
    }
    if (guest_memory_read(access->memory, part.physical, bytes, part.size) == STATUS_OK)
        return STATUS_OK;
    if (kind & EMULATE_FETCH)
        return STATUS_NOT_FOUND;
    device_read(access, part, bytes);
    return STATUS_OK;
}

static void write_part(struct guest_access *access, struct part part, const uint8_t *bytes)
{
    if (part.host != NULL) {
        copy(part.host, bytes, part.size);
        return;
    }
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
