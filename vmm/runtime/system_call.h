// SPDX-License-Identifier: MIT
// C names for the system calls of kernel/abi/syscall.h, which documents each. Those that only
// succeed or fail return enum status; those with a value return it as int64_t, or -(enum status).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// The instruction itself (system_call.asm). Unused arguments are 0.
int64_t system_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);

static inline uint64_t user_address(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

// The status part of a call's result: STATUS_OK for a value >= 0.
static inline enum status call_status(int64_t result)
{
    return result < 0 ? (enum status) - result : STATUS_OK;
}

// -- threads, events, time ------------------------------------------------------------------------

static inline int64_t system_null(void)
{
    return system_call(SYS_NULL, 0, 0, 0, 0, 0);
}

// Ends the calling process; see process_exit in vmm/runtime/program.h for the noreturn form.
static inline int64_t system_process_exit(uint64_t code)
{
    return system_call(SYS_PROCESS_EXIT, code, 0, 0, 0, 0);
}

// `entry` starts with rdi = `argument` on the given stack; it must end with thread_exit. `cpu`:
// THREAD_CPU, or 0 for any.
MUST_CHECK static inline int64_t thread_create_on(uint32_t cpu, void (*entry)(uint64_t),
                                                  void *stack_top, uint64_t argument)
{
    return system_call(SYS_THREAD_CREATE, (uint64_t)(uintptr_t)entry, user_address(stack_top),
                       argument, cpu, 0);
}

MUST_CHECK static inline int64_t thread_create(void (*entry)(uint64_t), void *stack_top,
                                               uint64_t argument)
{
    return thread_create_on(0, entry, stack_top, argument);
}

static inline int64_t thread_exit(void)
{
    return system_call(SYS_THREAD_EXIT, 0, 0, 0, 0, 0);
}

static inline void thread_yield(void)
{
    (void)system_call(SYS_THREAD_YIELD, 0, 0, 0, 0, 0);
}

// Sleeps until an event bit is set or the absolute TSC `deadline` (0: none) passes; returns and
// clears the bits.
static inline uint64_t event_wait(uint64_t deadline)
{
    int64_t bits = system_call(SYS_EVENT_WAIT, deadline, 0, 0, 0, 0);

    return bits < 0 ? 0 : (uint64_t)bits;
}

MUST_CHECK static inline enum status event_signal(uint64_t thread, uint64_t bits)
{
    return call_status(system_call(SYS_EVENT_SIGNAL, thread, bits, 0, 0, 0));
}

// -- memory ---------------------------------------------------------------------------------------

// Address of `bytes` zeroed bytes, or -(enum status).
MUST_CHECK static inline int64_t memory_allocate(uint64_t bytes)
{
    return system_call(SYS_MEMORY_ALLOCATE, bytes, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status memory_free(uint64_t address, uint64_t bytes)
{
    return call_status(system_call(SYS_MEMORY_FREE, address, bytes, 0, 0, 0));
}

// Handle of a child container with a quota of `pages`. `weight`: of its share of the CPU; 0: it
// lives on its parent's.
MUST_CHECK static inline int64_t container_split(uint32_t container, uint64_t pages,
                                                 uint32_t weight)
{
    return system_call(SYS_CONTAINER_SPLIT, container, pages, weight, 0, 0);
}

MUST_CHECK static inline enum status container_info_get(uint32_t container,
                                                        struct container_info *info)
{
    return call_status(system_call(SYS_CONTAINER_INFO, container, user_address(info), 0, 0, 0));
}

MUST_CHECK static inline enum status container_revoke(uint32_t container)
{
    return call_status(system_call(SYS_CONTAINER_REVOKE, container, 0, 0, 0, 0));
}

// -- processes and modules ------------------------------------------------------------------------

MUST_CHECK static inline int64_t module_open(uint32_t index, struct module_info *info)
{
    return system_call(SYS_MODULE_OPEN, index, user_address(info), 0, 0, 0);
}

MUST_CHECK static inline enum status module_info_get(uint32_t module, struct module_info *info)
{
    return call_status(system_call(SYS_MODULE_INFO, module, user_address(info), 0, 0, 0));
}

// Address of the read-only mapping.
MUST_CHECK static inline int64_t module_map(uint32_t module)
{
    return system_call(SYS_MODULE_MAP, module, 0, 0, 0, 0);
}

MUST_CHECK static inline int64_t process_create(const struct process_arguments *arguments)
{
    return system_call(SYS_PROCESS_CREATE, user_address(arguments), 0, 0, 0, 0);
}

MUST_CHECK static inline enum status process_bind(uint32_t process, uint32_t bit)
{
    return call_status(system_call(SYS_PROCESS_BIND, process, bit, 0, 0, 0));
}

MUST_CHECK static inline enum status process_status_get(uint32_t process,
                                                        struct process_status *status)
{
    return call_status(system_call(SYS_PROCESS_STATUS, process, user_address(status), 0, 0, 0));
}

MUST_CHECK static inline enum status process_destroy(uint32_t process)
{
    return call_status(system_call(SYS_PROCESS_DESTROY, process, 0, 0, 0, 0));
}

// -- channels -------------------------------------------------------------------------------------

MUST_CHECK static inline int64_t channel_create(void)
{
    return system_call(SYS_CHANNEL_CREATE, 0, 0, 0, 0, 0);
}

MUST_CHECK static inline int64_t channel_send(uint32_t channel, const void *buffer, uint64_t bytes)
{
    return system_call(SYS_CHANNEL_SEND, channel, user_address(buffer), bytes, 0, 0);
}

MUST_CHECK static inline int64_t channel_try_send(uint32_t channel, const void *buffer,
                                                  uint64_t bytes)
{
    return system_call(SYS_CHANNEL_TRY_SEND, channel, user_address(buffer), bytes, 0, 0);
}

MUST_CHECK static inline int64_t channel_receive(uint32_t channel, void *buffer, uint64_t capacity)
{
    return system_call(SYS_CHANNEL_RECEIVE, channel, user_address(buffer), capacity, 0, 0);
}

// Sends `bytes` (0: none) to channel `to` and waits for a message of `from`, in the same buffer.
MUST_CHECK static inline int64_t channel_exchange(uint32_t from, uint32_t to, void *buffer,
                                                  uint64_t bytes, uint64_t capacity)
{
    return system_call(SYS_CHANNEL_EXCHANGE, from, to, user_address(buffer), bytes, capacity);
}

MUST_CHECK static inline enum status channel_bind(uint32_t channel, uint32_t bit)
{
    return call_status(system_call(SYS_CHANNEL_BIND, channel, bit, 0, 0, 0));
}

// Cannot fail for a handle the caller has.
static inline enum status handle_close(uint32_t handle)
{
    return call_status(system_call(SYS_HANDLE_CLOSE, handle, 0, 0, 0, 0));
}

// -- device owner ---------------------------------------------------------------------------------

MUST_CHECK static inline enum status serial_bind(uint32_t port, uint32_t receive_bit,
                                                 uint32_t transmit_bit)
{
    return call_status(system_call(SYS_SERIAL_BIND, port, receive_bit, transmit_bit, 0, 0));
}

MUST_CHECK static inline int64_t serial_putc(uint32_t port, uint8_t character)
{
    return system_call(SYS_SERIAL_PUTC, port, character, 0, 0, 0);
}

// Bytes accepted, 0 when the port's ring is full.
MUST_CHECK static inline int64_t serial_write(uint32_t port, const void *buffer, uint64_t bytes)
{
    return system_call(SYS_SERIAL_WRITE, port, user_address(buffer), bytes, 0, 0);
}

MUST_CHECK static inline int64_t serial_read(uint32_t port, void *buffer, uint64_t bytes)
{
    return system_call(SYS_SERIAL_READ, port, user_address(buffer), bytes, 0, 0);
}

MUST_CHECK static inline int64_t serial_lost(uint32_t port)
{
    return system_call(SYS_SERIAL_LOST, port, 0, 0, 0, 0);
}

MUST_CHECK static inline int64_t console_buffer_read(uint32_t port)
{
    return system_call(SYS_CONS_BUF_READ, port, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status serial_interrupt_disable(uint32_t port)
{
    return call_status(system_call(SYS_SERIAL_INTR_DISABLE, port, 0, 0, 0, 0));
}

MUST_CHECK static inline enum status serial_interrupt_enable(uint32_t port)
{
    return call_status(system_call(SYS_SERIAL_INTR_ENABLE, port, 0, 0, 0, 0));
}

// Writes at most DEBUG_WRITE_MAXIMUM bytes to the emulator's debug port.
MUST_CHECK static inline enum status debug_write(const void *buffer, uint64_t bytes)
{
    return call_status(system_call(SYS_DEBUG_WRITE, user_address(buffer), bytes, 0, 0, 0));
}

MUST_CHECK static inline int64_t log_read(void *buffer, uint64_t bytes)
{
    return system_call(SYS_LOG_READ, user_address(buffer), bytes, 0, 0, 0);
}

MUST_CHECK static inline enum status log_bind(uint32_t bit)
{
    return call_status(system_call(SYS_LOG_BIND, bit, 0, 0, 0, 0));
}

static inline int64_t machine_end(uint32_t status)
{
    return system_call(SYS_MACHINE_END, status, 0, 0, 0, 0);
}

// -- virtual machines -----------------------------------------------------------------------------

MUST_CHECK static inline int64_t vm_create(void)
{
    return system_call(SYS_VM_CREATE, 0, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status vm_grant(uint32_t vm, uint64_t guest_physical,
                                              uint64_t address, uint64_t bytes, uint32_t access)
{
    return call_status(system_call(SYS_VM_GRANT, vm, guest_physical, address, bytes, access));
}

MUST_CHECK static inline enum status vm_revoke(uint32_t vm, uint64_t guest_physical, uint64_t bytes)
{
    return call_status(system_call(SYS_VM_REVOKE, vm, guest_physical, bytes, 0, 0));
}

MUST_CHECK static inline enum status vm_set_cpuid(uint32_t vm, const struct vm_cpuid_entry *entries,
                                                  uint32_t count)
{
    return call_status(system_call(SYS_VM_SET_CPUID, vm, user_address(entries), count, 0, 0));
}

MUST_CHECK static inline enum status vm_set_msr(uint32_t vm, uint32_t first, uint32_t last,
                                                enum vm_msr_policy policy)
{
    return call_status(system_call(SYS_VM_SET_MSR, vm, first, last, policy, 0));
}

MUST_CHECK static inline enum status vm_set_port(uint32_t vm, uint16_t first, uint16_t last,
                                                 enum vm_port_policy policy)
{
    return call_status(system_call(SYS_VM_SET_PORT, vm, first, last, policy, 0));
}

// Intercepts that the processor lacks (0: none, done), or -(enum status).
MUST_CHECK static inline int64_t vm_intercept(uint32_t vm, uint32_t intercepts)
{
    return system_call(SYS_VM_INTERCEPT, vm, intercepts, 0, 0, 0);
}

MUST_CHECK static inline int64_t vcpu_create(uint32_t vm, struct vcpu_info *info)
{
    return system_call(SYS_VCPU_CREATE, vm, user_address(info), 0, 0, 0);
}

// Runs the guest (or fetches groups, VCPU_RUN_FETCH). The exit is in the shared page. In line,
// because it is the one call on every exit's path.
MUST_CHECK static inline enum status vcpu_run(uint64_t vcpu, uint64_t flags)
{
    int64_t result = SYS_VCPU_RUN;

    __asm__ volatile("mov %%rsp, %%rcx\n\t"
                     "lea 1f(%%rip), %%rdx\n\t"
                     "sysenter\n"
                     "1:"
                     : "+a"(result), "+D"(vcpu), "+S"(flags)
                     :
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "cc", "memory");
    return call_status(result);
}

// Returns the address of the vCPU's struct vcpu_log.
MUST_CHECK static inline int64_t vcpu_log_start(uint32_t vcpu)
{
    return system_call(SYS_VCPU_LOG, vcpu, 0, 0, 0, 0);
}

MUST_CHECK static inline enum status vcpu_read(uint32_t vcpu, uint32_t encoding, uint64_t *value)
{
    return call_status(system_call(SYS_VCPU_READ, vcpu, encoding, user_address(value), 0, 0));
}

MUST_CHECK static inline enum status vm_statistics_get(uint32_t vm,
                                                       struct vm_statistics *statistics)
{
    return call_status(system_call(SYS_VM_STATISTICS, vm, user_address(statistics), 0, 0, 0));
}
