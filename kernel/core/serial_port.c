// SPDX-License-Identifier: MIT
// Serial ports for the device owner (serial_port.h), over drivers/serial.
#include "kernel/core/serial_port.h"
#include "drivers/io_apic.h"
#include "drivers/serial.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/lock/ticket_lock.h"
#include "kernel/thread/thread.h"

struct serial_binding {
    struct thread *thread; // holds a reference; null: nobody
    uint64_t receive_bits;
    uint64_t transmit_bits;
    bool masked; // inside the critical section
};

static struct ticket_lock serial_lock;
static struct serial_binding bindings[SERIAL_PORT_COUNT]; // guarded by serial_lock

void serial_port_start(uint32_t apic_id)
{
    for (uint32_t port = 0; port < SERIAL_PORT_COUNT; port++) {
        unsigned irq = serial_isa_irq(port);

        if (!serial_present(port)) {
            continue;
        }
        if (io_apic_route_isa(irq, (uint8_t)(INTERRUPT_SERIAL_BASE + port), apic_id) != STATUS_OK ||
            io_apic_mask_isa(irq, false) != STATUS_OK) {
            log_line(LOG_WARNING, "COM%u: interrupt %u cannot be routed", port + 1, irq);
            continue;
        }
        serial_interrupts_on(port);
    }
}

// Moves bytes between the UART and its rings; returns the event bits due, under the lock.
static uint64_t poll_port(uint32_t port)
{
    unsigned happened = serial_interrupt(port);
    const struct serial_binding *binding = &bindings[port];

    return (happened & SERIAL_RECEIVED ? binding->receive_bits : 0) |
           (happened & SERIAL_HALF_SENT ? binding->transmit_bits : 0);
}

void serial_port_interrupt(uint32_t port)
{
    ticket_lock_acquire(&serial_lock);
    uint64_t bits = poll_port(port);
    struct thread *thread = bindings[port].thread;
    if (thread && bits) {
        thread_signal(thread, bits);
    }
    ticket_lock_release(&serial_lock);
}

static bool port_exists(uint64_t port)
{
    return port < SERIAL_PORT_COUNT && serial_present((unsigned)port);
}

enum status serial_port_bind(uint64_t port, uint32_t receive, uint32_t transmit)
{
    struct thread *thread = current_thread();

    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    thread_acquire(thread);
    ticket_lock_acquire(&serial_lock);
    struct serial_binding *binding = &bindings[port];
    struct thread *before = binding->thread;
    binding->thread = thread;
    binding->receive_bits = 1ull << receive;
    binding->transmit_bits = 1ull << transmit;
    bool waiting = serial_console_count((unsigned)port) > 0;
    ticket_lock_release(&serial_lock);
    if (before) {
        thread_release(before);
    }
    if (waiting) {
        thread_signal(thread, 1ull << receive);
    }
    return STATUS_OK;
}

enum status serial_port_putc(uint64_t port, uint8_t character)
{
    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    ticket_lock_acquire(&serial_lock);
    serial_flush((unsigned)port);
    int sent = serial_putc((unsigned)port, character);
    ticket_lock_release(&serial_lock);
    return sent < 0 ? STATUS_DEAD : STATUS_OK;
}

enum status serial_port_write(uint64_t port, const uint8_t *bytes, size_t *count)
{
    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    ticket_lock_acquire(&serial_lock);
    *count = serial_transmit((unsigned)port, bytes, *count);
    ticket_lock_release(&serial_lock);
    return STATUS_OK;
}

enum status serial_port_read(uint64_t port, uint8_t *bytes, size_t *count)
{
    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    ticket_lock_acquire(&serial_lock);
    *count = serial_read((unsigned)port, bytes, *count);
    ticket_lock_release(&serial_lock);
    return STATUS_OK;
}

enum status serial_port_pop(uint64_t port, uint8_t *character)
{
    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    ticket_lock_acquire(&serial_lock);
    int popped = serial_console_read((unsigned)port);
    ticket_lock_release(&serial_lock);
    if (popped < 0) {
        return STATUS_EMPTY;
    }
    *character = (uint8_t)popped;
    return STATUS_OK;
}

// Enters or leaves the critical section: drains the UART, then changes the line's mask.
static enum status set_mask(uint64_t port, bool masked)
{
    enum status status = STATUS_STATE;

    if (!port_exists(port)) {
        return STATUS_NOT_FOUND;
    }
    ticket_lock_acquire(&serial_lock);
    struct serial_binding *binding = &bindings[port];
    if (binding->masked != masked) {
        (void)poll_port((uint32_t)port);
        status = io_apic_mask_isa(serial_isa_irq((unsigned)port), masked);
        if (status == STATUS_OK) {
            binding->masked = masked;
        }
    }
    ticket_lock_release(&serial_lock);
    return status;
}

enum status serial_port_mask(uint64_t port)
{
    return set_mask(port, true);
}

enum status serial_port_unmask(uint64_t port)
{
    return set_mask(port, false);
}
