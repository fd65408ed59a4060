// SPDX-License-Identifier: MIT
// Lock-step: the device owner's serial calls (kernel/core/calls_serial.c) with the 16550 and I/O
// APIC drivers behind them, and the specification of a serial port. A simulated UART answers the
// driver's port accesses, slow, dead or quick.
#include <string.h>
#include "arch/x86/paging/kernel_space.h"
#include "drivers/io_apic.h"
#include "drivers/serial.h"
#include "kernel/core/serial_port.h"
#include "kernel/core/system_calls.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/serial.h"

#define BASE 0x3f8
#define DEAD UINT32_MAX

static struct spec_serial spec;

// -- the UART -----------------------------------------------------------------------------------

static struct {
    uint8_t registers[8];
    uint8_t arrived[64];
    uint32_t arrived_count;
    uint32_t arrived_read;
    uint64_t busy;  // polls until the transmitter is free
    uint64_t speed; // polls that a character takes
    uint32_t in_fifo;
    struct spec_output sent;
} uart;

static uint8_t line_status(void)
{
    uint8_t status = uart.arrived_read < uart.arrived_count ? 0x01 : 0;

    if (uart.busy == 0) {
        return status | 0x60;
    }
    uart.busy -= uart.busy != DEAD;
    return status;
}

static uint8_t read_port(uint16_t port)
{
    switch (port) {
    case BASE:
        return uart.arrived[uart.arrived_read++];
    case BASE + 2:
        return 1; // no interrupt is pending
    case BASE + 5:
        return line_status();
    case BASE + 6:
        return 0x90; // what the loopback of the detection shows
    case BASE + 7:
        return uart.registers[7];
    default:
        return 0xff;
    }
}

static void write_port(uint16_t port, uint8_t value)
{
    if (port < BASE || port > BASE + 7) {
        return;
    }
    uart.registers[port - BASE] = value;
    if (port == BASE && (uart.registers[3] & 0x80) == 0) {
        uart.sent.bytes[uart.sent.count++] = value;
        uart.busy = uart.speed;
    }
}

// -- the I/O APIC: the driver selects a register and writes it ------------------------------------

static volatile uint32_t io_apic[8];

enum status kernel_space_map_device(hpa_t physical, uint64_t size, uint32_t permissions,
                                    enum memory_type type, const struct page_source *source,
                                    void **address)
{
    (void)physical;
    (void)size;
    (void)permissions;
    (void)type;
    (void)source;
    io_apic[4] = 23u << 16; // its version register: 24 pins
    *address = (void *)(uintptr_t)io_apic;
    return STATUS_OK;
}

static void check_mask(void)
{
    lockstep_equal("selected pin", io_apic[0], 0x10 + 2 * 4);
    lockstep_equal("masked", io_apic[4] >> 16 & 1, spec.inside);
    lockstep_equal("vector", io_apic[4] & 0xff, 0x40);
}

// -- driving --------------------------------------------------------------------------------------

typedef __typeof__(sys_cons_buf_read) system_call;

struct call {
    system_call *function;
    uint64_t argument;
    int64_t result;
};

static void do_call(void *argument)
{
    struct call *call = argument;

    call->result = call->function(0, call->argument, 0, 0, 0);
}

static int64_t make_call(system_call *function, uint64_t argument)
{
    struct call call = {.function = function, .argument = argument};

    host_on_cpu(0, do_call, &call);
    return call.result;
}

static enum status status_of(int64_t result)
{
    return result < 0 ? (enum status) - result : STATUS_OK;
}

static uint64_t any_wait(void)
{
    switch (lockstep_below(100)) {
    case 0:
        return DEAD;
    case 1:
        return SPEC_FLUSH_POLLS + SPEC_POLLS - 2 + lockstep_below(4);
    case 2:
    case 3:
        return SPEC_POLLS - 2 + lockstep_below(4);
    default:
        return lockstep_below(20);
    }
}

// New input, and a transmitter of some speed. What waits in the ring is sent at a usual one. Only
// putc polls, so that the number of polls counts for it; for all else it is free, or is not.
static struct spec_uart set_uart(bool polls)
{
    uart.arrived_count = lockstep_chance(40) ? lockstep_below(65) : 0;
    uart.arrived_read = 0;
    for (uint32_t i = 0; i < uart.arrived_count; i++) {
        uart.arrived[i] = (uint8_t)lockstep_random();
    }
    uart.busy = lockstep_chance(50) ? 0 : DEAD;
    uart.speed = lockstep_below(10);
    if (polls) {
        uart.busy = spec.transmit_count == 0 ? any_wait() : lockstep_below(3);
        uart.speed = spec.transmit_count == 0 && lockstep_chance(5) ? any_wait() : uart.speed;
    }
    uart.sent.count = 0;
    return (struct spec_uart){uart.arrived_count, uart.arrived, uart.busy, uart.speed};
}

