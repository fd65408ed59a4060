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

/*@
  terminates \true;
  assigns \nothing;
  ensures \result == 0 ==> !WORD_BIT(needs, 1) && !WORD_BIT(needs, 2) && !WORD_BIT(needs, 3) &&
    !WORD_BIT(needs, 4) && !WORD_BIT(needs, 5);
*/
static inline bool needs_rare(uint32_t needs)
{
    return (needs & ~NEED_LENGTH) != 0;
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
  ensures exception_leads_to(word, \result);
*/
static enum virt_outcome exception_outcome(uint32_t word)
{
    if ((word & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        return VIRT_NMI;
    }
    return (word & 0xff) == VECTOR_MACHINE_CHECK ? VIRT_MACHINE_CHECK : VIRT_TO_MONITOR;
}

// Fills page->exit for an exit that the monitor may have to see.
/*@
  requires vmx_vcpu_valid(vcpu) && row_is_sound(row, vcpu->reason);
  requires \separated(row, vmx_at(vcpu), vcpu->page, &vcpu->page, &vcpu->reason);
  terminates \true;
  assigns vcpu->page->exit, EXPORTED(vcpu->page), vmcs_fields[VMCS_PML_INDEX],
    vmcs_fields[VMCS_TPR_THRESHOLD], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  ROW_TOLD(0 == 0, vcpu->page, *row, vcpu->reason)
  ensures \result < VIRT_OUTCOME_COUNT;
  ensures event_kept{Pre, Here}(vcpu->page);
  ensures vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched);
  ensures iret_undone(\old(row->needs), vmcs_fields[VMCS_EXIT_QUALIFICATION]) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] ==
      (\old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]) | 8);
  ensures !iret_undone(\old(row->needs), vmcs_fields[VMCS_EXIT_QUALIFICATION]) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] == \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
*/
static inline enum virt_outcome decode(struct virt_vcpu *vcpu, const struct vmx_exit_row *row)
{
    struct vmx_raw raw = {
        .reason = vcpu->reason,
        .qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION),
        .length = (row->needs & NEED_LENGTH) != 0 ? vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH) : 0,
    };
    uint32_t groups;

    if (UNLIKELY(needs_rare(row->needs))) {
        read_rare(&raw, row->needs);
    }
    /*@ assert vmcs_fields[VMCS_PML_INDEX] ==
          (WORD_BIT(row->needs, 4) ? 0 : \at(vmcs_fields[VMCS_PML_INDEX], Pre)) &&
          vmcs_fields[VMCS_TPR_THRESHOLD] ==
          (WORD_BIT(row->needs, 5) ? 0 : \at(vmcs_fields[VMCS_TPR_THRESHOLD], Pre)); */
    /*@ assert iret_undone(row->needs, vmcs_fields[VMCS_EXIT_QUALIFICATION]) ==>
          vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] ==
            (\at(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY], Pre) | 8); */
    /*@ assert vcpu->reason == VMX_REASON_EXCEPTION ==>
          raw.interruption == vmcs_fields[VMCS_EXIT_INTERRUPTION]; */
    /*@ assert raw.reason == vcpu->reason &&
          raw.qualification == vmcs_fields[VMCS_EXIT_QUALIFICATION]; */
    /*@ assert raw.length == 0 || (WORD_BIT(row->needs, 0) &&
          raw.length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]); */
    vmx_decode(&raw, row, &vcpu->page->exit);
    /*@ assert vcpu->page->exit.kind == \at(row->kind, Pre) && vcpu->page->exit.advanced == 0 &&
          vcpu->page->exit.hardware_reason == vcpu->reason &&
          vcpu->page->exit.hardware_qualification == vmcs_fields[VMCS_EXIT_QUALIFICATION]; */
    /*@ assert vcpu->page->exit.instruction_length == 0 || (WORD_BIT(\at(row->needs, Pre), 0) &&
          vcpu->page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]); */
    //@ assert vmx_at(vcpu)->frame.launched == \at(vmx_at(vcpu)->frame.launched, Pre);
    /*@ assert vcpu->reason == VMX_REASON_EXCEPTION ==>
          raw.interruption == vmcs_fields[VMCS_EXIT_INTERRUPTION]; */
    groups = row->groups;
    //@ assert groups == \at(row->groups, Pre) && row->outcome == \at(row->outcome, Pre);
    return leave_with(vcpu, groups,
                      vcpu->reason == VMX_REASON_EXCEPTION ? exception_outcome(raw.interruption)
                                                           : row->outcome);
}

