// SPDX-License-Identifier: MIT
// The steps of an entry, of which run.c's ways into the guest are made: what the page changed is
// loaded, what it asks to exit is put in force, its event is written, and the guest entered.
// Inline: each is on the hot path, or beside it. Called by the vCPU's own thread; no lock.
#pragma once

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/event.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/rip.h"
#include "arch/x86/virt/vmx/state.h"
#include "arch/x86/virt/vmx/vmx.h"

// The farthest deadline that the timer is set to, in TSC ticks: it fits the 32-bit field whatever
// the timer's rate. A later one is met in several entries.
#define TIMER_HORIZON (1ull << 22)

// As vmx_vcpu.requests has it; one load.
/*@
  requires \valid_read(page);
  terminates \true;
  assigns \nothing;
  ensures MOVED_16(\result, 0, page->request_window, 0);
  ensures MOVED_16(\result, 16, page->request_nmi_window, 0);
  ensures MOVED_16(\result, 32, page->exception_bitmap, 0);
  ensures MOVED_16(\result, 48, page->exception_bitmap, 16);
  ensures \result == REQUESTS_OF(page);
*/
static inline uint64_t wanted_requests(const struct vcpu_page *page)
{
    return page->request_window | (uint64_t)page->request_nmi_window << 16 |
           (uint64_t)page->exception_bitmap << 32;
}

/*@
  axiomatic shift { axiom shift_32: \forall integer a; a >= 0 ==> (a << 32) == a * 0x100000000; }
*/

// Whether something is to be loaded or injected; one load.
/*@
  requires \valid_read(page);
  terminates \true;
  assigns \nothing;
  ensures \result <==> page->dirty != 0 || page->event.word != 0;
*/
static inline bool has_news(const struct vcpu_page *page)
{
    uint64_t event = (uint64_t)page->event.word << 32;

    return (page->dirty | event) != 0;
}

/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS];
  ensures vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS] ==
    (WORD_BIT(dirty, 8) ? (uint16_t)page->interrupt_status
                        : \old(vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS]));
*/
static inline void load_served(const struct vcpu_page *page, uint32_t dirty)
{
    if ((dirty & VCPU_GROUP_SERVED) != 0) {
        vmcs_write_raw(VMCS_GUEST_INTERRUPT_STATUS, (uint16_t)page->interrupt_status);
    }
}

// Loads what changes often, RIP's group and which interrupts were served, and takes note of it.
/*@
  requires \valid(page) && dirty == page->dirty;
  terminates \true;
  assigns page->dirty, vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_GUEST_RSP],
    vmcs_fields[VMCS_GUEST_RFLAGS], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY],
    vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS];
  ensures RIP_ASKED(page, vmcs_fields);
  ensures vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS] ==
    (WORD_BIT(dirty, 8) ? (uint16_t)page->interrupt_status
                        : \old(vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS]));
  ensures page->dirty == 0;
*/
static inline void load_frequent(struct vcpu_page *page, uint32_t dirty)
{
    if ((dirty & VCPU_GROUP_RIP) != 0) {
        vmx_import_rip(page);
    }
    load_served(page, dirty);
    page->dirty = 0;
}

// Loads the groups besides RIP that were changed. False: the page holds what cannot be loaded or
// injected, and nothing was.
/*@
  requires vmx_vcpu_loaded(vcpu) && page == vcpu->page && dirty == page->dirty;
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], cpu_cr0, cpu_xcr0,
    vmx_at(vcpu)->xcr0, vmx_at(vcpu)->apic_mode, vmx_at(vcpu)->eoi_exit[0 .. 3],
    running_cpu->fpu_owner;
  ensures !\result ==> event_is_reserved(page->event.word) || (dirty & 0xfe) != 0;
  ensures event_is_reserved(page->event.word) ==> !\result;
  ensures !\result ==> \forall integer field; 0 <= field < 0x8000 ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures \forall integer field; 0 <= field < 0x8000 && !is_rare_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_BIT(now, before, 2) && SAME_BIT(now, before, 22);
*/
static inline bool load_rare(struct virt_vcpu *vcpu, const struct vcpu_page *page, uint32_t dirty)
{
    return !event_reserved(page->event.word) &&
           (vmx_besides_rip(dirty) == 0 || vmx_import_rare(vcpu, dirty) == STATUS_OK);
}

// Puts in force what the page asks to exit, and the guest's FPU state.
/*@
  requires \valid(vmx) && vmx->cpu == running_cpu && \valid(&running_cpu->fpu_owner) &&
    \separated(&running_cpu->fpu_owner, vmx) && requests_in_force(vmx);
  terminates \true;
  assigns vmx->requests, running_cpu->fpu_owner, cpu_cr0, cpu_xcr0,
    vmcs_fields[VMCS_PRIMARY_CONTROLS], vmcs_fields[VMCS_EXCEPTION_BITMAP];
  ensures vmx->requests == requests && requests_in_force(vmx);
  ensures running_cpu->fpu_owner == vmx->fpu_area;
*/
static inline void make_ready(struct vmx_vcpu *vmx, uint64_t requests)
{
    if (requests != vmx->requests) {
        vmx_apply_requests(vmx, requests);
    }
    if (vmx->cpu->fpu_owner != vmx->fpu_area) {
        vmx_claim_fpu(vmx);
    }
}

