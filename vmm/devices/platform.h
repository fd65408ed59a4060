// SPDX-License-Identifier: MIT
// The whole machine around the processors: all devices, both buses and the clock, wired in one
// list (platform.c). The monitor owns one per VM and is its only caller; one thread at a time.
// It contains no pointers to itself that survive a copy: initialise it where it stays.
//
// Use: platform_init once; at each exit platform_set_time with the exit's TSC, then the access;
// before each entry platform_run_timers, and inject while platform_interrupt_pending.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "vmm/devices/acpi_pm.h"
#include "vmm/devices/apic_bus.h"
#include "vmm/devices/bus.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/pci_host.h"
#include "vmm/devices/io_apic.h"
#include "vmm/devices/keyboard_controller.h"
#include "vmm/devices/local_apic.h"
#include "vmm/devices/machine_control.h"
#include "vmm/devices/pic.h"
#include "vmm/devices/pit.h"
#include "vmm/devices/rtc.h"
#include "vmm/devices/test_device.h"
#include "vmm/devices/test_ports.h"
#include "vmm/devices/uart.h"

#define UART_COM1_PORT 0x3f8u
#define UART_COM1_IRQ  4u

struct platform_config {
    uint64_t tsc;             // host TSC that is nanosecond 0 of the machine
    uint64_t tsc_hz;          // ticks per second
    int64_t start_time;       // real-time clock at the start, seconds since 1970-01-01 UTC
    uint64_t memory_bytes;    // guest RAM, for the CMOS memory-size bytes
    uint32_t processors;      // with local APICs and an I/O APIC; 0: one processor at the PIC
    uint32_t ticks_per_count; // processors > 0: TSC ticks in one of the local APICs' timers
    unsigned physical_bits;   // processors > 0: of guest-physical addresses
    void *context;            // handed to the functions below
    void (*console_output)(void *context, uint8_t byte); // from COM1 and port 0xe9
    int (*console_input)(void *context, bool take);      // next byte or -1; `take` removes it
};

// A processor with a local APIC, as the platform sees it.
struct platform_processor {
    struct local_apic apic;
    struct mmio_bus mmio; // what this processor finds in memory
};

struct platform {
    struct clock clock;
    struct machine_control control;
    struct uart uart;
    struct pic pic;
    struct pit pit;
    struct rtc rtc;
    struct keyboard_controller keyboard;
    struct test_ports test_ports;
    struct acpi_pm acpi_pm;
    struct mmio_bus mmio;            // without local APICs: what the processor finds in memory
    uint32_t processors;             // 0: no APICs
    struct interrupt_controller isa; // ISA interrupts, to the PIC and to the I/O APIC
    struct apic_bus apic_bus;
    struct io_apic io_apic;
    struct platform_processor processor[APIC_BUS_PROCESSORS];
    struct fw_cfg fw_cfg;
    struct pci_host pci;
    struct port_bus ports;          // it holds 64 KiB
    struct test_device test_device; // the same
};

// Wires and resets the machine. STATUS_INVALID: tsc_hz is out of range, a callback is missing, or
// there are more processors than APIC_BUS_PROCESSORS.
MUST_CHECK enum status platform_init(struct platform *platform,
                                     const struct platform_config *config);

// All devices to their power-on state, as a reset of the machine does. Time goes on, and typed
// bytes that the guest has not read yet stay.
void platform_reset(struct platform *platform);

// Now, in host TSC ticks: the exit's time. Values in the past are ignored.
static inline void platform_set_time(struct platform *platform, uint64_t tsc)
{
    clock_set(&platform->clock, tsc);
}

// The machine did not see `ticks` TSC ticks pass: it was paused.
static inline void platform_skip_time(struct platform *platform, uint64_t ticks)
{
    clock_skip(&platform->clock, ticks);
}

// Runs the device timers that are due; one compare when none is.
static inline void platform_run_timers(struct platform *platform)
{
    if (UNLIKELY(clock_is_due(&platform->clock)))
        clock_run(&platform->clock);
}

// Host TSC at which platform_run_timers has work; 0: no timer is armed.
static inline uint64_t platform_next_deadline(const struct platform *platform)
{
    uint64_t earliest = platform->clock.earliest_tsc;
    return earliest == CLOCK_NEVER ? 0 : earliest;
}

// IN and OUT of `size` bytes (1, 2 or 4). Holes read all ones.
static inline uint32_t platform_port_read(struct platform *platform, uint16_t port, unsigned size)
{
    return LIKELY(size == 1) ? port_bus_read_byte(&platform->ports, port)
                             : port_bus_read(&platform->ports, port, size);
}
static inline void platform_port_write(struct platform *platform, uint16_t port, unsigned size,
                                       uint32_t value)
{
    if (LIKELY(size == 1))
        port_bus_write_byte(&platform->ports, port, (uint8_t)value);
    else
        port_bus_write(&platform->ports, port, size, value);
}

// True when an interrupt waits for the processor.
static inline bool platform_interrupt_pending(const struct platform *platform)
{
    return pic_pending(&platform->pic);
}

// Acknowledges it and returns its vector: call only when it is being injected.
uint8_t platform_interrupt_acknowledge(struct platform *platform);

// The same for a processor with a local APIC: its own interrupts, and the PIC's where they pass.
static inline bool platform_processor_pending(const struct platform *platform,
                                              const struct local_apic *apic)
{
    return apic->attention != 0 ||
           (UNLIKELY(pic_pending(&platform->pic)) && local_apic_passes_pic(apic));
}

// Takes the interrupt that waits for the processor, the PIC's first: call only when it is being
// injected, and only for APIC_ATTENTION_VECTOR or the PIC.
uint8_t platform_processor_acknowledge(struct platform *platform, struct local_apic *apic);

// The same for `vector`, local_apic_next's and not 0, the PIC aside.
void platform_processor_take(struct platform *platform, struct local_apic *apic, uint32_t vector);

// IA32_APIC_BASE of a processor. False: #GP.
MUST_CHECK bool platform_set_apic_base(struct platform *platform, struct local_apic *apic,
                                       uint64_t value);

// The console source has bytes again.
static inline void platform_input_ready(struct platform *platform)
{
    uart_input_ready(&platform->uart);
}

// How the machine has ended; MACHINE_RUNS: it has not. *value: what came with it (test exit).
// Ask after each port access; platform_reset makes it run again.
static inline enum machine_end platform_ended(const struct platform *platform, uint32_t *value)
{
    *value = platform->control.value;
    return platform->control.end;
}
