// SPDX-License-Identifier: MIT
// The device owner's side of the serial ports: who is told of input and of room, and the critical
// section of PRIMITIVES.md. Guarded by one lock, the last in the order together with the log's.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Routes the ports' interrupts to this CPU and turns them on. The ports that exist were
// initialised.
void serial_port_start(uint32_t apic_id);

// The port's interrupt.
void serial_port_interrupt(uint32_t port);

// From now on input sets event bit `receive` of the running thread, and the transmit ring falling
// below half sets `transmit`. STATUS_NOT_FOUND: no such port (this is every call's first check).
MUST_CHECK enum status serial_port_bind(uint64_t port, uint32_t receive, uint32_t transmit);

// The primitives. putc: STATUS_DEAD when the UART does not take the character.
MUST_CHECK enum status serial_port_putc(uint64_t port, uint8_t character);
MUST_CHECK enum status serial_port_write(uint64_t port, const uint8_t *bytes, size_t *count);
MUST_CHECK enum status serial_port_read(uint64_t port, uint8_t *bytes, size_t *count);
MUST_CHECK enum status serial_port_pop(uint64_t port, uint8_t *character); // STATUS_EMPTY
MUST_CHECK enum status serial_port_mask(uint64_t port);   // STATUS_STATE: masked already
MUST_CHECK enum status serial_port_unmask(uint64_t port); // STATUS_STATE: not masked
