// SPDX-License-Identifier: MIT
// The system-call table: what each call's row asks of its caller and first argument, and every
// handler behind the one way back to ring 3.
#include "kernel/core/system_calls.h"
#include "arch/x86/cpu/context.h"
#include "drivers/serial.h"
#include "kernel/abi/syscall.h"
#include "kernel/core/calls.h"
#include "kernel/core/event_log.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/mode.h"
#include "kernel/lib/compiler.h"
#include "kernel/thread/scheduler.h"

typedef int64_t (*plain_call)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef int64_t (*handle_call)(const struct handle *, uint64_t, uint64_t, uint64_t, uint64_t,
                               uint64_t);

static int64_t call_as_root(plain_call handler, uint64_t a, uint64_t b, uint64_t c)
{
    return current_process()->is_root ? handler(a, b, c, 0, 0) : call_error(STATUS_DENIED);
}

static int64_t call_with_port(plain_call handler, uint64_t port, uint64_t b, uint64_t c)
{
    bool exists = port < SERIAL_PORT_COUNT && serial_present((unsigned)port);

    if (current_process()->is_root && !exists) {
        return call_error(STATUS_NOT_FOUND);
    }
    return call_as_root(handler, port, b, c);
}

static int64_t call_with_handle(enum handle_kind kind, handle_call handler, uint64_t number,
                                uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), number, kind, &handle);

    if (status != STATUS_OK) {
        return call_error(status);
    }
    int64_t result = handler(&handle, number, b, c, d, e);
    handle_release(&handle);
    return result;
}

#define CALL_ANY(handler)       handler(a, b, c, d, e)
#define CALL_ROOT(handler)      call_as_root(handler, a, b, c)
#define CALL_PORT(handler)      call_with_port(handler, a, b, c)
#define CALL_THREAD(handler)    call_with_handle(HANDLE_THREAD, handler, a, b, c, d, e)
#define CALL_CONTAINER(handler) call_with_handle(HANDLE_CONTAINER, handler, a, b, c, d, e)
#define CALL_MODULE(handler)    call_with_handle(HANDLE_MODULE, handler, a, b, c, d, e)
#define CALL_PROCESS(handler)   call_with_handle(HANDLE_PROCESS, handler, a, b, c, d, e)
#define CALL_CHANNEL(handler)   call_with_handle(HANDLE_CHANNEL, handler, a, b, c, d, e)
#define CALL_VM(handler)        call_with_handle(HANDLE_VM, handler, a, b, c, d, e)

static NOINLINE int64_t leave_slowly(int64_t result)
{
    leave_to_user();
    proc_start_user(this_cpu());
    return result;
}

// The usual case, nothing to see to, costs one load, one compare and one store.
static inline int64_t leave(int64_t result)
{
    struct cpu *cpu = this_cpu();

    if (UNLIKELY(((const struct scheduler *)cpu->kernel)->attention)) {
        return leave_slowly(result);
    }
    proc_start_user(cpu);
    return result;
}

#define DEFINE_ENTRY(number, handler, subject)                                                     \
    static int64_t enter_##handler(uint64_t a, uint64_t b, uint64_t c,                             \
                                   __attribute__((unused)) uint64_t d,                             \
                                   __attribute__((unused)) uint64_t e)                             \
    {                                                                                              \
        mode_check(this_cpu(), MODE_KERNEL, MODE_USER); /* what system_call.asm did */             \
        return leave(CALL_##subject(handler));                                                     \
    }
CORE_SYSTEM_CALLS(DEFINE_ENTRY)
VM_SYSTEM_CALLS(DEFINE_ENTRY)

#define TABLE_ROW(number, handler, ...) [number] = enter_##handler,
static const system_call_function table[SYSTEM_CALL_COUNT] = {CORE_SYSTEM_CALLS(TABLE_ROW)
                                                                  VM_SYSTEM_CALLS(TABLE_ROW)};

// The same with a log of events: a run without one has no more to do for it.
#define DEFINE_LOGGED(number, handler, ...)                                                        \
    static int64_t log_##handler(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)       \
    {                                                                                              \
        event_log(EVENT_EXIT_USER, EVENT_CALL + (number), 0, EVENT_MODE_HOST_KERNEL);              \
        int64_t result = enter_##handler(a, b, c, d, e);                                           \
        event_log(EVENT_START_USER, 0, 0, EVENT_MODE_USER);                                        \
        return result;                                                                             \
    }
CORE_SYSTEM_CALLS(DEFINE_LOGGED)
VM_SYSTEM_CALLS(DEFINE_LOGGED)

#define LOGGED_ROW(number, handler, ...) [number] = log_##handler,
static const system_call_function logged_table[SYSTEM_CALL_COUNT] = {
    CORE_SYSTEM_CALLS(LOGGED_ROW) VM_SYSTEM_CALLS(LOGGED_ROW)};

void system_calls_install(void)
{
    system_call_install(event_log_on ? logged_table : table, SYSTEM_CALL_COUNT);
}
