// SPDX-License-Identifier: MIT
// Runs a loaded vCPU once, and turns its exit into the neutral one. This is the hot path: what a
// kernel-handled exit does not need is not read. Called by its own thread; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "arch/x86/virt/vmx/enter.h"
#include "arch/x86/virt/vmx/event.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/leave.h"
#include "arch/x86/virt/vmx/rip.h"
#include "arch/x86/virt/vmx/state.h"

#define PENDING_DEBUG_SINGLE_STEP (1u << 14)

// The guest has left at the TSC `now`.
/*@
  requires \valid(&vmx_around(vmx)->guest_ticks) && \valid(page) &&
    \separated(page, &vmx_around(vmx)->guest_ticks);
  terminates \true;
  assigns page->exit_tsc, vmx_around(vmx)->guest_ticks;
  ensures page->exit_tsc == now;
*/
static inline void count_time(struct vmx_vcpu *vmx, struct vcpu_page *page, uint64_t now)
{
    page->exit_tsc = now;
    vmx_virt(vmx)->guest_ticks += now; // the entry's time was taken off there
}

// Tells the monitor why the guest was not entered.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns *vcpu->page;
  ensures \result == VIRT_TO_MONITOR;
  ensures vcpu->page->exit.kind == EXIT_ENTRY_REFUSED;
  ensures vcpu->page->exit.refused.reason == reason && vcpu->page->exit.refused.error == error;
  ensures vcpu->page->dirty == \old(vcpu->page->dirty);
  ensures vcpu->page->event.word == \old(vcpu->page->event.word) &&
    vcpu->page->event.error_code == \old(vcpu->page->event.error_code) &&
    vcpu->page->event.instruction_length == \old(vcpu->page->event.instruction_length);
  ensures vcpu->page->valid == (\old(vcpu->page->valid) | (groups & VCPU_GROUP_ALL));
  ensures EXPORTS(0) ==> rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  ensures EXPORTS(1) ==> vcpu->page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    vcpu->page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures EXPORTS(2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(vcpu->page, i);
  ensures EXPORTS(3) ==> tables_same(vcpu->page);
  ensures EXPORTS(5) ==> vcpu->page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
*/
static enum virt_outcome refuse(struct virt_vcpu *vcpu, enum entry_refusal reason, uint32_t error,
                                uint32_t groups)
{
    struct vcpu_page *page = vcpu->page;

    page->exit = (struct vm_exit){0};
    page->exit.kind = EXIT_ENTRY_REFUSED;
    page->exit.refused.reason = reason;
    page->exit.refused.error = error;
    vmx_vcpu_export(vcpu, groups);
    return VIRT_TO_MONITOR;
}

uint32_t vmx_entry_failed(struct vmx_vcpu *vmx, bool invalid)
{
    struct virt_vcpu *vcpu = vmx_virt(vmx);
    uint32_t error = invalid ? 0 : vmcs_read_32(VMCS_INSTRUCTION_ERROR);

    //@ assert vmx_at(vcpu) == vmx && vmx_around(vmx) == vcpu;
    count_time(vmx, vcpu->page, tsc_read());
    vcpu->page->valid = 0;
    take_event_back(vmx, vcpu->page);
    vmx->instruction_error = error;
    /*@ assert vcpu->page->event.word == vmx->event.word && (vmx->event.word != 0 ==>
          vcpu->page->event.error_code == vmx->event.error_code &&
          vcpu->page->event.instruction_length == vmx->event.instruction_length); */
    //@ assert vcpu->page->valid == 0;
    return refuse(vcpu, invalid ? REFUSED_INVALID_STATE : REFUSED_CONTROL_FIELDS, error,
                  VCPU_GROUP_ALL);
}

// The page holds a value that cannot be loaded, so nothing was entered.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns *vcpu->page;
  ensures \result == VIRT_TO_MONITOR && vcpu->page->exit.kind == EXIT_ENTRY_REFUSED &&
    vcpu->page->exit.refused.reason == REFUSED_BY_KERNEL;
  ensures vcpu->page->dirty == \old(vcpu->page->dirty);
  ensures vcpu->page->event.word == \old(vcpu->page->event.word) &&
    vcpu->page->event.error_code == \old(vcpu->page->event.error_code) &&
    vcpu->page->event.instruction_length == \old(vcpu->page->event.instruction_length);
*/
static enum virt_outcome page_refused(struct virt_vcpu *vcpu)
{
    return refuse(vcpu, REFUSED_BY_KERNEL, 0,
                  VCPU_GROUP_RIP | (vcpu->page->wanted & ~vcpu->page->dirty));
}

// The words that few exits need.
/*@
  requires \valid(raw);
  // No row needs both of the words that tell of an IRET.
  requires !WORD_BIT(needs, 2) || !WORD_BIT(needs, 3);
  terminates \true;
  assigns raw->information, raw->interruption, raw->error_code, raw->gpa, raw->gva,
    vmcs_fields[VMCS_PML_INDEX], vmcs_fields[VMCS_TPR_THRESHOLD],
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  ensures raw_has_rare(raw, needs);
  ensures vmcs_fields[VMCS_PML_INDEX] ==
    (WORD_BIT(needs, 4) ? 0 : \old(vmcs_fields[VMCS_PML_INDEX]));
  ensures vmcs_fields[VMCS_TPR_THRESHOLD] ==
    (WORD_BIT(needs, 5) ? 0 : \old(vmcs_fields[VMCS_TPR_THRESHOLD]));
  ensures iret_undone(needs, raw->qualification) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] ==
      (\old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]) | 8);
  ensures !iret_undone(needs, raw->qualification) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] == \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
*/
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
    if ((needs & NEED_PAGE_LOG) != 0) {
        vmcs_write_16(VMCS_PML_INDEX, 0);
    }
    if ((needs & NEED_PRIORITY) != 0) {
        vmcs_write_32(VMCS_TPR_THRESHOLD, 0);
    }
    if ((needs & NEED_ADDRESSES) != 0) {
        raw->gpa = vmcs_read_64(VMCS_GUEST_PHYSICAL_ADDRESS);
        raw->gva = vmcs_read_natural(VMCS_GUEST_LINEAR_ADDRESS);
        restore_nmi_blocking(raw->qualification);
    }
}

