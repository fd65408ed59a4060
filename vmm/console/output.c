// SPDX-License-Identifier: MIT
// What the console process itself says: host log lines, machine lines, and the way of all queued
// bytes into the serial ports. Called by the console process's one thread.
#include "vmm/console/console.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/tsc.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"

// Queues a whole line for the second serial port, or counts it as lost.
static void queue_line(struct console *console, const char *text)
{
    size_t length = strlen(text);

    if (!console->log_port) {
        return;
    }
    if (ring_room(&console->log_queue) < length + 1) {
        console_push(console);
    }
    if (ring_room(&console->log_queue) < length + 1) {
        console->log_lost++;
        return;
    }
    (void)ring_put(&console->log_queue, (const uint8_t *)text, length);
    (void)ring_put(&console->log_queue, (const uint8_t *)"\n", 1);
}

static void log_text(struct console *console, char *text)
{
    line_clean(text, strlen(text));
    mux_log(&console->mux, text);
    queue_line(console, text);
}

void console_log(struct console *console, const char *format, ...)
{
    char text[LINE_MAXIMUM + 1];
    va_list arguments;

    va_start(arguments, format);
    (void)format_text_va(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (text[0] == '@') {
        text[0] = '?'; // only machine lines begin so
    }
    log_text(console, text);
}

void console_machine_line(struct console *console, const char *format, ...)
{
    char text[LINE_MAXIMUM + 1] = "@";
    va_list arguments;

    va_start(arguments, format);
    (void)format_text_va(text + 1, sizeof(text) - 1, format, arguments);
    va_end(arguments);
    line_clean(text, strlen(text));
    queue_line(console, text);
}

void console_take_kernel_log(struct console *console)
{
    uint8_t buffer[256];

    for (;;) {
        int64_t length = log_read(buffer, sizeof(buffer));

        if (length <= 0) {
            return;
        }
        for (int64_t i = 0; i < length; i++) {
            if (line_take(&console->kernel_line, buffer[i])) {
                console_log(console, "%s", console->kernel_line.text);
            }
        }
    }
}

// False: the port is dead or absent.
static bool push_ring(struct ring *ring, uint32_t port)
{
    while (ring->count > 0) {
        const uint8_t *bytes = NULL;
        size_t piece = ring_front(ring, &bytes);
        int64_t taken = serial_write(port, bytes, piece);

        if (taken < 0 && call_status(taken) != STATUS_BUSY) {
            return false;
        }
        if (taken <= 0) {
            return true;
        }
        ring_drop(ring, (size_t)taken);
    }
    return true;
}

void console_push(struct console *console)
{
    if (!push_ring(&console->mux.terminal, CONSOLE_PORT_TERMINAL)) {
        ring_drop(&console->mux.terminal, console->mux.terminal.count); // nobody can read it
    }
    if (console->log_port && !push_ring(&console->log_queue, CONSOLE_PORT_LOG)) {
        ring_drop(&console->log_queue, console->log_queue.count);
        console->log_port = false;
        console->mux.log_on_terminal = true;
    }
}

static bool queues_hold(const struct console *console)
{
    return console->mux.terminal.count > 0 || console->log_queue.count > 0 ||
           mux_waiting(&console->mux);
}

NORETURN void console_end(struct console *console, uint32_t status)
{
    uint64_t deadline = tsc_now() + tsc_ticks(console->info->tsc_hz, 2000000);

    console_take_kernel_log(console);
    if (console->log_lost > 0) {
        console_log(console, "console: %llu log lines found no room and are lost",
                    (unsigned long long)console->log_lost);
    }
    console_machine_line(console, "status %u", status);
    for (;;) {
        mux_flush(&console->mux);
        console_push(console);
        if (!queues_hold(console) || tsc_now() > deadline) {
            break;
        }
        (void)event_wait(tsc_now() + tsc_ticks(console->info->tsc_hz, 1000));
    }
    (void)machine_end(status);
    process_exit((int64_t)status);
}
