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

// Takes the lock for a driver call, and gives it back with that call's result. User memory is
// never copied in between: an address space's lock comes before this one.
static void begin(void)
{
    lock_acquire(&serial_lock);
}

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

SYSTEM_CALL(sys_cons_buf_read)
{
    begin();
    int oldest = serial_console_read((unsigned)a);
    return end(oldest < 0 ? call_error(STATUS_EMPTY) : oldest);
}

// Enters or leaves the critical section: drains the UART, then changes the line's mask.
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

SYSTEM_CALL(sys_serial_intr_disable)
{
    return set_mask(a, true);
}

SYSTEM_CALL(sys_serial_intr_enable)
{
    return set_mask(a, false);
}
