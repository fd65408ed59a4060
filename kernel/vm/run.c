// SPDX-License-Identifier: MIT
// SYS_VCPU_RUN: enters the guest, finishes in the kernel what it can, and returns to the monitor
// with the decoded exit in the shared page. Runs on the vCPU's thread, interrupts off; the guest's
// time is bounded by the end of the thread's slice and the monitor's deadline.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/host_interrupt.h"
#include "kernel/core/mode.h"
#include "kernel/thread/scheduler.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/log.h"
#include "kernel/vm/objects.h"

enum verdict {
    ENTER_AGAIN, // finished
    PAUSE,       // finished, but other threads, events or the deadline may be due
    TO_MONITOR,  // the exit is the monitor's
    VERDICT_COUNT,
};

// -- accelerators -----------------------------------------------------------------------------

typedef enum verdict accelerator(struct vcpu *vcpu);

static enum verdict leave_to_monitor(struct vcpu *vcpu)
{
    (void)vcpu;
    return TO_MONITOR;
}

static enum verdict take_interrupt(struct vcpu *vcpu)
{
    host_interrupt(vcpu->virt.vector);
    return PAUSE;
}

static enum verdict take_nmi(struct vcpu *vcpu)
{
    (void)vcpu;
    hostout(this_cpu()); // that is what the NMI interrupted, should it stop the machine
    host_nmi();
    hostin(this_cpu());
    return ENTER_AGAIN;
}

static enum verdict take_machine_check(struct vcpu *vcpu)
{
    (void)vcpu;
    host_machine_check();
    return ENTER_AGAIN;
}

// A guest that entered with interrupts off may have held back the host's: they are let in here.
static enum verdict end_of_time(struct vcpu *vcpu)
{
    (void)vcpu;
    interrupt_window();
    return PAUSE;
}

#define CPUID_ECX_OSXSAVE (1u << 27)

static uint32_t follow_osxsave(struct vcpu *vcpu, uint32_t ecx)
{
    virt_backend->vcpu_export(&vcpu->virt, VCPU_GROUP_CONTROL);
    return (vcpu->virt.page->cr4 & CR4_OSXSAVE) != 0 ? ecx | CPUID_ECX_OSXSAVE
                                                     : ecx & ~CPUID_ECX_OSXSAVE;
}

static enum verdict answer_cpuid(struct vcpu *vcpu)
{
    static const struct vm_cpuid_entry absent;
    struct vcpu_page *page = vcpu->virt.page;
    const struct vm_cpuid_entry *entry = cpuid_table_find(
        vcpu->vm->cpuid, (uint32_t)page->gpr[GPR_RAX], (uint32_t)page->gpr[GPR_RCX]);
    uint32_t ecx;

    entry = entry != NULL ? entry : &absent;
    ecx = entry->ecx;
    if (UNLIKELY((entry->flags & (VM_CPUID_ASK | VM_CPUID_OSXSAVE)) != 0)) {
        if ((entry->flags & VM_CPUID_ASK) != 0) {
            return TO_MONITOR;
        }
        ecx = follow_osxsave(vcpu, ecx);
    }
    page->gpr[GPR_RAX] = entry->eax;
    page->gpr[GPR_RBX] = entry->ebx;
    page->gpr[GPR_RCX] = ecx;
    page->gpr[GPR_RDX] = entry->edx;
    virt_backend->vcpu_skip(&vcpu->virt);
    return ENTER_AGAIN;
}

// True when none of the ports [port, port + size) has a device.
static bool all_float(const struct virt_vm *vm, uint32_t port, uint32_t size)
{
    for (uint32_t i = port; i < port + size; i++) {
        if (!virt_port_floats(vm, i & 0xffff)) {
            return false;
        }
    }
    return true;
}

static enum verdict answer_port(struct vcpu *vcpu)
{
    const struct vm_exit *exit = &vcpu->virt.page->exit;
    uint64_t *rax = &vcpu->virt.page->gpr[GPR_RAX];
    uint32_t size = exit->pio.size & 7; // the page is the monitor's too: nothing in it is believed

    if (!all_float(vcpu->virt.vm, exit->pio.port, size)) {
        return TO_MONITOR;
    }
    if (exit->pio.in != 0) {
        *rax = size >= 4 ? UINT32_MAX : *rax | ((1u << (8 * size)) - 1);
    }
    virt_backend->vcpu_skip(&vcpu->virt);
    return ENTER_AGAIN;
}

static accelerator *const accelerators[VIRT_OUTCOME_COUNT] = {
    [VIRT_TO_MONITOR] = leave_to_monitor,
    [VIRT_INTERRUPT] = take_interrupt,
    [VIRT_NMI] = take_nmi,
    [VIRT_MACHINE_CHECK] = take_machine_check,
    [VIRT_TIMER] = end_of_time,
    [VIRT_CPUID] = answer_cpuid,
    [VIRT_PORT] = answer_port,
};

// -- the loop ---------------------------------------------------------------------------------

static inline bool events_pending(const struct vcpu *vcpu)
{
    return atomic_load_explicit(&vcpu->thread->events, memory_order_relaxed) != 0;
}

// When the thread's slice may end. The timer is set to it unless something calls for attention.
static inline uint64_t slice_end(const struct scheduler *scheduler)
{
    return scheduler->attention == 0 ? scheduler->armed : scheduler_slice_end_tsc();
}

