// SPDX-License-Identifier: MIT
// The kernel log (log.h): one ring of text, one lock.
#include "kernel/core/log.h"
#include "drivers/serial.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "kernel/lock/lock.h"
#include "kernel/thread/thread.h"

#define LOG_BYTES    65536u // a power of two
#define LINE_MAXIMUM 256u

static struct lock log_lock = LOCK_INITIAL(LOCK_LOG);
// Guarded by log_lock. Positions count bytes from the start of time.
static char ring[LOG_BYTES];
static uint64_t written;
static uint64_t taken; // by the port or by log_read; ring holds [taken, written)
static uint64_t lost;
static bool owned_by_console;
static bool port_known;
static unsigned log_port;
static struct event_binding reader;

static const char *const prefixes[] = {
    [LOG_ERROR] = "error: ",
    [LOG_WARNING] = "warning: ",
    [LOG_INFO] = "",
    [LOG_MACHINE] = "",
};

static void append(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ring[written++ % LOG_BYTES] = text[i];
    }
    if (written - taken > LOG_BYTES) {
        lost += written - taken - LOG_BYTES;
        taken = written - LOG_BYTES;
    }
}

// Writes what nobody took to the port.
static void write_out(void)
{
    while (taken < written) {
        (void)serial_putc(log_port, (uint8_t)ring[taken % LOG_BYTES]);
        taken++;
    }
}

void log_set_port(unsigned port)
{
    lock_acquire(&log_lock);
    log_port = port;
    port_known = true;
    write_out();
    lock_release(&log_lock);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_MAXIMUM];
    size_t prefix = format_text(line, sizeof(line), "%s", prefixes[level]);
    va_list arguments;

    va_start(arguments, format);
    size_t length =
        prefix + format_text_va(line + prefix, sizeof(line) - prefix, format, arguments);
    va_end(arguments);
    if (length > sizeof(line) - 1) {
        length = sizeof(line) - 1;
    }
    line[length] = '\n'; // in the place of the NUL
    lock_acquire(&log_lock);
    append(line, length + 1);
    if (port_known && !owned_by_console) {
        write_out();
    }
    struct event_binding bound = reader;
    lock_release(&log_lock);
    event_send(&bound); // the wake queue's lock comes before the log's
}

size_t log_read(char *buffer, size_t size)
{
    size_t count = 0;

    lock_acquire(&log_lock);
    owned_by_console = true;
    if (lost > 0) {
        count = format_text(buffer, size, "warning: %lu bytes of the log were lost\n", lost);
        count = count < size ? count : 0; // else at the next call
        lost = count > 0 ? 0 : lost;
    }
    while (count < size && taken < written) {
        buffer[count++] = ring[taken++ % LOG_BYTES];
    }
    lock_release(&log_lock);
    return count;
}

enum status log_bind(uint32_t bit)
{
    lock_acquire(&log_lock);
    bool other = reader.thread && reader.thread != current_thread();
    if (!other) {
        event_bind(&reader, bit);
    }
    lock_release(&log_lock);
    if (other) {
        return STATUS_BUSY;
    }
    event_send(&reader);
    return STATUS_OK;
}

// The two below run at the end of the machine, perhaps in the middle of a holder's work: no lock.
void log_raw(const char *text)
{
    for (; port_known && *text; text++) {
        (void)serial_putc(log_port, (uint8_t)*text);
    }
}

void log_flush_unread(void)
{
    if (port_known) {
        serial_flush(log_port);
        write_out();
    }
}
