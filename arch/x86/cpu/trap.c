// SPDX-License-Identifier: MIT
// Sorts traps and calls the kernel's hooks; see trap.h. Runs on the interrupted CPU with interrupts
// off.
#include "arch/x86/cpu/trap.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap_internal.h"
#include "kernel/lib/status.h"

extern char system_call_entry[]; // system_call.asm

const system_call_function *system_call_table;
uint64_t system_call_count;

static NORETURN void early_exception(const struct trap_frame *frame, uint64_t fault_address)
{
    static char text[4096];
    trap_describe(text, sizeof text, frame, fault_address);
    kernel_cannot_start(text);
}

static const struct trap_operations *operations; // null: none yet

void trap_install(const struct trap_operations *hooks)
{
    operations = hooks;
}

void system_call_install(const system_call_function *table, uint32_t count)
{
    system_call_table = table;
    system_call_count = count;
}

static void user_trap(struct trap_frame *frame)
{
    struct trap_information information = {
        .vector = frame->vector,
        .error_code = frame->error_code,
        .fault_address = frame->vector == VECTOR_PAGE_FAULT ? cr2_read() : 0,
        .return_address = frame->rip,
    };
    this_cpu()->trap = information;
    operations->user_exception(frame, &information);
}

static bool is_abort(uint64_t vector)
{
    return vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK;
}

void trap_dispatch(struct trap_frame *frame)
{
    if (!operations) {
        early_exception(frame, cr2_read());
    } else if (frame->vector == VECTOR_NMI) {
        operations->nmi(frame);
    } else if (frame->vector >= VECTOR_FIRST_INTERRUPT) {
        operations->interrupt((uint32_t)frame->vector, frame);
    } else if (trap_from_user(frame) && !is_abort(frame->vector)) {
        user_trap(frame);
    } else if (frame->vector == VECTOR_DEBUG && frame->rip == (uint64_t)system_call_entry) {
        frame->rflags &= ~RFLAGS_TF; // ring 3 single-stepped into SYSENTER
    } else {
        operations->kernel_exception(frame, cr2_read());
    }
}

struct trap_frame *trap_debug_frame(struct trap_frame *frame)
{
    if (!trap_from_user(frame)) {
        return frame;
    }
    struct trap_frame *moved = (struct trap_frame *)this_cpu()->tss.rsp[0] - 1;
    *moved = *frame;
    return moved;
}