// Enters the guest once, until the thread's slice ends at `end`. Its state is in this CPU, which is
// looked up anew: fewer registers are to be kept.
static inline enum virt_outcome enter_until(struct vcpu *vcpu, uint64_t end, bool logged)
{
    uint64_t deadline = vcpu->virt.page->deadline_tsc;
    enum virt_outcome outcome;

    deadline = deadline - 1 < end ? deadline : end; // 0: none
    hostout(vcpu->cpu);
    outcome =
        logged ? vcpu_log_enter(vcpu, deadline) : virt_backend->vcpu_enter(&vcpu->virt, deadline);
    hostin(this_cpu());
    return outcome;
}

static enum virt_outcome enter(struct vcpu *vcpu, bool logged)
{
    vcpu_make_loaded(vcpu);
    return enter_until(vcpu, slice_end(vcpu->cpu->kernel), logged);
}

// Finishes the exit if the kernel can.
static enum verdict finish_exit(struct vcpu *vcpu, enum virt_outcome outcome)
{
    enum verdict verdict = accelerators[outcome](vcpu);

    if (verdict != TO_MONITOR && vcpu->virt.reason < VIRT_REASON_COUNT) {
        vcpu->virt.finished[vcpu->virt.reason]++;
    }
    return verdict;
}

// What needs the monitor without the guest running on: an event, or the deadline. A halted vCPU
// sleeps until one of them comes. EXIT_NONE: neither.
static enum exit_kind wait_or_poll(struct vcpu *vcpu)
{
    struct vcpu_page *page = vcpu->virt.page;
    uint64_t deadline = page->deadline_tsc;

    if (events_pending(vcpu)) {
        page->events = thread_take_events();
        return EXIT_EVENT;
    }
    if (page->halted != 0) {
        uint64_t events = thread_sleep_until_event(deadline != 0 ? deadline : DEADLINE_NONE);

        page->events = events;
        return events != 0 ? EXIT_EVENT : EXIT_DEADLINE;
    }
    return deadline != 0 && tsc_read() >= deadline ? EXIT_DEADLINE : EXIT_NONE;
}

// Ends a run without an exit of the guest's own.
static enum status end_run(struct vcpu *vcpu, enum exit_kind kind)
{
    struct vcpu_page *page = vcpu->virt.page;

    vcpu_make_loaded(vcpu); // others may have run since
    virt_backend->vcpu_export(&vcpu->virt, VCPU_GROUP_RIP | (page->wanted & ~page->dirty));
    page->exit.kind = kind;
    page->exit.advanced = 0;
    return thread_killed() ? STATUS_DEAD : STATUS_OK;
}

// After an exit: enters the guest until one is the monitor's, or there is something else to tell
// it.
static NOINLINE enum status run_on(struct vcpu *vcpu, enum virt_outcome outcome, bool logged)
{
    while (outcome != VIRT_TO_MONITOR) {
        enum verdict verdict = finish_exit(vcpu, outcome);
        enum exit_kind kind = EXIT_NONE;

        if (verdict == TO_MONITOR) {
            break;
        }
        if (verdict == PAUSE) {
            if (thread_should_yield() && !thread_preempt_point()) {
                return STATUS_DEAD;
            }
            kind = wait_or_poll(vcpu);
        }
        if (kind != EXIT_NONE || (logged && vcpu_log_full(vcpu))) {
            return end_run(vcpu, kind);
        }
        outcome = enter(vcpu, logged);
    }
    return STATUS_OK;
}

// The rest of a run whose first exit is not simply the monitor's: other threads may run meanwhile.
static NOINLINE enum status finish_later(enum virt_outcome outcome)
{
    struct vcpu *vcpu = current_thread()->vcpu;
    enum status status;

    vcpu->running = true;
    status = run_on(vcpu, outcome, false);
    vcpu->running = false;
    return status;
}

// A run that is not simply one of the guest.
static NOINLINE enum status run_otherwise(struct vcpu *vcpu, uint64_t flags)
{
    bool logged = (flags & VCPU_RUN_LOG) != 0;
    enum exit_kind kind = EXIT_NONE;
    enum status status;

    if ((flags & ~(uint64_t)(VCPU_RUN_FETCH | VCPU_RUN_LOG)) != 0) {
        return STATUS_INVALID;
    }
    if ((flags & VCPU_RUN_FETCH) != 0) {
        return end_run(vcpu, EXIT_NONE); // the events of the last run stay in the page
    }
    if (logged && vcpu->log == NULL) {
        return STATUS_STATE;
    }
    if (logged) {
        vcpu_log_call(vcpu);
    }
    vcpu->exits_to_monitor++;
    vcpu->running = true;
    if (vcpu->virt.page->halted != 0 || events_pending(vcpu)) {
        kind = wait_or_poll(vcpu);
    }
    status = kind == EXIT_NONE ? run_on(vcpu, enter(vcpu, logged), logged) : end_run(vcpu, kind);
    vcpu->running = false;
    if (logged) {
        vcpu_log_return(vcpu);
    }
    return status;
}

enum status vcpu_run(struct vcpu *vcpu, const struct thread *thread, uint64_t flags)
{
    const struct scheduler *scheduler = vcpu->cpu->kernel;
    uint64_t events = atomic_load_explicit(&thread->events, memory_order_relaxed);
    enum virt_outcome outcome;

    if (UNLIKELY((flags | events | vcpu->virt.page->halted | scheduler->attention) != 0 ||
                 !vcpu->loaded)) {
        return run_otherwise(vcpu, flags);
    }
    vcpu->exits_to_monitor++;
    outcome = enter_until(vcpu, scheduler->armed, false); // what the timer is set to
    return LIKELY(outcome == VIRT_TO_MONITOR) ? STATUS_OK : finish_later(outcome);
}
