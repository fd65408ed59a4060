// SPDX-License-Identifier: MIT
// The handlers of the system calls of kernel/abi/syscall.h but for VMs (kernel/vm/system_calls.h).
// Each takes the call's arguments as they came from ring 3, checks every one before it changes
// anything, and returns a value >= 0 or -(enum status).
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Name, handler.
#define CORE_SYSTEM_CALLS(X)                                                                       \
    X(SYS_NULL, sys_null)                                                                          \
    X(SYS_PROCESS_EXIT, sys_process_exit)                                                          \
    X(SYS_THREAD_CREATE, sys_thread_create)                                                        \
    X(SYS_THREAD_EXIT, sys_thread_exit)                                                            \
    X(SYS_THREAD_YIELD, sys_thread_yield)                                                          \
    X(SYS_EVENT_WAIT, sys_event_wait)                                                              \
    X(SYS_EVENT_SIGNAL, sys_event_signal)                                                          \
    X(SYS_MEMORY_ALLOCATE, sys_memory_allocate)                                                    \
    X(SYS_MEMORY_FREE, sys_memory_free)                                                            \
    X(SYS_CONTAINER_SPLIT, sys_container_split)                                                    \
    X(SYS_CONTAINER_INFO, sys_container_info)                                                      \
    X(SYS_CONTAINER_REVOKE, sys_container_revoke)                                                  \
    X(SYS_MODULE_OPEN, sys_module_open)                                                            \
    X(SYS_MODULE_INFO, sys_module_info)                                                            \
    X(SYS_MODULE_MAP, sys_module_map)                                                              \
    X(SYS_PROCESS_CREATE, sys_process_create)                                                      \
    X(SYS_PROCESS_BIND, sys_process_bind)                                                          \
    X(SYS_PROCESS_STATUS, sys_process_status)                                                      \
    X(SYS_PROCESS_DESTROY, sys_process_destroy)                                                    \
    X(SYS_CHANNEL_CREATE, sys_channel_create)                                                      \
    X(SYS_CHANNEL_SEND, sys_channel_send)                                                          \
    X(SYS_CHANNEL_TRY_SEND, sys_channel_try_send)                                                  \
    X(SYS_CHANNEL_RECEIVE, sys_channel_receive)                                                    \
    X(SYS_CHANNEL_BIND, sys_channel_bind)                                                          \
    X(SYS_HANDLE_CLOSE, sys_handle_close)                                                          \
    X(SYS_SERIAL_BIND, sys_serial_bind)                                                            \
    X(SYS_SERIAL_PUTC, sys_serial_putc)                                                            \
    X(SYS_SERIAL_WRITE, sys_serial_write)                                                          \
    X(SYS_SERIAL_READ, sys_serial_read)                                                            \
    X(SYS_CONS_BUF_READ, sys_cons_buf_read)                                                        \
    X(SYS_SERIAL_INTR_DISABLE, sys_serial_intr_disable)                                            \
    X(SYS_SERIAL_INTR_ENABLE, sys_serial_intr_enable)                                              \
    X(SYS_LOG_READ, sys_log_read)                                                                  \
    X(SYS_LOG_BIND, sys_log_bind)                                                                  \
    X(SYS_MACHINE_END, sys_machine_end)

#define DECLARE_SYSTEM_CALL(number, handler)                                                       \
    int64_t handler(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
CORE_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
#undef DECLARE_SYSTEM_CALL

// Puts the table into arch's hands.
void system_calls_install(void);
