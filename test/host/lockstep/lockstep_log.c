// SPDX-License-Identifier: MIT
// Lock-step: the kernel's log of text (kernel/core/log.c), and its specification. What goes to the
// port is caught; the threads that may read it are two that run on CPU 0.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "drivers/serial.h"
#include "kernel/core/log.h"
#include "kernel/thread/thread.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/log.h"

#define LOG_PORT 1u
#define THREADS  2u

static struct spec_log spec = {.reader = SPEC_NONE};
static struct spec_log_output expected;
static struct thread threads[THREADS];

// -- the port -------------------------------------------------------------------------------------

static struct spec_log_output sent;

int serial_putc(unsigned number, uint8_t c)
{
    lockstep_equal("port", number, LOG_PORT);
    if (sent.count == sizeof(sent.bytes)) {
        lockstep_fail("more goes to the port than there is");
    }
    sent.bytes[sent.count++] = (char)c;
    return c;
}

void serial_flush(unsigned number)
{
    lockstep_equal("port", number, LOG_PORT);
    lockstep_equal("before anything is written", sent.count, 0);
}

static void check_sent(void)
{
    lockstep_equal("bytes sent", sent.count, expected.count);
    if (memcmp(sent.bytes, expected.bytes, sent.count) != 0) {
        lockstep_fail("other bytes were sent than were logged");
    }
    sent.count = expected.count = 0;
}

// The reader, and nobody else, is told.
static void check_told(uint64_t bits)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        lockstep_equal("events", threads[i].events, i == spec.reader ? bits : 0);
        threads[i].events = 0;
        lockstep_equal("references", threads[i].object.references, 1 + (i == spec.reader));
    }
}

// -- calls, on CPU 0 ------------------------------------------------------------------------------

static struct {
    enum log_level level;
    char text[600];
    char buffer[700];
    uint32_t size;
    uint32_t thread, bit;
    enum status status;
} order;

static void call_line(void *unused)
{
    (void)unused;
    log_line(order.level, "%s", order.text);
}

static void call_read(void *unused)
{
    (void)unused;
    order.size = (uint32_t)log_read(order.buffer, order.size);
}

static void call_bind(void *unused)
{
    (void)unused;
    kernel_stack_top()->thread = &threads[order.thread];
    order.status = log_bind(order.bit);
    kernel_stack_top()->thread = NULL;
}

static void call_port(void *unused)
{
    (void)unused;
    log_set_port(LOG_PORT);
}

static void call_flush(void *unused)
{
    (void)unused;
    log_flush_unread();
}

static void call_raw(void *unused)
{
    (void)unused;
    log_raw(order.text);
}

// -- steps ----------------------------------------------------------------------------------------

static void choose_text(uint32_t limit)
{
    uint32_t length = lockstep_chance(70) ? lockstep_below(60) : (uint32_t)lockstep_boundary(limit);

    length = length < sizeof(order.text) ? length : sizeof(order.text) - 1;
    for (uint32_t i = 0; i < length; i++) {
        order.text[i] = (char)(' ' + lockstep_below(95));
    }
    order.text[length] = 0;
}

static void add_line(void)
{
    static const char *const prefixes[] = {"error: ", "warning: ", "", ""};
    char line[700];
    uint64_t told = 0;

    order.level = (enum log_level)lockstep_below(ARRAY_COUNT(prefixes));
    choose_text(SPEC_LOG_LINE - (uint32_t)strlen(prefixes[order.level]));
    snprintf(line, sizeof(line), "%s%s", prefixes[order.level], order.text);
    host_on_cpu(0, call_line, NULL);
    log_line_spec(&spec, line, &spec, &expected, &told);
    lockstep_counted(SPEC_ALLOWED);
    check_told(told);
}

static uint64_t times_told; // of lost text; and how often there was no room for that
static uint64_t times_late;

static void read_text(void)
{
    char buffer[sizeof(order.buffer)];
    uint32_t size = lockstep_chance(50) ? lockstep_below(60) : lockstep_below(sizeof(buffer));
    bool lost = spec.lost > 0;

    if (lost && lockstep_chance(40)) { // as large as what is told of it, nearly
        size = (uint32_t)snprintf(NULL, 0, "warning: %lu bytes of the log were lost\n", spec.lost) -
               1 + lockstep_below(3);
    }
    order.size = size;
    memset(order.buffer, '#', sizeof(order.buffer));
    host_on_cpu(0, call_read, NULL);
    uint32_t count = log_read_spec(&spec, buffer, size, &spec);
    lockstep_counted(SPEC_ALLOWED);
    times_told += lost && spec.lost == 0;
    times_late += lost && spec.lost > 0;
    lockstep_equal("bytes read", order.size, count);
    if (memcmp(order.buffer, buffer, count) != 0) {
        lockstep_fail("other text was read than was logged");
    }
    for (uint32_t i = size; i < sizeof(buffer); i++) {
        lockstep_equal("behind the buffer", order.buffer[i], '#');
    }
}

static void bind_reader(void)
{
    uint64_t told = 0;

    order.thread = lockstep_below(THREADS);
    order.bit = lockstep_below(63);
    host_on_cpu(0, call_bind, NULL);
    lockstep_same("log_bind", log_bind_spec(&spec, order.thread, order.bit, &spec, &told),
                  order.status);
    check_told(told);
}

static void write_raw(void)
{
    choose_text(500);
    host_on_cpu(0, call_raw, NULL);
    lockstep_counted(SPEC_ALLOWED);
    if (spec.port) {
        expected.count = (uint32_t)strlen(order.text);
        memcpy(expected.bytes, order.text, expected.count);
    }
}

static void set_port(void)
{
    host_on_cpu(0, call_port, NULL);
    log_set_port_spec(&spec, &spec, &expected);
    lockstep_counted(SPEC_ALLOWED);
}

static void flush(void)
{
    host_on_cpu(0, call_flush, NULL);
    log_flush_spec(&spec, &spec, &expected);
    lockstep_counted(SPEC_ALLOWED);
}

// The life of a machine: text before there is a port, with one, and with a reader, who is sometimes
// slower than the rest.
static void step(uint64_t i)
{
    bool reads = i > 3000;
    uint32_t slow = i / 1000 % 2 == 0 ? 12 : 55; // per cent

    if (i == 1500) {
        set_port();
    } else if (lockstep_chance(2)) {
        write_raw();
    } else if (lockstep_chance(2)) {
        bind_reader();
    } else if (reads && lockstep_below(5000) == 0) {
        flush();
    } else if (reads && lockstep_chance(slow)) {
        read_text();
    } else {
        add_line();
    }
    check_sent();
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_LOG};

    lockstep_begin(argc, argv, "log of text", 100000);
    host_machine_start(1);
    for (uint32_t i = 0; i < THREADS; i++) {
        threads[i].object.references = 1;
        threads[i].state = THREAD_RUNNING;
    }
    for (uint64_t i = 0; lockstep_more(); i++) {
        step(i);
    }
    lockstep_equal("text was lost, and told", times_told > 0 && times_late > 0, true);
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
