// SPDX-License-Identifier: MIT
// Dispatch of port and memory-mapped accesses to devices. See bus.h.
#include "vmm/devices/bus.h"

#include <stddef.h>
#include "kernel/lib/string.h"

#define BUS_WIDTHS (BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_QWORD)

void port_bus_init(struct port_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
    bus->count = 1;
}

static uint64_t read_floating(struct device *device, uint32_t reg, unsigned size)
{
    (void)device, (void)reg;
    return FLOATING(size);
}

static void write_lost(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)device, (void)reg, (void)size, (void)value;
}

enum status port_bus_attach(struct port_bus *bus, struct device *device, uint16_t first,
                            uint16_t last, uint16_t reg, unsigned widths)
{
    if (!device || last < first || !(widths & (BUS_BYTE | BUS_WORD | BUS_DWORD)) ||
        widths & ~(BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_WHOLE))
        return STATUS_INVALID;
    for (unsigned port = first; port <= last; port++)
        if (bus->map[port] != 0)
            return STATUS_INVALID;
    if (bus->count == PORT_REGIONS)
        return STATUS_NO_MEMORY;
    bus->region[bus->count] = (struct port_region){
        .device = device,
        .read = device->ops->read ? device->ops->read : read_floating,
        .write = device->ops->write ? device->ops->write : write_lost,
        .first = first,
        .last = last,
        .offset = (uint16_t)(reg - first),
        .widths = (uint8_t)widths,
    };
    memset(&bus->map[first], (int)bus->count, last - first + 1u);
    bus->count++;
    return STATUS_OK;
}

// True when the region takes an access of `size` bytes at `port` in one piece.
static inline bool takes(const struct port_region *region, unsigned port, unsigned size)
{
    unsigned reg = port_register(region, port);
    return region->widths & size && !(reg & (size - 1)) && port + size - 1 <= region->last;
}

static uint64_t device_read(struct device *device, uint32_t reg, unsigned size)
{
    if (!device->ops->read)
        return FLOATING(size);
    return device->ops->read(device, reg, size) & FLOATING(size);
}

static void device_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    if (device->ops->write)
        device->ops->write(device, reg, size, value & FLOATING(size));
}

// One piece of a wider access, split the way a PC's I/O bus does it: in halves.
static uint32_t read_part(struct port_bus *bus, unsigned port, unsigned size)
{
    if (port >= PORT_COUNT)
        return (uint32_t)FLOATING(size);
    const struct port_region *region = &bus->region[bus->map[port]];
    if (!(region->widths & BUS_WHOLE) && takes(region, port, size))
        return (uint32_t)(region->read(region->device, port_register(region, port), size) &
                          FLOATING(size));
    if (size == 1)
        return 0xff;
    unsigned half = size / 2;
    uint32_t low = read_part(bus, port, half); // first: reading may change a device
    return low | read_part(bus, port + half, half) << (8 * half);
}

static void write_part(struct port_bus *bus, unsigned port, unsigned size, uint32_t value)
{
    if (port >= PORT_COUNT)
        return;
    const struct port_region *region = &bus->region[bus->map[port]];
    if (!(region->widths & BUS_WHOLE) && takes(region, port, size)) {
        region->write(region->device, port_register(region, port), size, value & FLOATING(size));
    } else if (size > 1) {
        unsigned half = size / 2;
        write_part(bus, port, half, value);
        write_part(bus, port + half, half, value >> (8 * half));
    }
}

static inline bool is_port_size(unsigned size)
{
    return size == 1 || size == 2 || size == 4;
}

// True when nothing answers at any of the `size` ports from `port`.
static bool is_hole(const struct port_bus *bus, unsigned port, unsigned size)
{
    uint8_t taken = 0;
    for (unsigned i = port; i < port + size && i < PORT_COUNT; i++)
        taken |= bus->map[i];
    return taken == 0;
}

uint32_t port_bus_read(struct port_bus *bus, uint16_t port, unsigned size)
{
    const struct port_region *region = &bus->region[bus->map[port]];
    if (size == 1)
        return port_bus_read_byte(bus, port);
    if (!is_port_size(size))
        return UINT32_MAX;
    if (takes(region, port, size))
        return (uint32_t)(region->read(region->device, port_register(region, port), size) &
                          FLOATING(size));
    return is_hole(bus, port, size) ? (uint32_t)FLOATING(size) : read_part(bus, port, size);
}

void port_bus_write(struct port_bus *bus, uint16_t port, unsigned size, uint32_t value)
{
    const struct port_region *region = &bus->region[bus->map[port]];
    if (size == 1)
        port_bus_write_byte(bus, port, (uint8_t)value);
    else if (!is_port_size(size))
        return;
    else if (takes(region, port, size))
        region->write(region->device, port_register(region, port), size, value & FLOATING(size));
    else if (!is_hole(bus, port, size))
        write_part(bus, port, size, value);
}

