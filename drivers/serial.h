// SPDX-License-Identifier: MIT
// The 16550 UARTs COM1 (port 0) and COM2 (port 1): polled output, an interrupt-driven transmit ring
// and the console (receive) ring. The kernel's serial code calls it under the serial lock, with
// interrupts off; the panic path calls serial_putc and serial_flush without it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/registers.h"
#include "drivers/ring.h"

#define SERIAL_PORT_COUNT     2u
#define SERIAL_CONSOLE_SLOTS  512u
#define SERIAL_TRANSMIT_SLOTS 4096u
#define SERIAL_PUTC_POLLS     12800u

// Bits returned by serial_interrupt.
#define SERIAL_RECEIVED  1u // the console ring is not empty and got something now
#define SERIAL_HALF_SENT 2u // the transmit ring fell below half

// What one call of serial_interrupt takes of the UART at most.
#define SERIAL_FIFO_DEPTH    16u
#define SERIAL_RECEIVE_LIMIT 1024u // characters in a round

// For the driver, and for contracts.
struct serial_port {
    uint16_t base;
    uint8_t isa_irq;
    bool present;
    uint8_t interrupts; // what the interrupt enable register holds
    struct ring console;
    struct ring transmit;
    uint8_t console_slots[SERIAL_CONSOLE_SLOTS];
    uint8_t transmit_slots[SERIAL_TRANSMIT_SLOTS];
};
extern struct serial_port serial_ports[SERIAL_PORT_COUNT];

/*@
  predicate serial_wired{L}(integer port) =
    0 <= port < SERIAL_PORT_COUNT && 0x2f8 <= serial_ports[port].base <= 0x3f8 &&
    serial_ports[port].isa_irq < 16;

  // A port with its two rings.
  predicate serial_usable{L}(integer port) =
    serial_wired(port) && ring_valid(&serial_ports[port].console) &&
    ring_valid(&serial_ports[port].transmit) &&
    serial_ports[port].console.size == SERIAL_CONSOLE_SLOTS &&
    serial_ports[port].transmit.size == SERIAL_TRANSMIT_SLOTS &&
    serial_ports[port].console.slots == &serial_ports[port].console_slots[0] &&
    serial_ports[port].transmit.slots == &serial_ports[port].transmit_slots[0];

  // The character as it is sent: LF as CR LF.
  logic \list<integer> serial_sent(integer base, integer c) =
    c == 10 ? [| port_write(base, 13), port_write(base, 10) |] : [| port_write(base, c) |];
*/

// Finds out whether the port exists (scratch register and loopback test) and sets it to 115200 8N1,
// FIFOs on, interrupts off. Returns whether there is a UART.
bool serial_initialize(unsigned port);

// True for the number of a port that exists. All calls below want such a number.
bool serial_present(unsigned port);
/*@
  requires serial_wired(port);
  terminates \true;
  assigns \nothing;
  ensures \result == serial_ports[port].isa_irq;
*/
unsigned serial_isa_irq(unsigned port); // 4 for COM1, 3 for COM2

// PRIMITIVES serial_putc: waits at most SERIAL_PUTC_POLLS polls for the transmitter, sends LF as CR
// LF. Goes around the transmit ring: flush first where order matters. Returns c (0 to 255), or -1
// for a dead UART.
/*@
  requires serial_wired(port);
  terminates \true;
  assigns port_state, port_seen;
  ensures \result == c || \result == -1;
  ensures \result == c ==>
    port_writes == (\old(port_writes) ^ serial_sent(serial_ports[port].base, c));
  ensures \result == -1 ==> port_reads >= \old(port_reads) + SERIAL_PUTC_POLLS &&
    (port_writes == \old(port_writes) || c == 10 &&
     port_writes == (\old(port_writes) ^ [| port_write(serial_ports[port].base, 13) |]));
  ensures port_reads <= \old(port_reads) + (c == 10 ? 2 : 1) * SERIAL_PUTC_POLLS;
*/
int serial_putc(unsigned port, uint8_t c);

// Queues bytes as they are for transmission; returns how many fitted.
size_t serial_transmit(unsigned port, const uint8_t *bytes, size_t count);

// Sends what the transmit ring holds, polled. For the end of a run and for panics; also right for
// an absent port.
/*@
  requires serial_usable(port);
  terminates \true;
  assigns serial_ports[port].transmit.read, serial_ports[port].interrupts, port_state, port_seen;
  ensures serial_usable(port);
  ensures !serial_ports[port].present ==> port_writes == \old(port_writes) &&
    ring_length(&serial_ports[port].transmit) == \old(ring_length(&serial_ports[port].transmit));
*/
void serial_flush(unsigned port);

// Pops at most `count` bytes of the console ring; returns how many.
size_t serial_read(unsigned port, uint8_t *bytes, size_t count);

// PRIMITIVES cons_buf_read: pops the oldest character, or -1.
/*@
  requires serial_usable(port);
  terminates \true;
  assigns serial_ports[port].console.read;
  ensures serial_usable(port);
  behavior empty:
    assumes ring_length(&serial_ports[port].console) == 0;
    ensures \result == -1 &&
      serial_ports[port].console.read == \old(serial_ports[port].console.read);
  behavior some:
    assumes ring_length(&serial_ports[port].console) > 0;
    ensures \result == \old(ring_byte(&serial_ports[port].console, 0));
    ensures ring_length(&serial_ports[port].console) ==
      \old(ring_length(&serial_ports[port].console)) - 1;
    ensures ring_dropped{Old, Here}(&serial_ports[port].console, 1);
  complete behaviors;
  disjoint behaviors;
*/
int serial_console_read(unsigned port);
uint32_t serial_console_count(unsigned port);
uint64_t serial_console_lost(unsigned port); // characters that went because the ring was full

// Turns the receive interrupt on (the transmit interrupt follows the ring by itself).
void serial_interrupts_on(unsigned port);

// The port's interrupt handler: drains the receive FIFO into the console ring and refills the
// transmit FIFO. Also right to call without an interrupt, to poll. Returns SERIAL_* bits.
/*@
  requires serial_usable(port);
  requires serial_ports[port].console.dropped <=
    UINT64_MAX - SERIAL_FIFO_DEPTH * SERIAL_RECEIVE_LIMIT;
  terminates \true;
  assigns serial_ports[port].console.read, serial_ports[port].console.write,
    serial_ports[port].console.dropped, serial_ports[port].console_slots[0 .. 511],
    serial_ports[port].transmit.read, serial_ports[port].interrupts, port_state, port_seen;
  ensures serial_usable(port);
  // What was read stands at the end of what was there, of which the oldest may have gone.
  ensures serial_ports[port].console.dropped >= \old(serial_ports[port].console.dropped);
  ensures ring_dropped{Pre, Post}(&serial_ports[port].console,
    serial_ports[port].console.dropped - \at(serial_ports[port].console.dropped, Pre));
  ensures port_reads <= \old(port_reads) + SERIAL_FIFO_DEPTH * (2 * SERIAL_RECEIVE_LIMIT + 2);
*/
unsigned serial_interrupt(unsigned port);
