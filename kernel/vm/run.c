// SPDX-License-Identifier: MIT
// SYS_VCPU_RUN: enters the guest, finishes in the kernel what it can, and returns to the monitor
// with the decoded exit in the shared page. Runs on the vCPU's thread, interrupts off; the guest's
// time is bounded by the end of the thread's slice and the monitor's deadline.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/host_interrupt.h"
#include "kernel/thread/thread.h"
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
    host_nmi();
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

static bool port_floats(const struct vm *vm, uint32_t port, uint32_t size)
{
    for (uint32_t i = port; i < port + size; i++) {
        const uint64_t *map = vm->port_map[i >> 15 & 1];

        if ((map[(i & 0x7fff) / 64] >> (i & 63) & 1) == 0) {
            return false;
        }
    }
    return true;
}

static enum verdict answer_port(struct vcpu *vcpu)
{
    uint32_t size = vcpu->virt.port >> 16 & 0xff;
    uint64_t *rax = &vcpu->virt.page->gpr[GPR_RAX];

    if (!port_floats(vcpu->vm, (uint16_t)vcpu->virt.port, size)) {
        return TO_MONITOR;
    }
    if (vcpu->virt.port >> 24 != 0) {
        *rax = size == 4 ? UINT32_MAX : *rax | ((1u << (8 * size)) - 1);
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

// Enters the guest until something else than an accelerator is needed.
static enum verdict enter_until(struct vcpu *vcpu, uint64_t deadline)
{
    const struct virt_ops *ops = virt_backend;
    struct cpu_mode *mode = &this_cpu()->mode;

    for (;;) {
        enum virt_outcome outcome;
        enum verdict verdict;

        mode->ihost = 0;
        outcome = ops->vcpu_enter(&vcpu->virt, deadline);
        mode->ihost = 1;
        verdict = accelerators[outcome](vcpu);
        if (verdict == TO_MONITOR) {
            return verdict;
        }
        vcpu->kernel_by_reason[vcpu->virt.reason % VM_REASON_COUNT]++;
        if (verdict == PAUSE) {
            return verdict;
        }
    }
}

static void set_exit(struct vcpu_page *page, enum exit_kind kind)
{
    page->exit = (struct vm_exit){.kind = kind};
}

static void refuse(struct vcpu_page *page)
{
    set_exit(page, EXIT_ENTRY_REFUSED);
    page->exit.refused.reason = REFUSED_BY_KERNEL;
}

// What needs the monitor without entering the guest: an event, or the deadline. False: nothing.
static bool is_due(struct vcpu *vcpu)
{
    struct vcpu_page *page = vcpu->virt.page;
    uint64_t deadline = page->deadline_tsc;
    uint64_t events = 0;

    if (atomic_load_explicit(&vcpu->thread->events, memory_order_relaxed) != 0) {
        events = thread_take_events();
    } else if (page->halted != 0) {
        events = thread_sleep_until_event(deadline != 0 ? deadline : DEADLINE_NONE);
    } else if (deadline == 0 || tsc_read() < deadline) {
        return false;
    }
    set_exit(page, events != 0 ? EXIT_EVENT : EXIT_DEADLINE);
    page->events |= events;
    return true;
}

// Fills what every exit has, and what the monitor wants besides.
static void fill_groups(struct vcpu *vcpu, bool entered)
{
    struct vcpu_page *page = vcpu->virt.page;
    uint32_t groups = page->wanted & ~page->dirty;

    if (entered) {
        groups |= VCPU_GROUP_RIP;
    } else {
        groups &= ~page->valid;
    }
    if (groups != 0) {
        vcpu_make_loaded(vcpu);
        virt_backend->vcpu_export(&vcpu->virt, groups);
    }
}

static enum status run(struct vcpu *vcpu, bool *entered)
{
    struct vcpu_page *page = vcpu->virt.page;

    for (;;) {
        uint64_t deadline = page->deadline_tsc;
        uint64_t slice_end;

        if (is_due(vcpu)) {
            return thread_killed() ? STATUS_DEAD : STATUS_OK;
        }
        vcpu_make_loaded(vcpu);
        if (virt_backend->vcpu_prepare(&vcpu->virt) != STATUS_OK) {
            refuse(page);
            return STATUS_OK;
        }
        slice_end = scheduler_slice_end_tsc();
        deadline = deadline != 0 && deadline < slice_end ? deadline : slice_end;
        *entered = true;
        if (enter_until(vcpu, deadline) == TO_MONITOR) {
            virt_backend->vcpu_decode(&vcpu->virt);
            return STATUS_OK;
        }
        if (thread_should_yield() && !thread_preempt_point()) {
            return STATUS_DEAD;
        }
    }
}

enum status vcpu_run(struct vcpu *vcpu, uint32_t flags)
{
    struct vcpu_page *page = vcpu->virt.page;
    bool entered = false;
    enum status status = STATUS_OK;

    if ((flags & VCPU_RUN_FETCH) != 0) {
        page->exit.kind = EXIT_NONE;
        fill_groups(vcpu, false);
        return STATUS_OK;
    }
    page->events = 0;
    vcpu->running = true;
    status = run(vcpu, &entered);
    vcpu->running = false;
    if (status == STATUS_OK) {
        fill_groups(vcpu, entered);
        if (atomic_load_explicit(&vcpu->thread->events, memory_order_relaxed) != 0) {
            page->events |= thread_take_events();
        }
        vcpu->exits_to_monitor++;
    }
    return status;
}
