// SPDX-License-Identifier: MIT
// System calls of the device owner about the log and the end of the machine.
#include "arch/x86/cpu/registers.h"
#include "kernel/core/calls.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"

#define CHUNK      512u // bytes of log text taken at a time
#define DEBUG_PORT 0xe9 // of Bochs and QEMU

SYSTEM_CALL(sys_log_read)
{
    char chunk[CHUNK];
    size_t count = b < CHUNK ? b : CHUNK;
    enum status status = user_range_check(caller_space(), a, count, true);

    if (status == STATUS_OK) {
        count = log_read(chunk, count);
        status = copy_to_user(caller_space(), a, chunk, count);
    }
    return call_result(status, count);
}

SYSTEM_CALL(sys_log_bind)
{
    return call_error(a < EVENT_BIT_LIMIT ? log_bind((uint32_t)a) : STATUS_INVALID);
}

SYSTEM_CALL(sys_debug_write)
{
    uint8_t chunk[DEBUG_WRITE_MAXIMUM];
    enum status status = STATUS_DENIED;

    if (command_line_has("emulator")) {
        status = b <= sizeof(chunk) ? copy_from_user(caller_space(), chunk, a, b) : STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        port_write_string(DEBUG_PORT, chunk, b);
    }
    return call_error(status);
}

SYSTEM_CALL(sys_machine_end)
{
    if (a > UINT8_MAX) {
        return call_error(STATUS_INVALID);
    }
    run_end((uint32_t)a);
}
