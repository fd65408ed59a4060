// SPDX-License-Identifier: MIT
// Sorts traps and calls the kernel's hooks; see trap.h. Runs on the interrupted CPU with interrupts
// off.
#include "arch/x86/cpu/trap.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/early_console.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap_internal.h"
#include "arch/x86/paging/layout.h"
#include "kernel/lib/status.h"

extern char system_call_entry[];                // system_call.asm
extern char user_copy_begin[], user_copy_end[]; // user_copy.asm: instructions that may fault
extern char user_copy_fault[];                  // where they go on then

const system_call_function *system_call_table;
uint64_t system_call_count;

static NORETURN void early_exception(const struct trap_frame *frame, uint64_t fault_address)
{
    static char text[4096];
    trap_describe(text, sizeof text, frame, fault_address);
    early_print(text);
    halt_forever();
}

static void early_user(struct trap_frame *frame, const struct trap_information *information)
{
    early_exception(frame, information->fault_address);
}

static void early_interrupt(uint32_t vector, struct trap_frame *frame)
{
    (void)vector;
    early_exception(frame, 0);
}

static void early_nmi(struct trap_frame *frame)
{
    early_exception(frame, 0);
}

static const struct trap_operations early_operations = {
    .user_exception = early_user,
    .interrupt = early_interrupt,
    .nmi = early_nmi,
    .kernel_exception = early_exception,
};

static const struct trap_operations *operations = &early_operations;

void trap_install(const struct trap_operations *hooks)
{
    operations = hooks;
}

void system_call_install(const system_call_function *table, uint32_t count)
{
    system_call_table = table;
    system_call_count = count;
}

uint64_t trap_info_get(void)
{
    return this_cpu()->trap.fault_address;
}

uint64_t trap_info_ret(void)
{
    return this_cpu()->trap.return_address;
}

// True when the trap was expected: the frame then goes on at the right place.
static bool recover(struct trap_frame *frame, uint64_t fault_address)
{
    if (frame->vector == VECTOR_DEBUG && frame->rip == (uint64_t)system_call_entry) {
        frame->rflags &= ~RFLAGS_TF; // ring 3 single-stepped into SYSENTER
        return true;
    }
    if (frame->vector == VECTOR_PAGE_FAULT && fault_address < USER_LIMIT &&
        frame->rip >= (uint64_t)user_copy_begin && frame->rip < (uint64_t)user_copy_end) {
        frame->rip = (uint64_t)user_copy_fault;
        return true;
    }
    return false;
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
    if (frame->vector >= VECTOR_FIRST_INTERRUPT) {
        operations->interrupt((uint32_t)frame->vector, frame);
    } else if (frame->vector == VECTOR_NMI) {
        operations->nmi(frame);
    } else if (trap_from_user(frame) && !is_abort(frame->vector)) {
        user_trap(frame);
    } else {
        uint64_t fault_address = cr2_read();
        if (!recover(frame, fault_address)) {
            operations->kernel_exception(frame, fault_address);
        }
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