// The event that the exit interrupted, or that was not injected, goes back to the page.
/*@
  requires \valid(vmx) && \valid(page) && \separated(vmx, page) && page->event.word == 0;
  terminates \true;
  assigns page->event, vmx->frame.launched, vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY],
    vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  EVENT_TOLD(0 == 0, vmx, page, reason)
*/
static inline void give_event_back(struct vmx_vcpu *vmx, struct vcpu_page *page, uint32_t reason)
{
    uint32_t vectoring;

    if (UNLIKELY((reason & VMX_REASON_ENTRY_FAILURE) != 0)) {
        take_event_back(vmx, page);
        return;
    }
    vmx->frame.launched = 1;
    vectoring = (uint32_t)vmcs_read_raw(VMCS_VECTORING);
    //@ assert vectoring == vmcs_fields[VMCS_VECTORING];
    if (UNLIKELY((vectoring & VCPU_EVENT_VALID) != 0)) {
        keep_interrupted_event(page, vectoring);
    }
}

// An exit that is neither a port access nor finished yet.
/*@
  requires vmx_vcpu_valid(vcpu) && rows_are_sound(vcpu);
  requires vcpu->page->event.word == 0;
  terminates \true;
  assigns vcpu->page->exit, vcpu->page->event, EXPORTED(vcpu->page), vcpu->vector,
    vmx_at(vcpu)->frame.launched, vmcs_fields[VMCS_PML_INDEX], vmcs_fields[VMCS_TPR_THRESHOLD],
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY], vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  ROW_TOLD(\old(ROW_OF(vcpu->reason).outcome) < VIRT_FIRST_OF_HOST, vcpu->page,
           ROW_OF(vcpu->reason), \old(vcpu->reason))
  HOST_TOLD(\old(ROW_OF(vcpu->reason).outcome) >= VIRT_FIRST_OF_HOST, vcpu, vcpu->page,
            ROW_OF(vcpu->reason))
  EVENT_TOLD(0 == 0, vmx_at(vcpu), vcpu->page, \old(vcpu->reason))
  ensures \result < VIRT_OUTCOME_COUNT;
*/
static NOINLINE enum virt_outcome exited_otherwise(struct virt_vcpu *vcpu)
{
    const struct vmx_exit_row *row = vmx_exit_row((uint16_t)vcpu->reason);

    //@ assert row == &ROW_OF(vcpu->reason) && row_is_sound(row, vcpu->reason);
    vcpu->page->valid = 0;
    give_event_back(vmx_of(vcpu), vcpu->page, vcpu->reason);
    //@ assert vcpu->reason == \at(vcpu->reason, Pre);
    /*@ assert row->kind == \at(ROW_OF(vcpu->reason).kind, Pre) &&
          row->outcome == \at(ROW_OF(vcpu->reason).outcome, Pre) &&
          row->needs == \at(ROW_OF(vcpu->reason).needs, Pre) &&
          row->groups == \at(ROW_OF(vcpu->reason).groups, Pre); */
    if (LIKELY(row->outcome < VIRT_FIRST_OF_HOST)) {
        enum virt_outcome outcome = decode(vcpu, row);

        //@ assert vcpu->reason == \at(vcpu->reason, Pre);
        return outcome;
    }
    if (row->outcome == VIRT_INTERRUPT) {
        vcpu->vector = vmcs_read_32(VMCS_EXIT_INTERRUPTION) & 0xff;
    }
    return row->outcome;
}

// Finishes one of the most frequent exits; false: it is left as it was.
/*@
  requires fast_ready(vmx);
  terminates \true;
  assigns vmx->frame.page->gpr[GPR_RAX], vmx->frame.page->gpr[GPR_RBX],
    vmx->frame.page->gpr[GPR_RCX], vmx->frame.page->gpr[GPR_RDX], FINISHED(vmx, VMX_REASON_CPUID),
    FINISHED(vmx, VMX_REASON_VMCALL), vmcs_fields[VMCS_GUEST_RIP],
    vmcs_fields[VMCS_PREEMPTION_TIMER];
  ensures \result != 0 ==> reason == VMX_REASON_CPUID || reason == VMX_REASON_VMCALL;
  CPUID_ANSWERED(\result != 0 && reason == VMX_REASON_CPUID, vmx)
  ensures \result != 0 && reason == VMX_REASON_VMCALL ==> vmx->frame.page->gpr[GPR_RAX] == 0;
  CPUID_LEFT(\result == 0 || reason == VMX_REASON_VMCALL, vmx)
  STEPPED(\result != 0, vmx)
  NOT_STEPPED(\result == 0, vmx)
*/
static inline bool answered(struct vmx_vcpu *vmx, uint32_t reason)
{
    return (reason == VMX_REASON_CPUID && vmx_answer_cpuid(vmx)) ||
           (reason == VMX_REASON_VMCALL && vmx_answer_vmcall(vmx));
}

