// SPDX-License-Identifier: MIT
// The I/O APIC, after the data sheet of the 82093AA: registers through an index, 24 inputs.
#include "vmm/devices/io_apic.h"

#include "kernel/lib/string.h"

#define SELECT 0x00u // register offsets
#define WINDOW 0x10u

#define INDEX_ID          0x00u
#define INDEX_VERSION     0x01u
#define INDEX_ARBITRATION 0x02u
#define INDEX_ENTRY       0x10u
#define VERSION           (0x11u | (IO_APIC_PINS - 1) << 16)

#define ENTRY_LOGICAL    (1u << 11)
#define ENTRY_STATUS     (1u << 12)
#define ENTRY_REMOTE_IRR (1u << 14)
#define ENTRY_LEVEL      (1u << 15)
#define ENTRY_MASKED     (1u << 16)
#define ENTRY_LOW        0x1afffu // writable bits of the low half
#define ENTRY_HIGH       0xff000000u

static bool is_high(const struct io_apic *io_apic, unsigned pin)
{
    return (io_apic->lines >> pin & 1) != 0;
}

static void send(struct io_apic *io_apic, unsigned pin)
{
    uint64_t entry = io_apic->entry[pin];
    const struct apic_message message = {
        .vector = entry & 0xff,
        .mode = (uint32_t)entry & APIC_MODE_MASK,
        .destination = (uint32_t)(entry >> 56),
        .logical = (entry & ENTRY_LOGICAL) != 0,
        .level = (entry & ENTRY_LEVEL) != 0,
    };
    if (message.level)
        io_apic->entry[pin] |= ENTRY_REMOTE_IRR;
    apic_bus_send(io_apic->bus, &message);
}

// A level-triggered input asks as long as it is high and nobody is serving it.
static void evaluate(struct io_apic *io_apic, unsigned pin)
{
    uint64_t entry = io_apic->entry[pin];
    if (is_high(io_apic, pin) &&
        (entry & (ENTRY_LEVEL | ENTRY_MASKED | ENTRY_REMOTE_IRR)) == ENTRY_LEVEL)
        send(io_apic, pin);
}

static void io_apic_set(struct interrupt_controller *controller, unsigned number, bool level)
{
    struct io_apic *io_apic = CONTAINER_OF(controller, struct io_apic, controller);
    if (number >= IO_APIC_PINS)
        return;
    bool rises = level && !is_high(io_apic, number);
    io_apic->lines = (io_apic->lines & ~(1u << number)) | (uint32_t)level << number;
    if (rises && !(io_apic->entry[number] & (ENTRY_LEVEL | ENTRY_MASKED)))
        send(io_apic, number);
    else
        evaluate(io_apic, number);
}

static bool io_apic_masked(const struct interrupt_controller *controller, unsigned number)
{
    const struct io_apic *io_apic = CONTAINER_OF(controller, const struct io_apic, controller);
    return number >= IO_APIC_PINS || (io_apic->entry[number] & ENTRY_MASKED) != 0;
}

uint32_t io_apic_edge_vector(const struct io_apic *io_apic, unsigned pin)
{
    uint64_t entry = io_apic->entry[pin];
    return entry & (ENTRY_LEVEL | ENTRY_MASKED) ? 0 : entry & 0xff;
}

static void end_of_interrupt(struct apic_eoi_listener *listener, uint32_t vector)
{
    struct io_apic *io_apic = CONTAINER_OF(listener, struct io_apic, listener);
    for (unsigned pin = 0; pin < IO_APIC_PINS; pin++) {
        uint64_t entry = io_apic->entry[pin];
        if ((entry & 0xff) != vector || !(entry & ENTRY_LEVEL))
            continue;
        io_apic->entry[pin] &= ~(uint64_t)ENTRY_REMOTE_IRR;
        evaluate(io_apic, pin);
    }
}

static uint32_t read_indexed(const struct io_apic *io_apic)
{
    uint32_t index = io_apic->index;
    switch (index) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return io_apic->id;
    case INDEX_VERSION:
        return VERSION;
    default:
        break;
    }
    if (index < INDEX_ENTRY || index >= INDEX_ENTRY + 2 * IO_APIC_PINS)
        return 0;
    return (uint32_t)(io_apic->entry[(index - INDEX_ENTRY) / 2] >> (index & 1 ? 32 : 0));
}

// Turning an input to edge-triggered forgets that somebody is serving it.
static void write_entry(struct io_apic *io_apic, unsigned pin, bool high, uint32_t value)
{
    uint64_t *entry = &io_apic->entry[pin];
    if (high) {
        *entry = (uint32_t)*entry | (uint64_t)(value & ENTRY_HIGH) << 32;
        return;
    }
    uint64_t kept = *entry & ((uint64_t)ENTRY_HIGH << 32 | ENTRY_REMOTE_IRR);
    *entry = kept | (value & ENTRY_LOW & ~ENTRY_STATUS);
    if (!(*entry & ENTRY_LEVEL))
        *entry &= ~(uint64_t)ENTRY_REMOTE_IRR;
    evaluate(io_apic, pin);
}

static void write_indexed(struct io_apic *io_apic, uint32_t value)
{
    uint32_t index = io_apic->index;
    if (index == INDEX_ID)
        io_apic->id = value & 0x0f000000;
    else if (index >= INDEX_ENTRY && index < INDEX_ENTRY + 2 * IO_APIC_PINS)
        write_entry(io_apic, (index - INDEX_ENTRY) / 2, index & 1, value);
}

static uint64_t io_apic_read(struct device *device, uint32_t reg, unsigned size)
{
    const struct io_apic *io_apic = CONTAINER_OF(device, const struct io_apic, device);
    (void)size;
    if (reg == SELECT)
        return io_apic->index;
    return reg == WINDOW ? read_indexed(io_apic) : 0;
}

static void io_apic_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct io_apic *io_apic = CONTAINER_OF(device, struct io_apic, device);
    (void)size;
    if (reg == SELECT)
        io_apic->index = value & 0xff;
    else if (reg == WINDOW)
        write_indexed(io_apic, (uint32_t)value);
}

// The devices drive the lines: they stay.
static void io_apic_reset(struct device *device)
{
    struct io_apic *io_apic = CONTAINER_OF(device, struct io_apic, device);
    io_apic->index = io_apic->id = 0;
    for (unsigned pin = 0; pin < IO_APIC_PINS; pin++)
        io_apic->entry[pin] = ENTRY_MASKED;
}

static const struct device_ops io_apic_ops = {"io apic", io_apic_read, io_apic_write,
                                              io_apic_reset};
static const struct interrupt_controller_ops controller_ops = {io_apic_set, io_apic_masked};

void io_apic_init(struct io_apic *io_apic, struct apic_bus *bus)
{
    memset(io_apic, 0, sizeof(*io_apic));
    io_apic->device.ops = &io_apic_ops;
    io_apic->controller.ops = &controller_ops;
    io_apic->listener.end_of_interrupt = end_of_interrupt;
    io_apic->bus = bus;
    bus->listener = &io_apic->listener;
    io_apic_reset(&io_apic->device);
}
