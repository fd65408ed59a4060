// SPDX-License-Identifier: MIT
// System calls of the device owner about the log and the end of the machine.
#include "kernel/core/calls.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"

#define CHUNK 512u // bytes of log text taken at a time

// Who is told of log text. The first process lives as long as the machine, and so does its binding:
// a thread of it that ended keeps its reference and is signalled in vain.
static struct thread *log_reader;
static uint64_t log_reader_bits;

static void notify_log_reader(void)
{
    thread_signal(log_reader, log_reader_bits);
}

SYSTEM_CALL(sys_log_read)
{
    char chunk[CHUNK];
    size_t count = b < CHUNK ? b : CHUNK;

    if (!current_process()->is_root) {
        return call_error(STATUS_DENIED);
    }
    enum status status = user_range_check(caller_space(), a, count, true);
    if (status == STATUS_OK) {
        count = log_read(chunk, count);
        status = copy_to_user(caller_space(), a, chunk, count);
    }
    return status == STATUS_OK ? (int64_t)count : call_error(status);
}

SYSTEM_CALL(sys_log_bind)
{
    struct thread *thread = current_thread();

    if (!thread->process->is_root) {
        return call_error(STATUS_DENIED);
    }
    if (a >= EVENT_BIT_LIMIT) {
        return call_error(STATUS_INVALID);
    }
    if (log_reader && log_reader != thread) {
        return call_error(STATUS_BUSY);
    }
    if (!log_reader) {
        object_acquire(&thread->object);
        log_reader = thread;
    }
    log_reader_bits = 1ull << a;
    log_set_notify(notify_log_reader);
    notify_log_reader(); // there may be text already
    return 0;
}

SYSTEM_CALL(sys_machine_end)
{
    if (!current_process()->is_root) {
        return call_error(STATUS_DENIED);
    }
    if (a > UINT8_MAX) {
        return call_error(STATUS_INVALID);
    }
    run_end((uint32_t)a);
}
