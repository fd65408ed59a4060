// SPDX-License-Identifier: MIT
// The bus between the local APICs and the I/O APIC: who an interrupt message is for, after the
// manual's "Determining IPI Destination". Filled while the platform is wired. Guarded like the
// whole platform: one thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/devices/local_apic.h"

#define APIC_BUS_PROCESSORS 8u

struct apic_message {
    uint32_t vector;
    uint32_t mode;        // APIC_MODE_*
    uint32_t destination; // APIC ID or logical destination
    bool logical;
    bool wide; // the destination is one of 32 bits, from an x2APIC
    bool level;
};

// Told about the end of level-triggered interrupts.
struct apic_eoi_listener {
    void (*end_of_interrupt)(struct apic_eoi_listener *listener, uint32_t vector);
};

struct apic_bus {
    struct local_apic *apic[APIC_BUS_PROCESSORS];
    uint32_t count;
    uint32_t wake;        // processors whose attention rose; the monitor clears it
    uint32_t round_robin; // who got the last lowest-priority message
    struct apic_eoi_listener *listener;
};

void apic_bus_init(struct apic_bus *bus);

// Sends a message to all local APICs that it is for. True when one took it anew (see
// local_apic_accept).
bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message);

// Delivers to one local APIC, whatever the destination says.
bool apic_bus_deliver(struct local_apic *apic, const struct apic_message *message);

// The IPI that the interrupt command register of `from` describes.
void apic_bus_send_ipi(struct apic_bus *bus, struct local_apic *from, uint32_t low, uint32_t high);

// Broadcasts the end of a level-triggered interrupt.
static inline void apic_bus_end_of_interrupt(struct apic_bus *bus, uint32_t vector)
{
    if (bus->listener)
        bus->listener->end_of_interrupt(bus->listener, vector);
}