/*@
  terminates \true;
  assigns \nothing;
  // An NMI is of type 2, a machine check has vector 18.
  ensures (word & 0x700) == 0x200 ==> \result == VIRT_NMI;
  ensures (word & 0x700) != 0x200 && (word & 0xff) == 18 ==> \result == VIRT_MACHINE_CHECK;
  ensures (word & 0x700) != 0x200 && (word & 0xff) != 18 ==> \result == VIRT_TO_MONITOR;
*/
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
        .reason = vcpu->reason,
        .qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION),
        .length = (row->needs & NEED_LENGTH) != 0 ? vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH) : 0,
    };

    if (UNLIKELY((row->needs & ~NEED_LENGTH) != 0)) {
        read_rare(&raw, row->needs);
    }
    vmx_decode(&raw, row, exit);
    vmx_export_rip(vcpu->page);
    return export_groups(vcpu, vcpu->page, row->groups,
                         vcpu->reason == VMX_REASON_EXCEPTION ? exception_outcome(raw.interruption)
                                                              : row->outcome);
}

// An exit that is neither a port access nor finished yet.
static NOINLINE enum virt_outcome exited_otherwise(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    const struct vmx_exit_row *row = vmx_exit_row((uint16_t)vcpu->reason);
    uint32_t vectoring;

    vcpu->page->valid = 0;
    if (UNLIKELY((vcpu->reason & VMX_REASON_ENTRY_FAILURE) != 0)) {
        take_event_back(vmx, vcpu->page);
    } else {
        vmx->frame.launched = 1;
        vectoring = (uint32_t)vmcs_read_raw(VMCS_VECTORING);
        if (UNLIKELY((vectoring & VCPU_EVENT_VALID) != 0)) {
            keep_interrupted_event(vcpu->page, vectoring);
        }
    }
    if (LIKELY(row->outcome < VIRT_FIRST_OF_HOST)) {
        return decode(vcpu, row);
    }
    if (row->outcome == VIRT_INTERRUPT) {
        vcpu->vector = vmcs_read_32(VMCS_EXIT_INTERRUPTION) & 0xff;
    }
    return row->outcome;
}

