// SPDX-License-Identifier: MIT
// The port bus and the memory-mapped bus: which device answers at which address. Width masking,
// splitting of accesses wider than a device, accesses that hang over an edge, and holes that read
// all ones are done once, here. Filled while the platform is wired, then only read; one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "vmm/devices/device.h"

// Widths that a region answers to, in bytes; they are the access sizes themselves, or-ed.
#define BUS_BYTE  1u
#define BUS_WORD  2u
#define BUS_DWORD 4u
#define BUS_QWORD 8u
// Answers only accesses of its own widths that begin inside it, never a part of a wider one.
#define BUS_WHOLE 16u

#define PORT_COUNT     65536u
#define PORT_REGIONS   32u
#define MMIO_REGIONS   16u
#define FLOATING(size) (UINT64_MAX >> (64 - 8 * (size))) // what a hole of 1-8 bytes reads

struct port_region {
    struct device *device;
    device_read_function *read; // the device's, or one for a device without
    device_write_function *write;
    uint16_t first;
    uint16_t last;
    uint16_t offset; // from a port to the device's register number, modulo 2^16
    uint8_t widths;  // BUS_*
};

struct port_bus {
    struct port_region region[PORT_REGIONS]; // region 0 is the hole
    unsigned count;
    uint8_t map[PORT_COUNT]; // port -> index into region[]
};

struct mmio_region {
    struct device *device;
    uint64_t start; // guest-physical
    uint64_t size;  // in bytes, up to 4 GiB
    uint8_t widths; // BUS_*
};

struct mmio_bus {
    struct mmio_region region[MMIO_REGIONS]; // by ascending start, none overlap
    unsigned count;
};

// Empties a bus: everything floats.
void port_bus_init(struct port_bus *bus);
void mmio_bus_init(struct mmio_bus *bus);

// Attaches `device` at ports [first, last]; port `first` is its register `reg`. STATUS_INVALID: no
// device, no width, last < first, or one of the ports is taken; STATUS_NO_MEMORY: no region left.
MUST_CHECK enum status port_bus_attach(struct port_bus *bus, struct device *device, uint16_t first,
                                       uint16_t last, uint16_t reg, unsigned widths);

// Attaches `device` at guest-physical [start, start + size); register 0 is at `start`. The same
// statuses; also STATUS_INVALID when the range wraps or is above 4 GiB long.
MUST_CHECK enum status mmio_bus_attach(struct mmio_bus *bus, struct device *device, gpa_t start,
                                       uint64_t size, unsigned widths);

// Takes `device` off the bus; nothing happens where it is not on it.
void mmio_bus_detach(struct mmio_bus *bus, const struct device *device);

// One IN of `size` bytes (1, 2, 4; anything else floats). Bits above the size are zero.
uint32_t port_bus_read(struct port_bus *bus, uint16_t port, unsigned size);

// One OUT of `size` bytes (1, 2, 4; anything else is lost). Bits above the size are ignored.
void port_bus_write(struct port_bus *bus, uint16_t port, unsigned size, uint32_t value);

static inline uint32_t port_register(const struct port_region *region, unsigned port)
{
    return (uint16_t)(region->offset + port);
}

// The same for one byte, which is what nearly every access is, in line.
static inline uint8_t port_bus_read_byte(struct port_bus *bus, unsigned port)
{
    const struct port_region *region = &bus->region[bus->map[port]];
    if (UNLIKELY(!(region->widths & BUS_BYTE)))
        return 0xff;
    return (uint8_t)region->read(region->device, port_register(region, port), 1);
}
static inline void port_bus_write_byte(struct port_bus *bus, unsigned port, uint8_t value)
{
    const struct port_region *region = &bus->region[bus->map[port]];
    if (LIKELY(region->widths & BUS_BYTE))
        region->write(region->device, port_register(region, port), 1, value);
}

// True when a device answers at `port`.
static inline bool port_bus_is_device(const struct port_bus *bus, uint16_t port)
{
    return bus->map[port] != 0;
}

// True when a device answers at guest-physical `address`.
bool mmio_bus_is_device(const struct mmio_bus *bus, gpa_t address);

// One access of `size` bytes (1, 2, 4 or 8) at `address`, aligned or not; holes float.
uint64_t mmio_bus_read(struct mmio_bus *bus, gpa_t address, unsigned size);
void mmio_bus_write(struct mmio_bus *bus, gpa_t address, unsigned size, uint64_t value);
