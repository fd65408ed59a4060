// SPDX-License-Identifier: MIT
// The specification of a serial port as the device owner has it: polled output, the console ring,
// the transmit ring, and the critical section in which its interrupt is masked.
#pragma once

#include "test/spec/rule.h"

#define SPEC_CONSOLE  511u // characters that the ring of 512 slots holds
#define SPEC_TRANSMIT 4095u
#define SPEC_POLLS    12800u
#define SPEC_FIFO     16u
// Before a character that is polled out, what is on its way gets the time of a whole FIFO.
#define SPEC_FLUSH_POLLS (SPEC_FIFO * SPEC_POLLS)

struct spec_serial {
    uint32_t console_count;
    uint8_t console[SPEC_CONSOLE]; // oldest first
    uint64_t dropped;              // characters that went because the ring was full
    uint32_t transmit_count;
    uint8_t transmit[SPEC_TRANSMIT];
    bool inside; // the section: the line is masked
};

// What the UART is like at the moment: characters that have arrived, and for how many polls the
// transmitter stays busy, now and after each character that it was given.
struct spec_uart {
    uint32_t arrived;
    const uint8_t *characters;
    uint64_t busy;
    uint64_t busy_after_each;
};

// What went out during a step.
struct spec_output {
    uint32_t count;
    uint8_t bytes[SPEC_TRANSMIT + 2];
};

// The port's interrupt: takes in what arrived; if the transmitter is free, gives it what waits.
void serial_interrupt_spec(const struct spec_serial *now, const struct spec_uart *uart,
                           struct spec_serial *next, struct spec_output *output);
enum spec_rule serial_putc_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                uint64_t c, struct spec_serial *next, struct spec_output *output);
// *accepted of the bytes now wait, or went out.
void serial_transmit_spec(const struct spec_serial *now, const struct spec_uart *uart,
                          const uint8_t *bytes, uint32_t count, struct spec_serial *next,
                          uint32_t *accepted, struct spec_output *output);
enum spec_rule cons_buf_read_spec(const struct spec_serial *now, struct spec_serial *next,
                                  uint8_t *c);
enum spec_rule serial_intr_disable_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                        struct spec_serial *next, struct spec_output *output);
enum spec_rule serial_intr_enable_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                       struct spec_serial *next, struct spec_output *output);