uint32_t vmx_exited(struct vmx_vcpu *vmx)
{
    struct virt_vcpu *vcpu = vmx_virt(vmx);
    struct vcpu_page *page = vmx->frame.page;
    uint32_t reason = vmcs_read_32(VMCS_EXIT_REASON);

    if ((reason == VMX_REASON_CPUID && vmx_answer_cpuid(vmx)) ||
        (reason == VMX_REASON_VMCALL && vmx_answer_vmcall(vmx))) {
        return VMX_RESUME;
    }
    count_time(vmx, page, tsc_read());
    vcpu->reason = reason;
    page->cr2 = cr2_read(); // another thread may run before the next entry
    if (LIKELY(reason == VMX_REASON_IO)) {
        vmx->frame.launched = 1; // no event was being delivered: the exit is an instruction's
        return decode_port(vcpu, page);
    }
    if (reason < VMX_EXIT_REASON_COUNT && (vmx_exit_rows[reason].needs & NEED_STEP) != 0) {
        vmx->frame.launched = 1;
        return decode_plain(vcpu, page, reason);
    }
    return exited_otherwise(vcpu);
}

// Everything that is not to be done at each entry.
/*@
  requires vmx_vcpu_loaded(vcpu) && requests_in_force(vmx_at(vcpu));
  requires !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  terminates \true;
  ENTRY_CONTRACT
*/
static NOINLINE enum virt_outcome enter_otherwise(struct virt_vcpu *vcpu, uint64_t deadline)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    //@ assert vmx_around(vmx) == vcpu;
    uint32_t dirty = page->dirty;
    uint64_t requests = wanted_requests(page);
    uint64_t now;

    if (!load_rare(vcpu, page, dirty)) {
        return page_refused(vcpu);
    }
    load_frequent(page, dirty);
    make_ready(vmx, requests);
    //@ assert RIP_ASKED(vcpu->page, vmcs_fields);
    now = tsc_read();
    if (deadline <= now) {
        vcpu->reason = VMX_REASON_TIMER;
        return VIRT_TIMER;
    }
    return enter_and_inject(vmx, page, now, deadline);
}

// The most frequent news: RIP's group was changed, or an interrupt is to be injected.
/*@
  requires vmx_vcpu_loaded(vcpu) && requests_in_force(vmx_at(vcpu)) && now < deadline;
  requires vmx_at(vcpu)->requests == REQUESTS_OF(vcpu->page) &&
    running_cpu->fpu_owner == vmx_at(vcpu)->fpu_area;
  requires !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  terminates \true;
  ENTRY_CONTRACT
*/
static NOINLINE enum virt_outcome enter_with_news(struct virt_vcpu *vcpu, uint64_t now,
                                                  uint64_t deadline)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    //@ assert vmx_around(vmx) == vcpu;
    uint32_t dirty = page->dirty;

    if ((dirty & ~(uint32_t)(VCPU_GROUP_RIP | VCPU_GROUP_SERVED)) != 0 ||
        event_reserved(page->event.word)) {
        return enter_otherwise(vcpu, deadline);
    }
    load_frequent(page, dirty);
    return enter_and_inject(vmx, page, now, deadline);
}

enum virt_outcome vmx_vcpu_enter(struct virt_vcpu *vcpu, uint64_t deadline)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    //@ assert vmx_around(vmx) == vcpu;
    uint64_t now = tsc_read();

    if (UNLIKELY(wanted_requests(page) != vmx->requests || vmx->cpu->fpu_owner != vmx->fpu_area ||
                 deadline <= now)) {
        return enter_otherwise(vcpu, deadline);
    }
    if (UNLIKELY(has_news(page))) {
        return enter_with_news(vcpu, now, deadline);
    }
    return enter(vmx, page, now, deadline);
}

// As an instruction that completed: RIP moves, the shadow of STI and MOV SS ends, and a single step
// becomes pending.
void vmx_vcpu_skip(struct virt_vcpu *vcpu)
{
    uint32_t interruptibility = vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY);
    uint64_t rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    uint64_t next = vmcs_read_natural(VMCS_GUEST_RIP) + vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);

    vcpu->page->valid &= ~(uint32_t)VCPU_GROUP_RIP;
    vmcs_write_natural(VMCS_GUEST_RIP, next);
    if (UNLIKELY((interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) != 0)) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      interruptibility & ~(VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
    }
    if (UNLIKELY((rflags & RFLAGS_TF) != 0)) {
        vmcs_write_natural(VMCS_GUEST_PENDING_DEBUG, PENDING_DEBUG_SINGLE_STEP);
    }
}
