// SPDX-License-Identifier: MIT
// The 16550 driver; see serial.h. The kernel's serial lock guards each port's state; the panic path
// may break in, which at worst repeats or drops a character.
#include "drivers/serial.h"

// Register offsets and bits, as in the National Semiconductor PC16550D data sheet.
enum uart_register {
    UART_DATA = 0,             // divisor low with DLAB
    UART_INTERRUPT_ENABLE = 1, // divisor high with DLAB
    UART_FIFO_CONTROL = 2,
    UART_LINE_CONTROL = 3,
    UART_MODEM_CONTROL = 4,
    UART_LINE_STATUS = 5,
    UART_MODEM_STATUS = 6,
    UART_SCRATCH = 7,
};

#define INTERRUPT_RECEIVE  0x01
#define INTERRUPT_TRANSMIT 0x02
// Enabled, both cleared, receive trigger at one byte. At a higher trigger Bochs' time-out is not
// taken back when the FIFO has been emptied meanwhile: it then shows data where there is none, and
// the last byte would be read twice.
#define FIFO_ON_AND_CLEAR 0x07
#define LINE_8N1          0x03
#define LINE_DLAB         0x80
#define MODEM_READY       0x0b // DTR, RTS, OUT2 (lets the interrupt through)
#define MODEM_LOOP_TEST   0x1a // loopback with RTS and OUT2
#define MODEM_STATUS_ECHO 0x90 // what the loopback then shows: CTS and DCD
#define STATUS_DATA       0x01
#define STATUS_FREE       0x20 // transmit FIFO empty
#define STATUS_IDLE       0x40 // shift register empty too
#define STATUS_ABSENT     0xff

struct serial_port serial_ports[SERIAL_PORT_COUNT] = {
    {.base = 0x3f8, .isa_irq = 4},
    {.base = 0x2f8, .isa_irq = 3},
};

/*@
  requires \valid_read(port) && port->base <= 0x3f8 && index <= UART_SCRATCH;
  terminates \true;
  assigns port_state, port_seen;
  ensures port_reads == \old(port_reads) + 1 && port_writes == \old(port_writes);
  ensures \result == port_seen;
*/
static uint8_t uart_read(const struct serial_port *port, enum uart_register index)
{
    return port_read8((uint16_t)(port->base + index));
}

/*@
  requires \valid_read(port) && port->base <= 0x3f8 && index <= UART_SCRATCH;
  terminates \true;
  assigns port_state;
  ensures port_reads == \old(port_reads);
  ensures port_writes == (\old(port_writes) ^ [| port_write(port->base + index, value) |]);
*/
static void uart_write(const struct serial_port *port, enum uart_register index, uint8_t value)
{
    port_write8((uint16_t)(port->base + index), value);
}

static bool detect(const struct serial_port *port)
{
    uart_write(port, UART_SCRATCH, 0x5a);
    if (uart_read(port, UART_SCRATCH) != 0x5a) {
        return false;
    }
    uart_write(port, UART_MODEM_CONTROL, MODEM_LOOP_TEST);
    return (uart_read(port, UART_MODEM_STATUS) & 0xf0) == MODEM_STATUS_ECHO;
}

bool serial_initialize(unsigned number)
{
    struct serial_port *port = &serial_ports[number];
    ring_initialize(&port->console, port->console_slots, SERIAL_CONSOLE_SLOTS);
    ring_initialize(&port->transmit, port->transmit_slots, SERIAL_TRANSMIT_SLOTS);
    port->present = detect(port);
    if (!port->present) {
        return false;
    }
    port->interrupts = 0;
    uart_write(port, UART_INTERRUPT_ENABLE, 0);
    uart_write(port, UART_LINE_CONTROL, LINE_DLAB | LINE_8N1);
    uart_write(port, UART_DATA, 1); // divisor 1: 115200
    uart_write(port, UART_INTERRUPT_ENABLE, 0);
    uart_write(port, UART_LINE_CONTROL, LINE_8N1);
    uart_write(port, UART_FIFO_CONTROL, FIFO_ON_AND_CLEAR);
    uart_write(port, UART_MODEM_CONTROL, MODEM_READY);
    return true;
}

