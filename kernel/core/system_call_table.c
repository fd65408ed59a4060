// SPDX-License-Identifier: MIT
// The system-call table: every handler behind the one way back to ring 3.
#include "arch/x86/cpu/context.h"
#include "kernel/abi/syscall.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/system_calls.h"
#include "kernel/lib/compiler.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/system_calls.h"

// The usual case, nothing to see to, costs one load and one compare.
#define DEFINE_ENTRY(number, handler)                                                              \
    static int64_t enter_##handler(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)     \
    {                                                                                              \
        int64_t result = handler(a, b, c, d, e);                                                   \
                                                                                                   \
        if (UNLIKELY(this_scheduler()->attention)) {                                               \
            leave_to_user();                                                                       \
        }                                                                                          \
        return result;                                                                             \
    }
CORE_SYSTEM_CALLS(DEFINE_ENTRY)
VM_SYSTEM_CALLS(DEFINE_ENTRY)

#define TABLE_ROW(number, handler) [number] = enter_##handler,
static const system_call_function table[SYSTEM_CALL_COUNT] = {CORE_SYSTEM_CALLS(TABLE_ROW)
                                                                  VM_SYSTEM_CALLS(TABLE_ROW)};

void system_calls_install(void)
{
    system_call_install(table, SYSTEM_CALL_COUNT);
}
