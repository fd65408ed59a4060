// SPDX-License-Identifier: MIT
// The system-call table: every handler behind the one way back to ring 3.
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/trap.h"
#include "kernel/abi/syscall.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/system_calls.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/string.h"
#include "kernel/memory/user_copy.h"
#include "kernel/process/process.h"
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

// Some processors have no SYSENTER in 64-bit mode ("SYSENTER" in AMD's manual): there it raises an
// invalid-opcode exception, and the call is made from the exception's registers.
bool system_call_by_trap(struct trap_frame *frame)
{
    static const uint8_t sysenter[2] = {0x0f, 0x34};
    uint8_t code[2];

    if (copy_from_user(&current_process()->space, code, frame->rip, sizeof(code)) != STATUS_OK ||
        memcmp(code, sysenter, sizeof(code)) != 0 || !user_range(frame->rdx, 1) ||
        !user_range(frame->rcx, 1)) {
        return false;
    }
    int64_t result = -(int64_t)STATUS_INVALID;
    if (frame->rax < SYSTEM_CALL_COUNT) {
        result = table[frame->rax](frame->rdi, frame->rsi, frame->r8, frame->r9, frame->r10);
    }
    frame->rip = frame->rdx;
    frame->rsp = frame->rcx;
    frame->rax = (uint64_t)result;
    frame->rcx = frame->rdx = frame->rsi = frame->rdi = 0;
    frame->r8 = frame->r9 = frame->r10 = frame->r11 = 0;
    return true;
}

void system_calls_install(void)
{
    system_call_install(table, SYSTEM_CALL_COUNT);
}