// One that has to be taken apart.
/*@
  requires vmx_vcpu_valid(vcpu) && vmx == vmx_at(vcpu) && page == vcpu->page;
  requires rows_are_sound(vcpu) && page->event.word == 0;
  requires port_maps_valid(vcpu->vm) &&
    \separated(page, vmx, vcpu->vm, vcpu->vm->port_map[0] + (0 .. 511),
               vcpu->vm->port_map[1] + (0 .. 511), &vcpu->reason, &vcpu->guest_ticks,
               &vcpu->vector);
  requires reason == VMX_REASON_IO ==>
    vmx_port_qualification(vmcs_fields[VMCS_EXIT_QUALIFICATION]);
  terminates \true;
  assigns page->exit, page->event, page->exit_tsc, page->cr2, EXPORTED(page),
    vmx->frame.launched, vcpu->guest_ticks, vcpu->reason, vcpu->vector,
    vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_PML_INDEX], vmcs_fields[VMCS_TPR_THRESHOLD],
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY], vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  PORT_TOLD(reason == VMX_REASON_IO, vcpu, page)
  PLAIN_TOLD(EXIT_PLAIN(reason), vcpu, page, reason)
  ROW_TOLD(EXIT_BY_ROW(reason) && \old(ROW_OF(reason).outcome) < VIRT_FIRST_OF_HOST, page,
           ROW_OF(reason), reason)
  HOST_TOLD(EXIT_BY_ROW(reason) && \old(ROW_OF(reason).outcome) >= VIRT_FIRST_OF_HOST, vcpu, page,
            ROW_OF(reason))
  EVENT_TOLD(EXIT_BY_ROW(reason), vmx, page, reason)
  ensures vcpu->reason == reason;
  ensures !(EXIT_BY_ROW(reason)) ==> vmx->frame.launched == 1 && page->event.word == 0;
  ensures \result < VIRT_OUTCOME_COUNT;
*/
static inline uint32_t take_apart(struct virt_vcpu *vcpu, struct vmx_vcpu *vmx,
                                  struct vcpu_page *page, uint32_t reason)
{
    count_time(vmx, page, tsc_read());
    vcpu->reason = reason;
    page->cr2 = cr2_read(); // another thread may run before the next entry
    if (LIKELY(reason == VMX_REASON_IO)) {
        vmx->frame.launched = 1; // no event was being delivered: the exit is an instruction's
        //@ assert PORT_MAPS_KEPT(vcpu->vm);
        //@ assert PORT_PLACES;
        //@ assert PORT_BITS_KEPT(vcpu->vm);
        return decode_port(vcpu, page);
    }
    if (reason < VMX_EXIT_REASON_COUNT && (vmx_exit_rows[reason].needs & NEED_STEP) != 0) {
        vmx->frame.launched = 1;
        return decode_plain(vcpu, page, reason);
    }
    /*@ assert ROW_OF(reason).kind == \at(ROW_OF(reason).kind, Pre) &&
          ROW_OF(reason).outcome == \at(ROW_OF(reason).outcome, Pre) &&
          ROW_OF(reason).needs == \at(ROW_OF(reason).needs, Pre) &&
          ROW_OF(reason).groups == \at(ROW_OF(reason).groups, Pre); */
    //@ assert vmx->frame.launched == \at(vmx->frame.launched, Pre);
    return exited_otherwise(vcpu);
}

uint32_t vmx_exited(struct vmx_vcpu *vmx)
{
    uint32_t reason = vmcs_read_32(VMCS_EXIT_REASON);

    if (answered(vmx, reason)) {
        return VMX_RESUME;
    }
    //@ assert vmx->frame.launched == \at(vmx->frame.launched, Pre);
    //@ assert PORT_MAPS_KEPT(vmx_around(vmx)->vm);
    //@ assert PORT_PLACES;
    //@ assert PORT_BITS_KEPT(vmx_around(vmx)->vm);
    return take_apart(vmx_virt(vmx), vmx, vmx->frame.page, reason);
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