bool serial_present(unsigned number)
{
    return number < SERIAL_PORT_COUNT && serial_ports[number].present;
}

unsigned serial_isa_irq(unsigned number)
{
    return serial_ports[number].isa_irq;
}

// Waits until all bits of `mask` are set in the line status; false after `polls` polls.
/*@
  requires \valid_read(port) && port->base <= 0x3f8;
  terminates \true;
  assigns port_state, port_seen;
  ensures port_writes == \old(port_writes);
  ensures \result ==> (port_seen & mask) == mask && port_seen != STATUS_ABSENT &&
    \old(port_reads) <= port_reads <= \old(port_reads) + polls;
  ensures !\result ==> port_reads == \old(port_reads) + polls;
*/
static bool wait_for(const struct serial_port *port, uint8_t mask, unsigned polls)
{
    /*@
      loop invariant 0 <= i <= polls && port_reads == \at(port_reads, Pre) + i;
      loop invariant port_writes == \at(port_writes, Pre);
      loop assigns i, port_state, port_seen;
      loop variant polls - i;
    */
    for (unsigned i = 0; i < polls; i++) {
        uint8_t status = uart_read(port, UART_LINE_STATUS);
        if ((status & mask) == mask && status != STATUS_ABSENT) {
            return true;
        }
    }
    return false;
}

// Sends a byte once the line status says that there is room.
/*@
  requires \valid_read(port) && port->base <= 0x3f8;
  terminates \true;
  assigns port_state, port_seen;
  ensures \result ==> (port_seen & STATUS_FREE) == STATUS_FREE &&
    port_writes == (\old(port_writes) ^ [| port_write(port->base, byte) |]) &&
    \old(port_reads) <= port_reads <= \old(port_reads) + SERIAL_PUTC_POLLS;
  ensures !\result ==> port_writes == \old(port_writes) &&
    port_reads == \old(port_reads) + SERIAL_PUTC_POLLS;
*/
static bool send(const struct serial_port *port, uint8_t byte)
{
    if (!wait_for(port, STATUS_FREE, SERIAL_PUTC_POLLS)) {
        return false;
    }
    uart_write(port, UART_DATA, byte);
    return true;
}

int serial_putc(unsigned number, uint8_t c)
{
    const struct serial_port *port = &serial_ports[number];
    return (c != '\n' || send(port, '\r')) && send(port, c) ? c : -1;
}

/*@
  requires \valid(port) && port->base <= 0x3f8;
  terminates \true;
  assigns port->interrupts, port_state;
  ensures port->interrupts == interrupts && port_reads == \old(port_reads);
*/
static void set_interrupts(struct serial_port *port, uint8_t interrupts)
{
    if (port->interrupts != interrupts) {
        port->interrupts = interrupts;
        uart_write(port, UART_INTERRUPT_ENABLE, interrupts);
    }
}

// Fills the transmit FIFO, which the caller has seen empty.
/*@
  requires \valid(port) && port->base <= 0x3f8 && ring_valid(&port->transmit);
  terminates \true;
  assigns port->transmit.read, port_state;
  ensures ring_valid(&port->transmit) && port_reads == \old(port_reads);
  ensures \old(ring_length(&port->transmit)) <= SERIAL_FIFO_DEPTH ==>
    ring_length(&port->transmit) == 0;
  ensures \old(ring_length(&port->transmit)) > SERIAL_FIFO_DEPTH ==>
    ring_length(&port->transmit) == \old(ring_length(&port->transmit)) - SERIAL_FIFO_DEPTH;
*/
static void feed(struct serial_port *port)
{
    /*@
      loop invariant 0 <= i <= SERIAL_FIFO_DEPTH && ring_valid(&port->transmit);
      loop invariant ring_length(&port->transmit) == \at(ring_length(&port->transmit), Pre) - i;
      loop invariant port_reads == \at(port_reads, Pre);
      loop assigns i, port->transmit.read, port_state;
      loop variant SERIAL_FIFO_DEPTH - i;
    */
    for (unsigned i = 0; i < SERIAL_FIFO_DEPTH; i++) {
        int byte = ring_pop(&port->transmit);
        if (byte < 0) {
            return;
        }
        uart_write(port, UART_DATA, (uint8_t)byte);
    }
}

