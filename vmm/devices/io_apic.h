// SPDX-License-Identifier: MIT
// The I/O APIC of 24 inputs: an index and a data register, a redirection entry per input, edge and
// level triggering with remote IRR. An input is high while its device asks; the polarity bit is
// kept and has no effect. Guarded like the whole platform: one thread at a time.
#pragma once

#include <stdint.h>
#include "vmm/devices/apic_bus.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

#define IO_APIC_ADDRESS 0xfec00000u // guest-physical
#define IO_APIC_BYTES   0x1000u
#define IO_APIC_PINS    24u

struct io_apic {
    struct device device;
    struct interrupt_controller controller; // inputs 0-23
    struct apic_eoi_listener listener;
    struct apic_bus *bus;
    uint64_t entry[IO_APIC_PINS];
    uint32_t lines; // input levels
    uint32_t index;
    uint32_t id;
};

// As after power-on, every input masked; sends to `bus` and hears its ends of interrupts.
void io_apic_init(struct io_apic *io_apic, struct apic_bus *bus);

// The vector that an edge at input `pin` sends; 0: masked, or level-triggered.
uint32_t io_apic_edge_vector(const struct io_apic *io_apic, unsigned pin);
