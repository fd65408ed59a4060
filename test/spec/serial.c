// SPDX-License-Identifier: MIT
// A serial port (serial.h).
#include "test/spec/serial.h"
#include <string.h>

static void begin(const struct spec_serial *now, struct spec_serial *next)
{
    if (next != now) {
        *next = *now;
    }
}

static void take_in(struct spec_serial *serial, const struct spec_uart *uart)
{
    for (uint32_t i = 0; i < uart->arrived; i++) {
        if (serial->console_count == SPEC_CONSOLE) {
            memmove(serial->console, serial->console + 1, SPEC_CONSOLE - 1);
            serial->console_count--;
            serial->dropped++;
        }
        serial->console[serial->console_count++] = uart->characters[i];
    }
}

static void put_out(struct spec_serial *serial, uint32_t limit, struct spec_output *output)
{
    uint32_t count = serial->transmit_count < limit ? serial->transmit_count : limit;

    memcpy(output->bytes + output->count, serial->transmit, count);
    output->count += count;
    serial->transmit_count -= count;
    memmove(serial->transmit, serial->transmit + count, serial->transmit_count);
}

void serial_interrupt_spec(const struct spec_serial *now, const struct spec_uart *uart,
                           struct spec_serial *next, struct spec_output *output)
{
    begin(now, next);
    take_in(next, uart);
    if (uart->busy == 0) {
        put_out(next, SPEC_FIFO, output);
    }
}

enum spec_rule serial_putc_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                uint64_t c, struct spec_serial *next, struct spec_output *output)
{
    bool line_feed = c == '\n';
    bool waits = now->transmit_count != 0; // it goes first, and takes its own time

    if (c > UINT8_MAX) {
        return PUTC_CHARACTER;
    }
    if ((!waits && uart->busy >= SPEC_FLUSH_POLLS + SPEC_POLLS) ||
        ((waits || line_feed) && uart->busy_after_each >= SPEC_POLLS)) {
        return PUTC_ALIVE;
    }
    begin(now, next);
    put_out(next, SPEC_TRANSMIT, output);
    if (line_feed) {
        output->bytes[output->count++] = '\r';
    }
    output->bytes[output->count++] = (uint8_t)c;
    return SPEC_ALLOWED;
}

void serial_transmit_spec(const struct spec_serial *now, const struct spec_uart *uart,
                          const uint8_t *bytes, uint32_t count, struct spec_serial *next,
                          uint32_t *accepted, struct spec_output *output)
{
    uint32_t room = SPEC_TRANSMIT - now->transmit_count;

    begin(now, next);
    *accepted = count < room ? count : room;
    memcpy(next->transmit + next->transmit_count, bytes, *accepted);
    next->transmit_count += *accepted;
    if (uart->busy == 0) {
        put_out(next, SPEC_FIFO, output);
    }
}

enum spec_rule cons_buf_read_spec(const struct spec_serial *now, struct spec_serial *next,
                                  uint8_t *c)
{
    if (now->console_count == 0) {
        return CONSOLE_EMPTY;
    }
    begin(now, next);
    *c = next->console[0];
    memmove(next->console, next->console + 1, --next->console_count);
    return SPEC_ALLOWED;
}

static enum spec_rule change(const struct spec_serial *now, const struct spec_uart *uart,
                             bool inside, struct spec_serial *next, struct spec_output *output)
{
    if (now->inside == inside) {
        return inside ? INTR_OUTSIDE : INTR_INSIDE;
    }
    serial_interrupt_spec(now, uart, next, output);
    next->inside = inside;
    return SPEC_ALLOWED;
}

enum spec_rule serial_intr_disable_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                        struct spec_serial *next, struct spec_output *output)
{
    return change(now, uart, true, next, output);
}

enum spec_rule serial_intr_enable_spec(const struct spec_serial *now, const struct spec_uart *uart,
                                       struct spec_serial *next, struct spec_output *output)
{
    return change(now, uart, false, next, output);
}
