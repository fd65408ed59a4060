// SPDX-License-Identifier: MIT
// Runs a loaded vCPU once, and turns its exit into the neutral one. This is the hot path: what a
// kernel-handled exit does not need is not read. Called by its own thread; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"

#define PENDING_DEBUG_SINGLE_STEP (1u << 14)
#define EXIT_NMI_UNBLOCKED        (1u << 12) // by an IRET; in the words of exceptions and memory

// The farthest deadline that the timer is set to, in TSC ticks: it fits the 32-bit field whatever
// the timer's rate. A later one is met in several entries.
#define TIMER_HORIZON (1ull << 31)

// "Event Injection".
static void write_event(struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    vmx->event = page->event;
    page->event.word = 0;
    vmcs_write_32(VMCS_ENTRY_ERROR_CODE, vmx->event.error_code);
    vmcs_write_32(VMCS_ENTRY_INSTRUCTION_LENGTH, vmx->event.instruction_length);
    vmcs_write_32(VMCS_ENTRY_INTERRUPTION, vmx->event.word);
}

// The event in the VMCS was not injected: it goes back to the page.
static void take_event_back(struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    if (vmx->event.word != 0) {
        page->event = vmx->event;
    }
    (void)!vmcs_try_write(VMCS_ENTRY_INTERRUPTION, 0);
}

// "Information for VM Exits That Occur During Event Delivery": the event is delivered again.
static void keep_interrupted_event(struct vcpu_page *page, uint32_t vectoring)
{
    page->event = vmx_reinjection(vectoring, vmcs_read_32(VMCS_VECTORING_ERROR_CODE),
                                  vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH));
    if ((vectoring & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        // It has not been delivered, so it blocks no others; its injection demands that.
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY) & ~VCPU_BLOCKED_BY_NMI);
    }
}

static enum virt_outcome exception_outcome(void)
{
    uint32_t word = vmcs_read_32(VMCS_EXIT_INTERRUPTION);

    if ((word & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        return VIRT_NMI;
    }
    return (word & 0xff) == 18 ? VIRT_MACHINE_CHECK : VIRT_TO_MONITOR;
}

// Port, size and direction for the kernel's port policy. String instructions go to the monitor.
static enum virt_outcome port_outcome(struct virt_vcpu *vcpu)
{
    uint64_t qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION);

    vcpu->port = (qualification >> 16 & 0xffff) | ((qualification & 7) + 1) << 16 |
                 (qualification >> 3 & 1) << 24;
    return (qualification & 1u << 4) != 0 ? VIRT_TO_MONITOR : VIRT_PORT;
}

// VM entry gave up before the guest ran.
static enum virt_outcome entry_failed(struct virt_vcpu *vcpu, uint64_t result)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    uint64_t error = 0;

    if (result == VMX_FAIL_VALID) {
        (void)!vmcs_try_read(VMCS_INSTRUCTION_ERROR, &error);
    }
    take_event_back(vmx, vcpu->page);
    vmx->entry_result = (enum vmx_entry_result)result;
    vmx->instruction_error = (uint32_t)error;
    vcpu->reason = VMX_REASON_GUEST_STATE;
    return VIRT_TO_MONITOR;
}

static uint64_t enter_with_guest_xcr0(struct vmx_vcpu *vmx)
{
    uint64_t result;

    xcr0_write(vmx->xcr0);
    result = vmx_guest_enter(&vmx->frame);
    xcr0_write(fpu_mask());
    return result;
}

// Fills in what the kernel needs to finish the exit.
static enum virt_outcome kernel_outcome(struct virt_vcpu *vcpu, enum virt_outcome outcome)
{
    if (vcpu->reason == VMX_REASON_IO) {
        return port_outcome(vcpu);
    }
    if (vcpu->reason == VMX_REASON_EXCEPTION) {
        outcome = exception_outcome();
    } else if (outcome == VIRT_INTERRUPT) {
        vcpu->vector = vmcs_read_32(VMCS_EXIT_INTERRUPTION) & 0xff;
    }
    if (outcome != VIRT_TO_MONITOR) {
        vcpu->page->cr2 = cr2_read(); // another thread may run before the next entry
    }
    return outcome;
}

// An exit that follows a successful or, with bit 31, a refused entry.
static enum virt_outcome exited(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    uint32_t vectoring = vmcs_read_32(VMCS_VECTORING);

    vcpu->reason = (uint16_t)vmx->reason;
    if (UNLIKELY((vmx->reason & VMX_REASON_ENTRY_FAILURE) != 0)) {
        take_event_back(vmx, vcpu->page);
        return VIRT_TO_MONITOR;
    }
    vmx->frame.launched = 1;
    if (UNLIKELY((vectoring & VCPU_EVENT_VALID) != 0)) {
        keep_interrupted_event(vcpu->page, vectoring);
    }
    return kernel_outcome(vcpu, vmx_exit_row(vcpu->reason)->outcome);
}

