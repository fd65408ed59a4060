// SPDX-License-Identifier: MIT
// The 16550 UARTs COM1 (port 0) and COM2 (port 1): polled output, an interrupt-driven transmit ring
// and the console (receive) ring. The kernel's serial code calls it under the serial lock, with
// interrupts off; the panic path calls serial_putc and serial_flush without it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "drivers/ring.h"

#define SERIAL_PORT_COUNT     2u
#define SERIAL_CONSOLE_SLOTS  512u
#define SERIAL_TRANSMIT_SLOTS 4096u
#define SERIAL_PUTC_POLLS     12800u

// Bits returned by serial_interrupt.
#define SERIAL_RECEIVED  1u // the console ring is not empty and got something now
#define SERIAL_HALF_SENT 2u // the transmit ring fell below half

// Finds out whether the port exists (scratch register and loopback test) and sets it to 115200 8N1,
// FIFOs on, interrupts off. Returns whether there is a UART.
bool serial_initialize(unsigned port);

// True for the number of a port that exists. All calls below want such a number.
bool serial_present(unsigned port);
unsigned serial_isa_irq(unsigned port); // 4 for COM1, 3 for COM2

// PRIMITIVES serial_putc: waits at most SERIAL_PUTC_POLLS polls for the transmitter, sends LF as CR
// LF. Goes around the transmit ring: flush first where order matters. Returns c (0 to 255), or -1
// for a dead UART.
int serial_putc(unsigned port, uint8_t c);

// Queues bytes as they are for transmission; returns how many fitted.
size_t serial_transmit(unsigned port, const uint8_t *bytes, size_t count);

// Sends what the transmit ring holds, polled. For the end of a run and for panics; also right for
// an absent port.
void serial_flush(unsigned port);

// Pops at most `count` bytes of the console ring; returns how many.
size_t serial_read(unsigned port, uint8_t *bytes, size_t count);
int serial_console_read(unsigned port); // PRIMITIVES cons_buf_read: oldest character or -1
uint32_t serial_console_count(unsigned port);
uint64_t serial_console_lost(unsigned port); // characters that went because the ring was full

// Turns the receive interrupt on (the transmit interrupt follows the ring by itself).
void serial_interrupts_on(unsigned port);

// The port's interrupt handler: drains the receive FIFO into the console ring and refills the
// transmit FIFO. Also right to call without an interrupt, to poll. Returns SERIAL_* bits.
unsigned serial_interrupt(unsigned port);
