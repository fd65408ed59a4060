// SPDX-License-Identifier: MIT
// The trap hooks (interrupt.h). An exception of a program ends that process; one of the kernel is
// a panic.
#include "kernel/core/interrupt.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "drivers/local_apic.h"
#include "drivers/serial.h"
#include "kernel/core/event_log.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/core/panic.h"
#include "kernel/core/serial_port.h"
#include "kernel/core/stop.h"
#include "kernel/memory/shootdown.h"
#include "kernel/process/process.h"
#include "kernel/thread/scheduler.h"

void interrupt_handle(uint32_t vector)
{
    struct cpu *cpu = this_cpu();

    cpu->in_interrupt++;
    if (vector == INTERRUPT_TIMER) {
        scheduler_timer_fired();
    } else if (vector == INTERRUPT_WAKE) {
        scheduler_run_due();
    } else if (vector >= INTERRUPT_SERIAL_BASE &&
               vector < INTERRUPT_SERIAL_BASE + SERIAL_PORT_COUNT) {
        serial_port_interrupt(vector - INTERRUPT_SERIAL_BASE);
    } else if (vector != INTERRUPT_SPURIOUS) {
        log_line(LOG_WARNING, "unexpected interrupt vector %u", vector);
    }
    if (vector != INTERRUPT_SPURIOUS) {
        local_apic_end_of_interrupt();
    }
    cpu->in_interrupt--;
}

void leave_to_user(void)
{
    while (this_scheduler()->attention) {
        if (!thread_preempt_point()) {
            thread_exit();
        }
        scheduler_arm_timer();
    }
}

static void hook_interrupt(uint32_t vector, struct trap_frame *frame)
{
    bool from_user = trap_from_user(frame);

    if (from_user) {
        event_log(EVENT_EXIT_USER, vector, 0, EVENT_MODE_HOST_KERNEL);
        proc_exit_user(this_cpu());
    }
    interrupt_handle(vector);
    if (from_user) {
        // The slice may be over without anything that calls for attention.
        this_scheduler()->attention |= ATTENTION_TIMER;
        leave_to_user();
        proc_start_user(this_cpu());
        event_log(EVENT_START_USER, 0, 0, EVENT_MODE_USER);
    }
}

static void end_faulted_process(const struct trap_frame *frame, const struct trap_information *trap)
{
    const struct thread *thread = current_thread();
    struct process_status status = {
        .faulted = 1,
        .vector = trap->vector,
        .fault_address = trap->fault_address,
        .fault_rip = trap->return_address,
    };
    log_line(LOG_ERROR, "process %s: %s (vector %lu, error 0x%lx) at rip 0x%lx, address 0x%lx",
             thread->process->name, trap_name(trap->vector), trap->vector, trap->error_code,
             frame->rip, trap->fault_address);
    process_kill(thread->process, &status);
}

static void hook_user_exception(struct trap_frame *frame, const struct trap_information *trap)
{
    event_log(EVENT_EXIT_USER, trap->vector, 0, EVENT_MODE_HOST_KERNEL);
    proc_exit_user(this_cpu());
    if (trap->vector == VECTOR_DEVICE_NOT_AVAILABLE) {
        fpu_claim(current_thread()->fpu_area);
    } else {
        end_faulted_process(frame, trap);
        leave_to_user();
    }
    proc_start_user(this_cpu());
    event_log(EVENT_START_USER, 0, 0, EVENT_MODE_USER);
}

extern char system_call_leave[]; // the STI before SYSEXIT: system_call.asm

static void hook_nmi(struct trap_frame *frame)
{
    stop_answer(frame);
    shootdown_answer();
    // Between the two, STI's shadow would be gone: an interrupt would find the mode of ring 3 in
    // the kernel, and leave its wake-ups unattended.
    if (frame->rip == (uint64_t)system_call_leave + 1) {
        frame->rip = (uint64_t)system_call_leave;
        frame->rflags &= ~RFLAGS_IF;
    }
}

NORETURN static void hook_kernel_exception(const struct trap_frame *frame, uint64_t fault_address)
{
    char report[2048];

    (void)trap_describe(report, sizeof(report), frame, fault_address);
    panic("exception in the kernel\n%s", report);
}

static const struct trap_operations operations = {
    .user_exception = hook_user_exception,
    .interrupt = hook_interrupt,
    .nmi = hook_nmi,
    .kernel_exception = hook_kernel_exception,
};

void interrupt_install(void)
{
    trap_install(&operations);
}
