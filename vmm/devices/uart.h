// SPDX-License-Identifier: MIT
// A 16550A UART after the PC16550D data sheet. The transmitter takes no time: a byte written is at
// the sink before the access returns. The receiver pulls bytes from a source, at the programmed
// line rate, and only while the guest is listening: IER.RDI is set, or LSR was read
// UART_POLLS times in a row. A FIFO reset hands unread bytes back, so nothing typed is lost.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/status.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

#define UART_FIFO  16u
#define UART_POLLS 3u

struct uart_host {
    void *context;
    // Takes a byte the guest transmitted.
    void (*transmit)(void *context, uint8_t byte);
    // The next byte typed to the guest, or -1 when there is none. `take`: remove it.
    int (*receive)(void *context, bool take);
};

struct uart {
    struct device device;
    struct interrupt_line irq;
    struct uart_host host;
    struct clock *clock;
    struct timer receive_timer;
    uint64_t receive_at; // nanoseconds: the line is idle again
    uint16_t divisor;
    uint8_t ier, lcr, mcr, scratch;
    uint8_t fcr;        // FIFO enable and trigger bits
    uint8_t errors;     // LSR error bits, cleared by reading LSR
    uint8_t msr_deltas; // MSR 3:0
    uint8_t polls;      // LSR reads in a row
    bool thr_empty;     // the transmitter-empty interrupt is pending
    bool from_loop;     // what rx holds came through the loopback
    uint8_t rx[UART_FIFO];
    uint8_t rx_head, rx_count;
    uint8_t held[UART_FIFO]; // handed back by a FIFO reset, goes in again first
    uint8_t held_count;
};

// Registers: 0-7 of the data sheet. STATUS_NO_MEMORY: the clock has no timer left.
MUST_CHECK enum status uart_init(struct uart *uart, struct clock *clock,
                                 const struct uart_host *host);

// The source has bytes again: delivers them if the guest is listening.
void uart_input_ready(struct uart *uart);
