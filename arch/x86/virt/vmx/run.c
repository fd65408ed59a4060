// SPDX-License-Identifier: MIT
// Runs a loaded vCPU once, and turns its exit into the neutral one. This is the hot path: what a
// kernel-handled exit does not need is not read. Called by its own thread; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/rip.h"

#define PENDING_DEBUG_SINGLE_STEP (1u << 14)
#define QUALIFICATION_STRING      (1u << 4)  // of an I/O instruction
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

// VMLAUNCH or VMRESUME itself failed: there is no exit to decode.
static enum virt_outcome entry_failed(struct virt_vcpu *vcpu, uint64_t result)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vm_exit *exit = &vcpu->page->exit;
    uint64_t error = 0;

    if (result == VMX_FAIL_VALID) {
        (void)!vmcs_try_read(VMCS_INSTRUCTION_ERROR, &error);
    }
    take_event_back(vmx, vcpu->page);
    vmx->instruction_error = (uint32_t)error;
    *exit = (struct vm_exit){.kind = EXIT_ENTRY_REFUSED};
    exit->refused.reason =
        result == VMX_FAIL_VALID ? REFUSED_CONTROL_FIELDS : REFUSED_INVALID_STATE;
    exit->refused.error = (uint32_t)error;
    vmx_vcpu_export(vcpu, VCPU_GROUP_ALL);
    return VIRT_TO_MONITOR;
}

// The page holds a value that cannot be loaded, so nothing was entered.
static enum virt_outcome page_refused(struct virt_vcpu *vcpu)
{
    struct vcpu_page *page = vcpu->page;

    page->exit = (struct vm_exit){.kind = EXIT_ENTRY_REFUSED};
    page->exit.refused.reason = REFUSED_BY_KERNEL;
    vmx_vcpu_export(vcpu, VCPU_GROUP_RIP | (page->wanted & ~page->dirty));
    return VIRT_TO_MONITOR;
}

// Fills the groups that an exit needs.
static inline void export_groups(struct virt_vcpu *vcpu, struct vcpu_page *page, uint32_t groups)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    vmx_export_rip(vmx, page);
    vmx->valid = VCPU_GROUP_RIP;
    page->valid = VCPU_GROUP_RIP;
    groups |= page->wanted;
    if (UNLIKELY((groups & ~VCPU_GROUP_RIP) != 0)) {
        vmx_vcpu_export(vcpu, groups);
    }
}

// An IRET that unblocked NMIs and then faulted has to be seen as not done: "Resuming Guest Software
// after Handling an Exception". Only where no event was being delivered is the bit defined.
static void restore_nmi_blocking(uint64_t word)
{
    if ((word & EXIT_NMI_UNBLOCKED) != 0 &&
        (vmcs_read_32(VMCS_VECTORING) & VCPU_EVENT_VALID) == 0) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_NMI);
    }
}

// The words that few exits need.
static void read_rare(struct vmx_raw *raw, uint32_t needs)
{
    if ((needs & NEED_INFORMATION) != 0) {
        raw->information = vmcs_read_32(VMCS_EXIT_INSTRUCTION_INFORMATION);
    }
    if ((needs & NEED_INTERRUPTION) != 0) {
        raw->interruption = vmcs_read_32(VMCS_EXIT_INTERRUPTION);
        raw->error_code = vmcs_read_32(VMCS_EXIT_ERROR_CODE);
        if ((raw->interruption & 0xff) != VECTOR_DOUBLE_FAULT) {
            restore_nmi_blocking(raw->interruption);
        }
    }
    if ((needs & NEED_ADDRESSES) != 0) {
        raw->gpa = vmcs_read_64(VMCS_GUEST_PHYSICAL_ADDRESS);
        raw->gva = vmcs_read_natural(VMCS_GUEST_LINEAR_ADDRESS);
        restore_nmi_blocking(raw->qualification);
    }
}

static enum virt_outcome exception_outcome(uint32_t word)
{
    if ((word & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        return VIRT_NMI;
    }
    return (word & 0xff) == VECTOR_MACHINE_CHECK ? VIRT_MACHINE_CHECK : VIRT_TO_MONITOR;
}

// Fills page->exit for an exit that the monitor may have to see.
static inline enum virt_outcome decode(struct virt_vcpu *vcpu, const struct vmx_exit_row *row)
{
    struct vm_exit *exit = &vcpu->page->exit;
    struct vmx_raw raw = {
        .reason = vmx_of(vcpu)->reason,
        .qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION),
        .length = (row->needs & NEED_LENGTH) != 0 ? vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH) : 0,
    };

    if (UNLIKELY((row->needs & ~NEED_LENGTH) != 0)) {
        read_rare(&raw, row->needs);
    }
    vmx_decode(&raw, row, exit);
    export_groups(vcpu, vcpu->page, row->groups);
    return vcpu->reason == VMX_REASON_EXCEPTION ? exception_outcome(raw.interruption)
                                                : row->outcome;
}

