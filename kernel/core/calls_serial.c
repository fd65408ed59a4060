// SPDX-License-Identifier: MIT
// The serial ports: their interrupts, who is told of input and of room, and the device owner's
// system calls, the serial primitives of the kernel among them. One lock guards all of it.
#include "kernel/core/serial_port.h"
#include "drivers/io_apic.h"
#include "drivers/serial.h"
#include "kernel/core/calls.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/lock/lock.h"

#define CHUNK 512u // bytes moved at a time between user memory and a ring

struct serial_line {
    struct event_binding received;
    struct event_binding half_sent;
    bool masked; // inside the critical section
};

static struct lock serial_lock = LOCK_INITIAL(LOCK_SERIAL);
static struct serial_line lines[SERIAL_PORT_COUNT]; // guarded by serial_lock

void serial_port_start(uint32_t apic_id)
{
    for (uint32_t port = 0; port < SERIAL_PORT_COUNT; port++) {
        uint8_t vector = (uint8_t)(INTERRUPT_SERIAL_BASE + port);
        unsigned irq = serial_isa_irq(port);

        if (!serial_present(port)) {
            continue;
        }
        if (io_apic_route_isa(irq, vector, apic_id) != STATUS_OK ||
            io_apic_mask_isa(irq, false) != STATUS_OK) {
            log_line(LOG_WARNING, "COM%u: interrupt %u cannot be routed", port + 1, irq);
            continue;
        }
        serial_interrupts_on(port);
    }
}

void serial_port_interrupt(uint32_t port)
{
    lock_acquire(&serial_lock);
    unsigned happened = serial_interrupt(port);
    if (happened & SERIAL_RECEIVED) {
        event_send(&lines[port].received);
    }
    if (happened & SERIAL_HALF_SENT) {
        event_send(&lines[port].half_sent);
    }
    lock_release(&serial_lock);
}

/*@
  // A port and its line, and what a drain needs of its count.
  predicate line_usable{L}(integer port) =
    serial_usable(port) && io_apic_line_usable(serial_ports[port].isa_irq) &&
    serial_ports[port].console.dropped <= UINT64_MAX - SERIAL_FIFO_DEPTH * SERIAL_RECEIVE_LIMIT;
*/

// Takes the lock for a driver call, and gives it back with that call's result. User memory is
// never copied in between: an address space's lock comes before this one.
/*@
  requires lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last;
  ensures lock_held(&serial_lock);
*/
static void begin(void)
{
    lock_acquire(&serial_lock);
}

/*@
  requires lock_held(&serial_lock);
  terminates \true;
  assigns serial_lock.turn;
  ensures lock_free(&serial_lock) && \result == result;
*/
static int64_t end(int64_t result)
{
    lock_release(&serial_lock);
    return result;
}

SYSTEM_CALL(sys_serial_bind)
{
    if (b >= EVENT_BIT_LIMIT || c >= EVENT_BIT_LIMIT) {
        return call_error(STATUS_INVALID);
    }
    begin();
    event_bind(&lines[a].received, (uint32_t)b);
    event_bind(&lines[a].half_sent, (uint32_t)c);
    if (serial_console_count((unsigned)a) > 0) {
        event_send(&lines[a].received);
    }
    return end(0);
}

/*@
  requires a < SERIAL_PORT_COUNT && serial_usable(a) && lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last, serial_lock.turn, serial_ports[a].transmit.read,
    serial_ports[a].interrupts, port_state, port_seen;
  ensures serial_usable(a) && lock_free(&serial_lock);
  behavior no_byte:
    assumes b > UINT8_MAX;
    assigns \nothing;
    ensures \result == -(integer)STATUS_INVALID;
  behavior byte:
    assumes b <= UINT8_MAX;
    ensures \result == b || \result == -(integer)STATUS_DEAD;
  complete behaviors;
  disjoint behaviors;
*/
SYSTEM_CALL(sys_serial_putc)
{
    if (b > UINT8_MAX) {
        return call_error(STATUS_INVALID);
    }
    begin();
    serial_flush((unsigned)a);
    int sent = serial_putc((unsigned)a, (uint8_t)b);
    return end(sent < 0 ? call_error(STATUS_DEAD) : sent);
}