enum virt_outcome vmx_vcpu_enter(struct virt_vcpu *vcpu, uint64_t deadline)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    uint64_t start = tsc_read();
    uint64_t left = deadline > start ? deadline - start : 0;
    uint64_t result, end;

    left = left < TIMER_HORIZON ? left : TIMER_HORIZON;
    vmx->deadline = start + left;
    vmcs_write_32(VMCS_PREEMPTION_TIMER, (uint32_t)(left >> vmx->timer_shift));
    vmx->event.word = 0;
    if (UNLIKELY(page->event.word != 0)) {
        write_event(vmx, page);
    }
    vmx->valid = 0;
    result =
        UNLIKELY(vmx->xcr0_differs) ? enter_with_guest_xcr0(vmx) : vmx_guest_enter(&vmx->frame);
    end = tsc_read();
    page->exit_tsc = end;
    vcpu->guest_ticks += end - start;
    return LIKELY(result == VMX_EXITED) ? exited(vcpu) : entry_failed(vcpu, result);
}

// VMLAUNCH or VMRESUME itself failed: there is no exit to decode.
static void decode_failed_entry(const struct vmx_vcpu *vmx, struct vm_exit *exit)
{
    exit->kind = EXIT_ENTRY_REFUSED;
    exit->instruction_length = 0;
    exit->hardware_reason = 0;
    exit->hardware_qualification = 0;
    exit->refused.reason =
        vmx->entry_result == VMX_FAIL_VALID ? REFUSED_CONTROL_FIELDS : REFUSED_INVALID_STATE;
    exit->refused.error = vmx->instruction_error;
}

// An IRET that unblocked NMIs and then faulted has to be seen as not done: "Resuming Guest Software
// after Handling an Exception". Only where no event was being delivered is the bit defined.
static void restore_nmi_blocking(const struct vmx_raw *raw)
{
    bool exception = raw->reason == VMX_REASON_EXCEPTION;
    uint64_t word = exception ? raw->interruption : raw->qualification;

    if ((word & EXIT_NMI_UNBLOCKED) != 0 && !(exception && (word & 0xff) == 8) &&
        (vmcs_read_32(VMCS_VECTORING) & VCPU_EVENT_VALID) == 0) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_NMI);
    }
}

void vmx_vcpu_decode(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vmx_raw raw = {0};
    const struct vmx_exit_row *row;

    if (UNLIKELY(vmx->entry_result != VMX_EXITED)) {
        decode_failed_entry(vmx, &vcpu->page->exit);
        vmx->entry_result = VMX_EXITED;
        vmx_vcpu_export(vcpu, VCPU_GROUP_ALL);
        return;
    }
    raw.reason = vmx->reason;
    raw.qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION);
    row = vmx_exit_row((uint16_t)raw.reason);
    if ((row->needs & NEED_LENGTH) != 0) {
        raw.length = vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);
    }
    if ((row->needs & NEED_INFORMATION) != 0) {
        raw.information = vmcs_read_32(VMCS_EXIT_INSTRUCTION_INFORMATION);
    }
    if ((row->needs & NEED_INTERRUPTION) != 0) {
        raw.interruption = vmcs_read_32(VMCS_EXIT_INTERRUPTION);
        raw.error_code = vmcs_read_32(VMCS_EXIT_ERROR_CODE);
        restore_nmi_blocking(&raw);
    }
    if ((row->needs & NEED_ADDRESSES) != 0) {
        raw.gpa = vmcs_read_64(VMCS_GUEST_PHYSICAL_ADDRESS);
        raw.gva = vmcs_read_natural(VMCS_GUEST_LINEAR_ADDRESS);
        restore_nmi_blocking(&raw);
    }
    vmx_decode(&raw, &vcpu->page->exit);
    vcpu->page->cr2 = cr2_read();
    vmx_vcpu_export(vcpu, VCPU_GROUP_RIP | row->groups);
}

// As an instruction that completed: RIP moves, the shadow of STI and MOV SS ends, and a single step
// becomes pending.
void vmx_vcpu_skip(struct virt_vcpu *vcpu)
{
    uint32_t interruptibility = vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    uint64_t next = vmcs_read_natural(VMCS_GUEST_RIP) + vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);

    (void)vcpu;
    vmcs_write_natural(VMCS_GUEST_RIP, next);
    if (UNLIKELY((interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) != 0)) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      interruptibility & ~(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    }
    if (UNLIKELY((rflags & RFLAGS_TF) != 0)) {
        vmcs_write_natural(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_SINGLE_STEP);
    }
}
