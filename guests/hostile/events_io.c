// SPDX-License-Identifier: MIT
// Events that reach devices: ports, strings, memory-mapped registers, IPIs, timers.
#include "guests/hostile/hostile.h"
#include "guests/library/machine.h"
#include "guests/library/guest.h"

#define LOCAL_APIC     0xfee00000u
#define ICR_LOW        0x300u
#define ICR_HIGH       0x310u
#define ICR_INIT       5u
#define STRING_MAXIMUM 24u

// Ports by which a guest ends its machine; the events that want that are event_end's.
static bool ends_machine(uint16_t port)
{
    return (port >= 0xf1 && port <= 0xf7) || (port >= 0x601 && port <= 0x605) || port == 0x64 ||
           port == 0x60 || (port >= 0xcf6 && port <= 0xcf9) || (port >= 0x8f && port <= 0x92) ||
           port == 0x8900 || (port >= 0x61 && port <= 0x63);
}

static uint16_t random_port(void)
{
    static const uint16_t known[] = {
        0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x40,   0x41,   0x42,   0x43,   0x61,  0x70,
        0x71,  0x80,  0xe0,  0xe4,  0x3f9, 0x3fa,  0x3fb,  0x3fc,  0x3fe,  0x3ff, 0x600,
        0x606, 0x608, 0x510, 0x511, 0xcfc, 0x2000, 0x200e, 0x2017, 0xffff,
    };
    uint16_t port;

    do {
        port = random_below(4) ? known[random_below(ARRAY_COUNT(known))] : (uint16_t)random_next();
    } while (ends_machine(port));
    return port;
}

void event_port(void)
{
    uint16_t port = random_port();
    uint64_t value = random_wild();

    switch (random_below(6)) {
    case 0:
        (void)port_in8(port);
        break;
    case 1:
        (void)port_in16(port);
        break;
    case 2:
        (void)port_in32(port);
        break;
    case 3:
        port_out16(port, (uint16_t)value);
        break;
    case 4:
        port_out32(port, (uint32_t)value);
        break;
    default:
        port_out8(port, (uint8_t)value);
        break;
    }
}

// Strings between a port and memory, a device's registers, or nothing mapped at all.
void event_port_string(void)
{
    uint16_t port = random_port();
    uint64_t count = random_below(STRING_MAXIMUM);
    uint64_t place =
        (uintptr_t)window_page(random_below(2) ? WINDOW_DATA : WINDOW_MMIO) + random_below(0x1ff0);

    window_map(WINDOW_MMIO, random_physical() >> 12 << 12 | ENTRY_DEVICE);
    window_map(WINDOW_MMIO + 1, random_below(2) ? 0 : random_physical() >> 12 << 12 | ENTRY_DEVICE);
    if (random_below(2)) {
        __asm__ volatile("std");
    }
    switch (random_below(6)) {
    case 0:
        __asm__ volatile("rep insb; cld" : "+D"(place), "+c"(count) : "d"(port) : "memory");
        break;
    case 1:
        __asm__ volatile("rep insw; cld" : "+D"(place), "+c"(count) : "d"(port) : "memory");
        break;
    case 2:
        __asm__ volatile("rep insl; cld" : "+D"(place), "+c"(count) : "d"(port) : "memory");
        break;
    case 3:
        __asm__ volatile("rep outsb; cld" : "+S"(place), "+c"(count) : "d"(port) : "memory");
        break;
    case 4:
        __asm__ volatile("rep outsw; cld" : "+S"(place), "+c"(count) : "d"(port) : "memory");
        break;
    default:
        __asm__ volatile("rep outsl; cld" : "+S"(place), "+c"(count) : "d"(port) : "memory");
        break;
    }
}

// Registers of the local APIC and the I/O APIC, all widths, and addresses without anything.
void event_device_memory(void)
{
    uint64_t address = random_physical();
    uint64_t value = random_wild();
    volatile uint8_t *place = window_page(WINDOW_MMIO) + (address & 0xfff);

    if ((address & ~0xfffull) == LOCAL_APIC && (address & 0xff0) == ICR_LOW) {
        return; // IPIs are event_ipi_flood's
    }
    window_map(WINDOW_MMIO, address >> 12 << 12 | ENTRY_DEVICE);
    window_map(WINDOW_MMIO + 1, random_physical() >> 12 << 12 | ENTRY_DEVICE);
    switch (random_below(8)) {
    case 0:
        (void)*place;
        break;
    case 1:
        (void)*(volatile uint16_t *)place;
        break;
    case 2:
        (void)*(volatile uint32_t *)place;
        break;
    case 3:
        (void)*(volatile uint64_t *)place;
        break;
    case 4:
        *place = (uint8_t)value;
        break;
    case 5:
        *(volatile uint16_t *)place = (uint16_t)value;
        break;
    case 6:
        *(volatile uint64_t *)place = value;
        break;
    default:
        *(volatile uint32_t *)place = (uint32_t)value;
        break;
    }
}

// Fixed, lowest priority, SMI, NMI, start-up and reserved modes to anybody; an INIT to itself would
// put the only processor to sleep.
void event_ipi_flood(void)
{
    volatile uint32_t *apic = (volatile uint32_t *)(uintptr_t)LOCAL_APIC;
    uint32_t count = 1 + random_below(16);

    __asm__ volatile("sti");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = (uint32_t)random_next() & 0xcffff;

        if ((low >> 8 & 7) == ICR_INIT) {
            low &= ~0x700u;
        }
        apic[ICR_HIGH / 4] = (uint32_t)random_next();
        apic[ICR_LOW / 4] = low;
    }
    __asm__ volatile("cli");
}

// Timers that fire while others are being set.
void event_timer(void)
{
    volatile uint32_t *apic = (volatile uint32_t *)(uintptr_t)LOCAL_APIC;

    apic[0x320 / 4] = (uint32_t)random_next() & 0x700ff;
    apic[0x3e0 / 4] = (uint32_t)random_next();
    apic[0x380 / 4] = (uint32_t)random_wild();
    port_out8(0x43, (uint8_t)random_next());
    port_out8((uint16_t)(0x40 + random_below(3)), (uint8_t)random_next());
    port_out8((uint16_t)(0x40 + random_below(3)), (uint8_t)random_next());
    __asm__ volatile("sti");
    for (uint32_t i = random_below(200); i > 0; i--) {
        __asm__ volatile("pause");
    }
    __asm__ volatile("cli");
    apic[0x320 / 4] = 0x10000;
}
