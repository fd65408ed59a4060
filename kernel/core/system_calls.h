// SPDX-License-Identifier: MIT
// The handlers of the system calls of kernel/abi/syscall.h. Each takes the call's arguments as they
// came from ring 3, checks every one (but the first, where its row says what that is) before it
// changes anything, and returns a value >= 0 or
// -(enum status).
#pragma once

#include <stdint.h>
#include "kernel/process/handle_table.h"

// Name, handler, and who may call it with what first argument; anything else is refused before the
// handler runs:
//   ANY                          whoever, whatever
//   ROOT                         the first process, whatever
//   PORT                         the first process, the number of a serial port that exists
//   THREAD, CONTAINER, MODULE,   whoever, a handle of that kind; the handler gets what the handle
//   PROCESS, CHANNEL, VM         names, with a reference that the dispatcher holds meanwhile
#define CORE_SYSTEM_CALLS(X)                                                                       \
    X(SYS_NULL, sys_null, ANY)                                                                     \
    X(SYS_PROCESS_EXIT, sys_process_exit, ANY)                                                     \
    X(SYS_THREAD_CREATE, sys_thread_create, ANY)                                                   \
    X(SYS_THREAD_EXIT, sys_thread_exit, ANY)                                                       \
    X(SYS_THREAD_YIELD, sys_thread_yield, ANY)                                                     \
    X(SYS_EVENT_WAIT, sys_event_wait, ANY)                                                         \
    X(SYS_EVENT_SIGNAL, sys_event_signal, THREAD)                                                  \
    X(SYS_MEMORY_ALLOCATE, sys_memory_allocate, ANY)                                               \
    X(SYS_MEMORY_FREE, sys_memory_free, ANY)                                                       \
    X(SYS_CONTAINER_SPLIT, sys_container_split, CONTAINER)                                         \
    X(SYS_CONTAINER_INFO, sys_container_info, CONTAINER)                                           \
    X(SYS_CONTAINER_REVOKE, sys_container_revoke, CONTAINER)                                       \
    X(SYS_MODULE_OPEN, sys_module_open, ROOT)                                                      \
    X(SYS_MODULE_INFO, sys_module_info, MODULE)                                                    \
    X(SYS_MODULE_MAP, sys_module_map, MODULE)                                                      \
    X(SYS_PROCESS_CREATE, sys_process_create, ANY)                                                 \
    X(SYS_PROCESS_BIND, sys_process_bind, PROCESS)                                                 \
    X(SYS_PROCESS_STATUS, sys_process_status, PROCESS)                                             \
    X(SYS_PROCESS_DESTROY, sys_process_destroy, PROCESS)                                           \
    X(SYS_CHANNEL_CREATE, sys_channel_create, ANY)                                                 \
    X(SYS_CHANNEL_SEND, sys_channel_send, CHANNEL)                                                 \
    X(SYS_CHANNEL_TRY_SEND, sys_channel_try_send, CHANNEL)                                         \
    X(SYS_CHANNEL_RECEIVE, sys_channel_receive, CHANNEL)                                           \
    X(SYS_CHANNEL_EXCHANGE, sys_channel_exchange, ANY)                                             \
    X(SYS_CHANNEL_BIND, sys_channel_bind, CHANNEL)                                                 \
    X(SYS_HANDLE_CLOSE, sys_handle_close, ANY)                                                     \
    X(SYS_SERIAL_BIND, sys_serial_bind, PORT)                                                      \
    X(SYS_SERIAL_PUTC, sys_serial_putc, PORT)                                                      \
    X(SYS_SERIAL_WRITE, sys_serial_write, PORT)                                                    \
    X(SYS_SERIAL_READ, sys_serial_read, PORT)                                                      \
    X(SYS_SERIAL_LOST, sys_serial_lost, PORT)                                                      \
    X(SYS_CONS_BUF_READ, sys_cons_buf_read, PORT)                                                  \
    X(SYS_SERIAL_INTR_DISABLE, sys_serial_intr_disable, PORT)                                      \
    X(SYS_SERIAL_INTR_ENABLE, sys_serial_intr_enable, PORT)                                        \
    X(SYS_LOG_READ, sys_log_read, ROOT)                                                            \
    X(SYS_LOG_BIND, sys_log_bind, ROOT)                                                            \
    X(SYS_DEBUG_WRITE, sys_debug_write, ROOT)                                                      \
    X(SYS_MACHINE_END, sys_machine_end, ROOT)
// Of kernel/vm. A vCPU's handle is its own thread's alone, for which the handlers look.
#define VM_SYSTEM_CALLS(X)                                                                         \
    X(SYS_VM_CREATE, sys_vm_create, ANY)                                                           \
    X(SYS_VM_GRANT, sys_vm_grant, VM)                                                              \
    X(SYS_VM_REVOKE, sys_vm_revoke, VM)                                                            \
    X(SYS_VM_SET_CPUID, sys_vm_set_cpuid, VM)                                                      \
    X(SYS_VM_SET_MSR, sys_vm_set_msr, VM)                                                          \
    X(SYS_VM_SET_PORT, sys_vm_set_port, VM)                                                        \
    X(SYS_VM_INTERCEPT, sys_vm_intercept, VM)                                                      \
    X(SYS_VCPU_CREATE, sys_vcpu_create, VM)                                                        \
    X(SYS_VCPU_RUN, sys_vcpu_run, ANY)                                                             \
    X(SYS_VCPU_READ, sys_vcpu_read, ANY)                                                           \
    X(SYS_VCPU_LOG, sys_vcpu_log, ANY)                                                             \
    X(SYS_VM_STATISTICS, sys_vm_statistics, VM)

// Handlers of the first three groups, and of those whose first argument is a handle.
#define SYSTEM_CALL(name)                                                                          \
    int64_t name(__attribute__((unused)) uint64_t a, __attribute__((unused)) uint64_t b,           \
                 __attribute__((unused)) uint64_t c, __attribute__((unused)) uint64_t d,           \
                 __attribute__((unused)) uint64_t e)
#define HANDLE_CALL(name)                                                                          \
    int64_t name(__attribute__((unused)) const struct handle *handle,                              \
                 __attribute__((unused)) uint64_t a, __attribute__((unused)) uint64_t b,           \
                 __attribute__((unused)) uint64_t c, __attribute__((unused)) uint64_t d,           \
                 __attribute__((unused)) uint64_t e)

#define DECLARE_ANY(name)       SYSTEM_CALL(name);
#define DECLARE_ROOT(name)      SYSTEM_CALL(name);
#define DECLARE_PORT(name)      SYSTEM_CALL(name);
#define DECLARE_THREAD(name)    HANDLE_CALL(name);
#define DECLARE_CONTAINER(name) HANDLE_CALL(name);
#define DECLARE_MODULE(name)    HANDLE_CALL(name);
#define DECLARE_PROCESS(name)   HANDLE_CALL(name);
#define DECLARE_CHANNEL(name)   HANDLE_CALL(name);
#define DECLARE_VM(name)        HANDLE_CALL(name);

#define DECLARE_SYSTEM_CALL(number, handler, subject) DECLARE_##subject(handler)
CORE_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
VM_SYSTEM_CALLS(DECLARE_SYSTEM_CALL)
#undef DECLARE_SYSTEM_CALL

// Puts the table into arch's hands.
void system_calls_install(void);