SYSTEM_CALL(sys_serial_write)
{
    uint8_t chunk[CHUNK];
    uint64_t done = 0;
    size_t wanted;
    size_t accepted = 0;
    enum status status = user_range_check(caller_space(), b, c, false);

    do {
        wanted = c - done < CHUNK ? c - done : CHUNK;
        if (status == STATUS_OK) {
            status = copy_from_user(caller_space(), chunk, b + done, wanted);
        }
        if (status != STATUS_OK) {
            return call_error(status);
        }
        begin();
        accepted = (size_t)end((int64_t)serial_transmit((unsigned)a, chunk, wanted));
        done += accepted;
    } while (accepted == wanted && done < c);
    return (int64_t)done;
}

SYSTEM_CALL(sys_serial_read)
{
    uint8_t chunk[CHUNK];
    size_t count = c < CHUNK ? c : CHUNK;
    enum status status = user_range_check(caller_space(), b, count, true);

    if (status == STATUS_OK) {
        begin();
        count = (size_t)end((int64_t)serial_read((unsigned)a, chunk, count));
        status = copy_to_user(caller_space(), b, chunk, count);
    }
    return call_result(status, count);
}

SYSTEM_CALL(sys_serial_lost)
{
    begin();
    return end((int64_t)serial_console_lost((unsigned)a));
}

/*@
  requires a < SERIAL_PORT_COUNT && serial_usable(a) && lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last, serial_lock.turn, serial_ports[a].console.read;
  ensures serial_usable(a) && lock_free(&serial_lock);
  behavior empty:
    assumes ring_length(&serial_ports[a].console) == 0;
    ensures \result == -(integer)STATUS_EMPTY;
    ensures serial_ports[a].console.read == \old(serial_ports[a].console.read);
  behavior some:
    assumes ring_length(&serial_ports[a].console) > 0;
    ensures \result == \old(ring_byte(&serial_ports[a].console, 0));
    ensures ring_length(&serial_ports[a].console) ==
      \old(ring_length(&serial_ports[a].console)) - 1;
    ensures ring_dropped{Pre, Post}(&serial_ports[a].console, 1);
  complete behaviors;
  disjoint behaviors;
*/
SYSTEM_CALL(sys_cons_buf_read)
{
    begin();
    int oldest = serial_console_read((unsigned)a);
    return end(oldest < 0 ? call_error(STATUS_EMPTY) : oldest);
}

/*@
  // Whether the critical section is to be entered, or left, by who is there already.
  predicate mask_refused{L}(integer port, boolean masked) =
    \at(lines[port].masked != 0, L) == masked;

  // Then the line is masked, or not, unless it is not routed.
  predicate mask_set{Before, After}(integer port, boolean masked, integer result) =
    result == 0 && \at(lines[port].masked != 0, After) == masked &&
    \at(io_apic_pin(serial_ports[port].isa_irq), After) ==
      (masked ? \at(io_apic_lines[serial_ports[port].isa_irq].entry, Before) | 0x10000 :
                \at(io_apic_lines[serial_ports[port].isa_irq].entry, Before) & ~0x10000u) ||
    result == -STATUS_INVALID &&
    \at(lines[port].masked, After) == \at(lines[port].masked, Before);
*/