void mmio_bus_init(struct mmio_bus *bus)
{
    memset(bus, 0, sizeof(*bus));
}

enum status mmio_bus_attach(struct mmio_bus *bus, struct device *device, gpa_t start, uint64_t size,
                            unsigned widths)
{
    if (!device || size == 0 || size > 1ull << 32 || !range_fits(start.value, size, UINT64_MAX) ||
        !(widths & BUS_WIDTHS) || widths & ~(BUS_WIDTHS | BUS_WHOLE))
        return STATUS_INVALID;
    unsigned place = 0;
    while (place < bus->count && bus->region[place].start < start.value)
        place++;
    if (place > 0 && start.value - bus->region[place - 1].start < bus->region[place - 1].size)
        return STATUS_INVALID;
    if (place < bus->count && bus->region[place].start - start.value < size)
        return STATUS_INVALID;
    if (bus->count == MMIO_REGIONS)
        return STATUS_NO_MEMORY;
    for (unsigned i = bus->count; i > place; i--)
        bus->region[i] = bus->region[i - 1];
    bus->region[place] = (struct mmio_region){device, start.value, size, (uint8_t)widths};
    bus->count++;
    return STATUS_OK;
}

void mmio_bus_detach(struct mmio_bus *bus, const struct device *device)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < bus->count; i++)
        if (bus->region[i].device != device)
            bus->region[kept++] = bus->region[i];
    bus->count = kept;
}

// The first region that ends above `address`, or null.
static const struct mmio_region *mmio_at_or_above(const struct mmio_bus *bus, uint64_t address)
{
    unsigned low = 0;
    unsigned high = bus->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct mmio_region *region = &bus->region[middle];
        if (address < region->start || address - region->start < region->size)
            high = middle;
        else
            low = middle + 1;
    }
    return low < bus->count ? &bus->region[low] : NULL;
}

// True when `region`, as mmio_at_or_above gives it, holds none of the `size` bytes at `address`.
static bool is_mmio_hole(const struct mmio_region *region, uint64_t address, unsigned size)
{
    return !region || (address < region->start && region->start - address >= size);
}

// True when the region takes an access of `size` bytes at `address` in one piece.
static bool mmio_takes(const struct mmio_region *region, uint64_t address, unsigned size)
{
    uint64_t reg = address - region->start;
    return address >= region->start && region->widths & size && !(reg & (size - 1)) &&
           size <= region->size - reg;
}

bool mmio_bus_is_device(const struct mmio_bus *bus, gpa_t address)
{
    return !is_mmio_hole(mmio_at_or_above(bus, address.value), address.value, 1);
}

// `part`: this is a piece of a wider access.
static uint64_t mmio_read(struct mmio_bus *bus, uint64_t address, unsigned size, bool part)
{
    const struct mmio_region *region = mmio_at_or_above(bus, address);
    if (is_mmio_hole(region, address, size))
        return UINT64_MAX >> (64 - 8 * size);
    if (mmio_takes(region, address, size) && !(part && region->widths & BUS_WHOLE))
        return device_read(region->device, (uint32_t)(address - region->start), size);
    if (size == 1)
        return 0xff; // inside a region that does not take single bytes
    unsigned half = size / 2;
    uint64_t low = mmio_read(bus, address, half, true);
    return low | mmio_read(bus, address + half, half, true) << (8 * half);
}

static void mmio_write(struct mmio_bus *bus, uint64_t address, unsigned size, uint64_t value,
                       bool part)
{
    const struct mmio_region *region = mmio_at_or_above(bus, address);
    if (is_mmio_hole(region, address, size))
        return;
    if (mmio_takes(region, address, size) && !(part && region->widths & BUS_WHOLE)) {
        device_write(region->device, (uint32_t)(address - region->start), size, value);
    } else if (size > 1) {
        unsigned half = size / 2;
        mmio_write(bus, address, half, value, true);
        mmio_write(bus, address + half, half, value >> (8 * half), true);
    }
}

uint64_t mmio_bus_read(struct mmio_bus *bus, gpa_t address, unsigned size)
{
    if (size != 1 && size != 2 && size != 4 && size != 8)
        return UINT64_MAX;
    return mmio_read(bus, address.value, size, false);
}

void mmio_bus_write(struct mmio_bus *bus, gpa_t address, unsigned size, uint64_t value)
{
    if (size == 1 || size == 2 || size == 4 || size == 8)
        mmio_write(bus, address.value, size, value, false);
}