// The same for the most frequent exit, a port access, without the detour through its row.
static inline enum virt_outcome decode_port(struct virt_vcpu *vcpu)
{
    struct vcpu_page *page = vcpu->page;
    struct vm_exit *exit = &page->exit;
    uint64_t qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION);

    exit->kind = EXIT_PIO;
    exit->instruction_length = vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);
    exit->hardware_reason = VMX_REASON_IO;
    exit->hardware_qualification = qualification;
    exit->words[0] = vmx_port_word(qualification);
    vcpu->port = qualification >> 16 & 0xffff;
    if (UNLIKELY((qualification & QUALIFICATION_STRING) != 0)) {
        exit->words[0] |= vmx_port_string_bits(qualification);
        vmx_decode_string_port(vmcs_read_32(VMCS_EXIT_INSTRUCTION_INFORMATION), exit);
        export_groups(vcpu, page, VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS);
        return VIRT_TO_MONITOR;
    }
    export_groups(vcpu, page, 0);
    return VIRT_PORT;
}

// An exit that follows a successful or, with bit 31, a refused entry.
static inline enum virt_outcome exited(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    uint32_t reason = vmx->reason;
    const struct vmx_exit_row *row = vmx_exit_row((uint16_t)reason);
    uint64_t vectoring = vmcs_read_raw(VMCS_VECTORING);

    vcpu->reason = (uint16_t)reason;
    vcpu->page->cr2 = cr2_read(); // another thread may run before the next entry
    if (UNLIKELY((reason & VMX_REASON_ENTRY_FAILURE) != 0)) {
        take_event_back(vmx, vcpu->page);
    } else {
        vmx->frame.launched = 1;
        if (UNLIKELY((vectoring & VCPU_EVENT_VALID) != 0)) {
            keep_interrupted_event(vcpu->page, (uint32_t)vectoring);
        }
    }
    if (LIKELY(reason == VMX_REASON_IO)) {
        return decode_port(vcpu);
    }
    if (LIKELY(row->outcome < VIRT_FIRST_OF_HOST)) {
        return decode(vcpu, row);
    }
    if (row->outcome == VIRT_INTERRUPT) {
        vcpu->vector = vmcs_read_32(VMCS_EXIT_INTERRUPTION) & 0xff;
    }
    return row->outcome;
}

// Makes the CPU and the VMCS what the page asks for. STATUS_INVALID: it cannot be loaded.
static inline enum status prepare(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    uint32_t dirty = page->dirty;
    uint32_t exceptions = page->exception_bitmap;
    uint64_t requests = page->request_window | (uint64_t)page->request_nmi_window << 32;

    if (dirty != 0) {
        if (UNLIKELY((dirty & VCPU_GROUP_ALL & ~VCPU_GROUP_RIP) != 0) &&
            vmx_import_rare(vcpu, dirty) != STATUS_OK) {
            return STATUS_INVALID;
        }
        if ((dirty & VCPU_GROUP_RIP) != 0) {
            vmx_import_rip(vmx, page);
        }
        page->dirty = 0;
    }
    if (UNLIKELY(requests != vmx->requests || exceptions != vmx->exception_bitmap)) {
        vmx_apply_requests(vmx, requests, exceptions);
    }
    if (UNLIKELY(this_cpu()->fpu_owner != vmx->fpu_area)) {
        vmx_claim_fpu(vmx);
    }
    cr2_write(page->cr2);
    return STATUS_OK;
}

enum virt_outcome vmx_vcpu_enter(struct virt_vcpu *vcpu, uint64_t deadline)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    uint64_t start, left, result, end;

    if (UNLIKELY(prepare(vcpu) != STATUS_OK)) {
        return page_refused(vcpu);
    }
    start = tsc_read();
    left = deadline - start;
    if (UNLIKELY(left > TIMER_HORIZON)) {
        if (deadline <= start) {
            vcpu->reason = VMX_REASON_TIMER;
            return VIRT_TIMER;
        }
        left = TIMER_HORIZON;
    }
    vmx->deadline = start + left;
    vmcs_write_raw(VMCS_PREEMPTION_TIMER, left >> vmx->timer_shift);
    vmx->event.word = 0;
    if (UNLIKELY(page->event.word != 0)) {
        write_event(vmx, page);
    }
    vmx->valid = 0;
    result = vmx_guest_enter(&vmx->frame);
    end = tsc_read();
    page->exit_tsc = end;
    vcpu->guest_ticks += end - start;
    return LIKELY(result == VMX_EXITED) ? exited(vcpu) : entry_failed(vcpu, result);
}

// As an instruction that completed: RIP moves, the shadow of STI and MOV SS ends, and a single step
// becomes pending.
void vmx_vcpu_skip(struct virt_vcpu *vcpu)
{
    uint32_t interruptibility = vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    uint64_t next = vmcs_read_natural(VMCS_GUEST_RIP) + vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);

    vmx_of(vcpu)->valid &= ~(uint32_t)VCPU_GROUP_RIP;
    vmcs_write_natural(VMCS_GUEST_RIP, next);
    if (UNLIKELY((interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) != 0)) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      interruptibility & ~(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    }
    if (UNLIKELY((rflags & RFLAGS_TF) != 0)) {
        vmcs_write_natural(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_SINGLE_STEP);
    }
}