// Enters the guest, for which all is ready but the timer.
/*@
  requires vmx_vcpu_valid(vmx_around(vmx)) && vmx == vmx_at(vmx_around(vmx)) &&
    page == vmx_around(vmx)->page;
  requires now < deadline && vmx->timer_shift < 32;
  requires page->event.word == 0;
  terminates \true;
  assigns cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], *page, vmx->frame.host_rsp,
    vmx->frame.launched, vmx->instruction_error,
    vmx->deadline, vmx_around(vmx)->guest_ticks, vmx_around(vmx)->reason, vmx_around(vmx)->vector,
    vmx_around(vmx)->finished[0 .. VIRT_REASON_COUNT - 1], vmcs_fields[0 .. 0x7fff],
    vmcs_entered[0 .. 0x7fff], vmcs_entries;
  ensures \forall integer field; 0 <= field < 0x8000 && field != VMCS_PREEMPTION_TIMER ==>
    vmcs_entered[field] == \old(vmcs_fields[field]);
  ensures vmx->deadline <= deadline && vmx->deadline <= now + 0x400000;
  ensures vmcs_entries != \old(vmcs_entries);
  ensures !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  ensures page->dirty == \old(page->dirty) && vmx->requests == \old(vmx->requests);
  ensures vmcs_fields[VMCS_PRIMARY_CONTROLS] == \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]) &&
    vmcs_fields[VMCS_EXCEPTION_BITMAP] == \old(vmcs_fields[VMCS_EXCEPTION_BITMAP]);
*/
static inline enum virt_outcome enter(struct vmx_vcpu *vmx, const struct vcpu_page *page,
                                      uint64_t now, uint64_t deadline)
{
    uint64_t left = deadline - now;

    if (UNLIKELY(left > TIMER_HORIZON)) {
        left = TIMER_HORIZON;
    }
    vmx_virt(vmx)->guest_ticks -= now;
    vmx->deadline = now + left;
    vmcs_write_raw(VMCS_PREEMPTION_TIMER, left >> vmx->timer_shift);
    cr2_write(page->cr2);
    return vmx_guest_enter(&vmx->frame);
}

// Enters with the page's event, if there is one.
/*@
  requires vmx_vcpu_valid(vmx_around(vmx)) && vmx == vmx_at(vmx_around(vmx)) &&
    page == vmx_around(vmx)->page;
  requires now < deadline && vmx->timer_shift < 32;
  requires !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  terminates \true;
  assigns cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], *page, vmx->frame.host_rsp,
    vmx->frame.launched, vmx->instruction_error,
    vmx->deadline, vmx->event, vmx_around(vmx)->guest_ticks, vmx_around(vmx)->reason,
    vmx_around(vmx)->vector, vmx_around(vmx)->finished[0 .. VIRT_REASON_COUNT - 1],
    vmcs_fields[0 .. 0x7fff], vmcs_entered[0 .. 0x7fff], vmcs_entries;
  ensures entered_with(\old(page->event.word), \old(page->event.error_code),
                       \old(page->event.instruction_length));
  ensures \forall integer field; 0 <= field < 0x8000 && field != VMCS_PREEMPTION_TIMER &&
    field != VMCS_ENTRY_INTERRUPTION && field != VMCS_ENTRY_ERROR_CODE &&
    field != VMCS_ENTRY_INSTRUCTION_LENGTH ==>
      vmcs_entered[field] == \old(vmcs_fields[field]);
  ensures rip_of_vmcs{Pre}(RIP_FIELDS(vmcs_entered));
  ensures vmx->deadline <= deadline;
  ensures vmx->event.word == 0;
  ensures vmcs_entries != \old(vmcs_entries);
  ensures !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  ensures page->dirty == \old(page->dirty) && vmx->requests == \old(vmx->requests);
  ensures vmcs_fields[VMCS_PRIMARY_CONTROLS] == \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]) &&
    vmcs_fields[VMCS_EXCEPTION_BITMAP] == \old(vmcs_fields[VMCS_EXCEPTION_BITMAP]);
*/
static inline enum virt_outcome enter_and_inject(struct vmx_vcpu *vmx, struct vcpu_page *page,
                                                 uint64_t now, uint64_t deadline)
{
    enum virt_outcome outcome;

    if (page->event.word != 0) {
        write_event(vmx, page);
    }
    outcome = enter(vmx, page, now, deadline);
    vmx->event.word = 0;
    return outcome;
}