// Feeds the transmitter if it is free, and asks for its interrupt while anything is left.
/*@
  requires \valid(port) && port->base <= 0x3f8 && ring_valid(&port->transmit);
  terminates \true;
  assigns port->transmit.read, port->interrupts, port_state, port_seen;
  ensures ring_valid(&port->transmit);
  ensures port_reads <= \old(port_reads) + 1;
*/
static void push_on(struct serial_port *port)
{
    if (ring_count(&port->transmit) != 0 && uart_read(port, UART_LINE_STATUS) & STATUS_FREE) {
        feed(port);
    }
    uint8_t others = port->interrupts & (uint8_t)~INTERRUPT_TRANSMIT;
    bool more = ring_count(&port->transmit) != 0;
    set_interrupts(port, more ? others | INTERRUPT_TRANSMIT : others);
}

size_t serial_transmit(unsigned number, const uint8_t *bytes, size_t count)
{
    struct serial_port *port = &serial_ports[number];
    size_t accepted = 0;
    while (accepted < count && ring_push(&port->transmit, bytes[accepted])) {
        accepted++;
    }
    push_on(port);
    return accepted;
}

void serial_flush(unsigned number)
{
    struct serial_port *port = &serial_ports[number];
    if (!port->present) {
        return;
    }
    // The FIFO may be full at first, so the bound is that of a whole FIFO.
    // The variant is the ring's length.
    /*@
      loop invariant serial_usable(number);
      loop assigns port->transmit.read, port_state, port_seen;
      loop variant port->transmit.write - port->transmit.read +
        (port->transmit.write >= port->transmit.read ? 0 : port->transmit.size);
    */
    while (ring_count(&port->transmit) != 0) {
        if (!wait_for(port, STATUS_FREE, SERIAL_FIFO_DEPTH * SERIAL_PUTC_POLLS)) {
            return;
        }
        feed(port);
    }
    if (wait_for(port, STATUS_IDLE, SERIAL_FIFO_DEPTH * SERIAL_PUTC_POLLS)) {
        push_on(port);
        //@ assert serial_usable(number);
    }
}

int serial_console_read(unsigned number)
{
    return ring_pop(&serial_ports[number].console);
}

size_t serial_read(unsigned number, uint8_t *bytes, size_t count)
{
    size_t taken = 0;
    int byte;
    while (taken < count && (byte = serial_console_read(number)) >= 0) {
        bytes[taken++] = (uint8_t)byte;
    }
    return taken;
}

uint32_t serial_console_count(unsigned number)
{
    return ring_count(&serial_ports[number].console);
}

uint64_t serial_console_lost(unsigned number)
{
    return serial_ports[number].console.dropped;
}

void serial_interrupts_on(unsigned number)
{
    set_interrupts(&serial_ports[number], serial_ports[number].interrupts | INTERRUPT_RECEIVE);
}