// Enters or leaves the critical section: drains the UART, then changes the line's mask.
/*@
  requires port < SERIAL_PORT_COUNT && line_usable(port) && lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last, serial_lock.turn, lines[port].masked, serial_ports[port].console.read,
    serial_ports[port].console.write, serial_ports[port].console.dropped,
    serial_ports[port].console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1],
    serial_ports[port].transmit.read, serial_ports[port].interrupts, port_state, port_seen,
    io_apic_lines[serial_ports[port].isa_irq].entry, io_apic_state;
  ensures serial_usable(port) && lock_free(&serial_lock);
  behavior already:
    assumes mask_refused(port, masked != 0);
    ensures \result == -STATUS_STATE && lines[port].masked == \old(lines[port].masked);
    ensures port_state == \old(port_state) && io_apic_state == \old(io_apic_state);
    ensures serial_ports[port].console.read == \old(serial_ports[port].console.read) &&
      serial_ports[port].console.write == \old(serial_ports[port].console.write);
  behavior change:
    assumes !mask_refused(port, masked != 0);
    ensures ring_dropped{Pre, Post}(&serial_ports[port].console,
      serial_ports[port].console.dropped - \at(serial_ports[port].console.dropped, Pre));
    ensures mask_set{Pre, Post}(port, masked != 0, \result);
  complete behaviors;
  disjoint behaviors;
*/
static int64_t set_mask(uint64_t port, bool masked)
{
    begin();
    if (lines[port].masked == masked) {
        return end(call_error(STATUS_STATE));
    }
    (void)serial_interrupt((unsigned)port);
    enum status status = io_apic_mask_isa(serial_isa_irq((unsigned)port), masked);
    if (status == STATUS_OK) {
        lines[port].masked = masked;
    }
    return end(call_error(status));
}

/*@
  requires a < SERIAL_PORT_COUNT && line_usable(a) && lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last, serial_lock.turn, lines[a].masked, serial_ports[a].console.read,
    serial_ports[a].console.write, serial_ports[a].console.dropped,
    serial_ports[a].console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1],
    serial_ports[a].transmit.read, serial_ports[a].interrupts, port_state, port_seen,
    io_apic_lines[serial_ports[a].isa_irq].entry, io_apic_state;
  ensures serial_usable(a) && lock_free(&serial_lock);
  behavior already:
    assumes mask_refused(a, \true);
    ensures \result == -STATUS_STATE && lines[a].masked == \old(lines[a].masked);
    ensures port_state == \old(port_state) && io_apic_state == \old(io_apic_state);
    ensures serial_ports[a].console.read == \old(serial_ports[a].console.read) &&
      serial_ports[a].console.write == \old(serial_ports[a].console.write);
  behavior change:
    assumes !mask_refused(a, \true);
    ensures ring_dropped{Pre, Post}(&serial_ports[a].console,
      serial_ports[a].console.dropped - \at(serial_ports[a].console.dropped, Pre));
    ensures mask_set{Pre, Post}(a, \true, \result);
  complete behaviors;
  disjoint behaviors;
*/
SYSTEM_CALL(sys_serial_intr_disable)
{
    return set_mask(a, true);
}

/*@
  requires a < SERIAL_PORT_COUNT && line_usable(a) && lock_free(&serial_lock);
  terminates \true;
  assigns serial_lock.last, serial_lock.turn, lines[a].masked, serial_ports[a].console.read,
    serial_ports[a].console.write, serial_ports[a].console.dropped,
    serial_ports[a].console_slots[0 .. SERIAL_CONSOLE_SLOTS - 1],
    serial_ports[a].transmit.read, serial_ports[a].interrupts, port_state, port_seen,
    io_apic_lines[serial_ports[a].isa_irq].entry, io_apic_state;
  ensures serial_usable(a) && lock_free(&serial_lock);
  behavior already:
    assumes mask_refused(a, \false);
    ensures \result == -STATUS_STATE && lines[a].masked == \old(lines[a].masked);
    ensures port_state == \old(port_state) && io_apic_state == \old(io_apic_state);
    ensures serial_ports[a].console.read == \old(serial_ports[a].console.read) &&
      serial_ports[a].console.write == \old(serial_ports[a].console.write);
  behavior change:
    assumes !mask_refused(a, \false);
    ensures ring_dropped{Pre, Post}(&serial_ports[a].console,
      serial_ports[a].console.dropped - \at(serial_ports[a].console.dropped, Pre));
    ensures mask_set{Pre, Post}(a, \false, \result);
  complete behaviors;
  disjoint behaviors;
*/
SYSTEM_CALL(sys_serial_intr_enable)
{
    return set_mask(a, false);
}
