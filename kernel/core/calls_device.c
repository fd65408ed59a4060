// SPDX-License-Identifier: MIT
// System calls of the device owner: serial ports, the log, the end of the machine.
#include "kernel/core/calls.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/serial_port.h"

#define CHUNK 512u // bytes moved at a time between user memory and a ring

static enum status check_owner(void)
{
    return current_process()->is_root ? STATUS_OK : STATUS_DENIED;
}

SYSTEM_CALL(sys_serial_bind)
{
    enum status status = check_owner();

    if (status == STATUS_OK && (b >= EVENT_BIT_LIMIT || c >= EVENT_BIT_LIMIT)) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        status = serial_port_bind(a, (uint32_t)b, (uint32_t)c);
    }
    return call_error(status);
}

SYSTEM_CALL(sys_serial_putc)
{
    enum status status = check_owner();

    if (status == STATUS_OK && b > UINT8_MAX) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        status = serial_port_putc(a, (uint8_t)b);
    }
    return status == STATUS_OK ? (int64_t)b : call_error(status);
}

// Queues [buffer, buffer + bytes) until the ring is full; `*done` counts what went in.
static enum status write_chunks(uint64_t port, uint64_t buffer, uint64_t bytes, uint64_t *done)
{
    uint8_t chunk[CHUNK];
    size_t accepted = 0;
    size_t wanted;

    do {
        wanted = bytes - *done < CHUNK ? bytes - *done : CHUNK;
        enum status status = copy_from_user(caller_space(), chunk, buffer + *done, wanted);

        accepted = wanted;
        if (status == STATUS_OK) {
            status = serial_port_write(port, chunk, &accepted);
        }
        if (status != STATUS_OK) {
            return status;
        }
        *done += accepted;
    } while (accepted == wanted && *done < bytes);
    return STATUS_OK;
}

SYSTEM_CALL(sys_serial_write)
{
    uint64_t done = 0;
    enum status status = check_owner();

    if (status == STATUS_OK) {
        status = user_range_check(caller_space(), b, c, false);
    }
    if (status == STATUS_OK) {
        status = write_chunks(a, b, c, &done);
    }
    return status == STATUS_OK ? (int64_t)done : call_error(status);
}

SYSTEM_CALL(sys_serial_read)
{
    uint8_t chunk[CHUNK];
    size_t count = c < CHUNK ? c : CHUNK;
    enum status status = check_owner();

    if (status == STATUS_OK) {
        status = user_range_check(caller_space(), b, count, true);
    }
    if (status == STATUS_OK) {
        status = serial_port_read(a, chunk, &count);
    }
    if (status == STATUS_OK) {
        status = copy_to_user(caller_space(), b, chunk, count);
    }
    return status == STATUS_OK ? (int64_t)count : call_error(status);
}

SYSTEM_CALL(sys_cons_buf_read)
{
    uint8_t character = 0;
    enum status status = check_owner();

    if (status == STATUS_OK) {
        status = serial_port_pop(a, &character);
    }
    return status == STATUS_OK ? character : call_error(status);
}

SYSTEM_CALL(sys_serial_intr_disable)
{
    enum status status = check_owner();

    return call_error(status == STATUS_OK ? serial_port_mask(a) : status);
}

SYSTEM_CALL(sys_serial_intr_enable)
{
    enum status status = check_owner();

    return call_error(status == STATUS_OK ? serial_port_unmask(a) : status);
}

SYSTEM_CALL(sys_log_read)
{
    size_t count = b < CHUNK ? b : CHUNK;
    enum status status = check_owner();

    if (status == STATUS_OK) {
        status = user_range_check(caller_space(), a, count, true);
    }
    if (status == STATUS_OK) {
        char chunk[CHUNK];

        count = log_read(chunk, count);
        status = copy_to_user(caller_space(), a, chunk, count);
    }
    return status == STATUS_OK ? (int64_t)count : call_error(status);
}

// Who is told of log text. The first process lives as long as the machine, and so does its binding:
// a thread of it that ended keeps its reference and is signalled in vain.
static struct thread *log_reader;
static uint64_t log_reader_bits;

static void notify_log_reader(void)
{
    thread_signal(log_reader, log_reader_bits);
}

SYSTEM_CALL(sys_log_bind)
{
    enum status status = check_owner();

    if (status == STATUS_OK && a >= EVENT_BIT_LIMIT) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK && log_reader && log_reader != current_thread()) {
        status = STATUS_BUSY;
    }
    if (status == STATUS_OK) {
        if (!log_reader) {
            thread_acquire(current_thread());
        }
        log_reader_bits = 1ull << a;
        log_reader = current_thread();
        log_set_notify(notify_log_reader);
        notify_log_reader(); // there may be text already
    }
    return call_error(status);
}

SYSTEM_CALL(sys_machine_end)
{
    enum status status = check_owner();

    if (status == STATUS_OK && a > UINT8_MAX) {
        status = STATUS_INVALID;
    }
    if (status != STATUS_OK) {
        return call_error(status);
    }
    run_end((uint32_t)a);
}