static void check_sent(const struct spec_output *expected)
{
    lockstep_equal("bytes sent", uart.sent.count, expected->count);
    if (memcmp(uart.sent.bytes, expected->bytes, expected->count) != 0) {
        lockstep_fail("other bytes were sent than asked for");
    }
}

static void put_character(void)
{
    static struct spec_output expected;
    uint64_t c = lockstep_chance(20) ? '\n' : lockstep_below(260);
    struct spec_uart before = set_uart(true);
    int64_t result = make_call(sys_serial_putc, c);

    expected.count = 0;
    enum spec_rule rule = serial_putc_spec(&spec, &before, c, &spec, &expected);
    lockstep_same("putc", rule, status_of(result));
    if (rule == SPEC_ALLOWED) {
        lockstep_equal("putc", (uint64_t)result, c);
        check_sent(&expected);
    }
    lockstep_equal("read by putc", uart.arrived_read, 0);
}

static void read_character(void)
{
    uint8_t c = 0;
    int64_t result = make_call(sys_cons_buf_read, 0);

    lockstep_same("cons_buf_read", cons_buf_read_spec(&spec, &spec, &c), status_of(result));
    lockstep_equal("character", result >= 0 ? (uint64_t)result : 0, c);
}

static void change_section(bool disable)
{
    static struct spec_output expected;
    struct spec_uart before = set_uart(false);
    uint32_t masked_before = io_apic[4];
    int64_t result = make_call(disable ? sys_serial_intr_disable : sys_serial_intr_enable, 0);
    enum spec_rule rule;

    expected.count = 0;
    rule = disable ? serial_intr_disable_spec(&spec, &before, &spec, &expected)
                   : serial_intr_enable_spec(&spec, &before, &spec, &expected);
    lockstep_same("section", rule, status_of(result));
    check_sent(&expected);
    check_mask();
    if (rule != SPEC_ALLOWED) {
        lockstep_equal("read though refused", uart.arrived_read, 0);
        lockstep_equal("mask though refused", io_apic[4], masked_before);
    }
}

static void interrupt_port(void *unused)
{
    (void)unused;
    serial_port_interrupt(0);
}

static void interrupt(void)
{
    static struct spec_output expected;
    struct spec_uart before = set_uart(false);

    expected.count = 0;
    host_on_cpu(0, interrupt_port, NULL);
    serial_interrupt_spec(&spec, &before, &spec, &expected);
    lockstep_counted(SPEC_ALLOWED);
    check_sent(&expected);
}

static void transmit(void)
{
    static struct spec_output expected;
    static uint8_t bytes[3000];
    uint32_t count = lockstep_chance(90) ? lockstep_below(60) : lockstep_below(3000);
    uint32_t accepted = 0;
    struct spec_uart before = set_uart(false);

    for (uint32_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)lockstep_random();
    }
    expected.count = 0;
    size_t taken = serial_transmit(0, bytes, count);
    serial_transmit_spec(&spec, &before, bytes, count, &spec, &accepted, &expected);
    lockstep_counted(SPEC_ALLOWED);
    lockstep_equal("accepted", taken, accepted);
    check_sent(&expected);
}

static void step(void)
{
    switch (lockstep_below(8)) {
    case 0:
        put_character();
        break;
    case 1:
        change_section(true);
        break;
    case 2:
        change_section(false);
        break;
    case 3:
        transmit();
        break;
    case 4:
        interrupt();
        break;
    default:
        for (uint32_t i = lockstep_below(300) != 0 ? lockstep_below(5) : 700; i > 0; i--) {
            read_character();
        }
        break;
    }
    lockstep_equal("console ring", serial_console_count(0), spec.console_count);
    lockstep_equal("lost", (uint64_t)make_call(sys_serial_lost, 0), spec.dropped);
}

static void start(void)
{
    static struct acpi_information acpi;

    host_hooks.port_read = read_port;
    host_hooks.port_write = write_port;
    for (uint32_t i = 0; i < ACPI_ISA_IRQ_COUNT; i++) {
        acpi.isa_irqs[i].interrupt = i;
    }
    acpi.io_apic_count = 1;
    if (!serial_initialize(0) || io_apic_initialize(&acpi, NULL) != STATUS_OK) {
        lockstep_fail("no serial port");
    }
    serial_port_start(0);
    memset(&uart.sent, 0, sizeof(uart.sent));
    check_mask();
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_SERIAL};

    lockstep_begin(argc, argv, "serial, console, interrupt control", 100000);
    host_machine_start(1);
    start();
    while (lockstep_more()) {
        step();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