// Moves what arrived into the console ring; true when there was anything.
/*@
  requires \valid(port) && port->base <= 0x3f8 && ring_valid(&port->console);
  requires port->console.size == SERIAL_CONSOLE_SLOTS;
  requires port->console.slots == &port->console_slots[0];
  requires port->console.dropped <= UINT64_MAX - SERIAL_RECEIVE_LIMIT;
  terminates \true;
  assigns port->console.read, port->console.write, port->console.dropped,
    port->console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1], port_state, port_seen;
  ensures ring_valid(&port->console);
  ensures 0 <= port->console.dropped - \old(port->console.dropped) <= SERIAL_RECEIVE_LIMIT;
  ensures ring_dropped{Pre, Post}(&port->console,
    port->console.dropped - \at(port->console.dropped, Pre));
  ensures ring_length(&port->console) >= \old(ring_length(&port->console));
  ensures !\result ==> ring_length(&port->console) == \old(ring_length(&port->console));
  ensures \result ==> ring_length(&port->console) > 0;
  ensures port_writes == \old(port_writes);
  ensures port_reads <= \old(port_reads) + 2 * SERIAL_RECEIVE_LIMIT;
*/
static bool drain(struct serial_port *port)
{
    unsigned taken = 0;
    /*@
      loop invariant 0 <= taken <= SERIAL_RECEIVE_LIMIT && ring_valid(&port->console);
      loop invariant 0 <= port->console.dropped - \at(port->console.dropped, Pre) <= taken;
      loop invariant ring_dropped{Pre, Here}(&port->console,
        port->console.dropped - \at(port->console.dropped, Pre));
      loop invariant ring_length(&port->console) >= \at(ring_length(&port->console), Pre);
      loop invariant taken == 0 ==>
        ring_length(&port->console) == \at(ring_length(&port->console), Pre);
      loop invariant taken > 0 ==> ring_length(&port->console) > 0;
      loop invariant port_writes == \at(port_writes, Pre);
      loop invariant port_reads == \at(port_reads, Pre) + 2 * taken;
      loop assigns taken, port->console.read, port->console.write, port->console.dropped,
        port->console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1], port_state, port_seen;
      loop variant SERIAL_RECEIVE_LIMIT - taken;
    */
    while (taken < SERIAL_RECEIVE_LIMIT) {
        uint8_t status = uart_read(port, UART_LINE_STATUS);
        if (status == STATUS_ABSENT || !(status & STATUS_DATA)) {
            break;
        }
        ring_push_over(&port->console, uart_read(port, UART_DATA));
        /*@ assert ring_dropped{LoopCurrent, Here}(&port->console,
              port->console.dropped - \at(port->console.dropped, LoopCurrent)); */
        taken++;
    }
    return taken != 0;
}

unsigned serial_interrupt(unsigned number)
{
    struct serial_port *port = &serial_ports[number];
    unsigned events = 0;
    // The line is edge-triggered: until the identification register reports nothing pending, no
    // new edge comes.
    /*@
      loop invariant 0 <= round <= SERIAL_FIFO_DEPTH && serial_usable(number);
      loop invariant 0 <= port->console.dropped - \at(serial_ports[number].console.dropped, Pre) <=
        round * SERIAL_RECEIVE_LIMIT;
      loop invariant ring_dropped{Pre, Here}(&serial_ports[number].console,
        port->console.dropped - \at(serial_ports[number].console.dropped, Pre));
      loop invariant ring_length(&serial_ports[number].console) >=
        \at(ring_length(&serial_ports[number].console), Pre);
      loop invariant port_reads <= \at(port_reads, Pre) + round * (2 * SERIAL_RECEIVE_LIMIT + 2);
      loop assigns round, events, port->console.read, port->console.write, port->console.dropped,
        port->console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1], port->transmit.read, port->interrupts,
        port_state, port_seen;
      loop variant SERIAL_FIFO_DEPTH - round;
    */
    for (unsigned round = 0; round < SERIAL_FIFO_DEPTH; round++) {
        bool above = ring_count(&port->transmit) >= SERIAL_TRANSMIT_SLOTS / 2;
        events |= drain(port) ? SERIAL_RECEIVED : 0;
        /*@ assert ring_dropped{Pre, Here}(&serial_ports[number].console,
              port->console.dropped - \at(serial_ports[number].console.dropped, Pre)); */
        //@ ghost Drained: ;
        push_on(port);
        /*@ assert \forall integer i; 0 <= i < SERIAL_CONSOLE_SLOTS ==>
              serial_ports[number].console_slots[i] ==
                \at(serial_ports[number].console_slots[i], Drained); */
        //@ assert ring_dropped{Drained, Here}(&serial_ports[number].console, 0);
        /*@ assert ring_dropped{Pre, Here}(&serial_ports[number].console,
              port->console.dropped - \at(serial_ports[number].console.dropped, Pre)); */
        bool below = ring_count(&port->transmit) < SERIAL_TRANSMIT_SLOTS / 2;
        events |= above && below ? SERIAL_HALF_SENT : 0;
        if (uart_read(port, UART_FIFO_CONTROL) & 1) { // read: interrupt identification
            break;
        }
    }
    return events;
}
