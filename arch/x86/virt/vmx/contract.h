// SPDX-License-Identifier: MIT
// What the contracts of this folder are written in; for proofs only. Included by vmx.h, which has
// the structures that it speaks of.
#pragma once

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/virt/vmx/exits.h"

// For contracts: the backend's part of a vCPU, which overlaps nothing else in use.
/*@
  axiomatic vmx_part {
    logic struct vmx_vcpu *vmx_at(struct virt_vcpu *vcpu) reads \nothing;
    logic struct virt_vcpu *vmx_around(struct vmx_vcpu *vmx) reads \nothing;
    logic struct vmx_vcpu *vmx_with(struct vmx_frame *frame) reads \nothing;
    axiom vmx_part_of: \forall struct virt_vcpu *vcpu; vmx_around(vmx_at(vcpu)) == vcpu;
    axiom vmx_frame_of: \forall struct vmx_vcpu *vmx; vmx_with(&vmx->frame) == vmx;
  }
*/
/*@
  predicate vmx_vcpu_valid(struct virt_vcpu *vcpu) =
    \valid(&vcpu->page) && \valid(&vcpu->vm) && \valid(&vcpu->guest_ticks) &&
    \valid(&vcpu->reason) && \valid(&vcpu->vector) && \valid(vcpu->page) &&
    \valid(vmx_at(vcpu)) && vmx_at(vcpu)->frame.page == vcpu->page &&
    \separated(vmx_at(vcpu), vcpu->page, &vcpu->page, &vcpu->vm, &vcpu->guest_ticks,
               &vcpu->reason, &vcpu->vector, vcpu->finished + (0 .. VIRT_REASON_COUNT - 1));
  // This CPU holds its state, too.
  predicate vmx_vcpu_loaded(struct virt_vcpu *vcpu) =
    vmx_vcpu_valid(vcpu) && vmx_at(vcpu)->timer_shift < 32 &&
    vmx_at(vcpu)->cpu == running_cpu && \valid(&running_cpu->fpu_owner) &&
    \separated(&running_cpu->fpu_owner, vmx_at(vcpu), vcpu->page, &vcpu->page, &vcpu->vm) &&
    \valid_read(vcpu->vm);
*/

/*@
  // An IRET unblocked NMIs and then faulted: bit 12 of an exception's word, but for a double
  // fault, or of an address's qualification; not where an event was being delivered.
  predicate iret_undone(integer needs, integer qualification) =
    !WORD_BIT(vmcs_fields[VMCS_VECTORING], 31) &&
    ((WORD_BIT(needs, 2) && WORD_BIT(qualification, 12)) ||
     (WORD_BIT(needs, 3) && WORD_BIT(vmcs_fields[VMCS_EXIT_INTERRUPTION], 12) &&
      (vmcs_fields[VMCS_EXIT_INTERRUPTION] & 0xff) != 8));
*/

/*@
  // What is so of every row of the table of exits, which overlaps nothing of a vCPU.
  predicate rows_are_sound(struct virt_vcpu *vcpu) =
    (\forall integer i; 0 <= i < VMX_EXIT_REASON_COUNT ==> row_is_sound(&vmx_exit_rows[i], i)) &&
    \separated(&vmx_exit_rows[0 .. VMX_EXIT_REASON_COUNT - 1], vmx_at(vcpu), vcpu->page,
               &vcpu->page, &vcpu->reason, &vcpu->vector, &vcpu->guest_ticks,
               vcpu->finished + (0 .. VIRT_REASON_COUNT - 1));
*/

/*@
  // An exception's outcome: an NMI is of type 2, a machine check has vector 18.
  predicate exception_leads_to(integer word, integer outcome) =
    (word & 0x700) == 0x200 ? outcome == VIRT_NMI :
    (word & 0xff) == 18 ? outcome == VIRT_MACHINE_CHECK : outcome == VIRT_TO_MONITOR;
*/

/*@
  // Of "Event Injection", types 1 and 7.
  predicate event_is_reserved(integer word) =
    WORD_BIT(word, 31) && ((word & 0x700) == 0x100 || (word & 0x700) == 0x700);
  // That controls and exceptions say what vmx_vcpu.requests says: windows are bits 2 and 22,
  // machine checks, bit 18, are the host's.
  predicate requests_say(integer requests, integer primary, integer exceptions) =
    (WORD_BIT(primary, 2) <==> (requests & 0xffff) != 0) &&
    (WORD_BIT(primary, 22) <==> (requests & 0xffff0000) != 0) &&
    exceptions == ((uint32_t)(requests >> 32) | 0x40000);
  predicate requests_in_force(struct vmx_vcpu *vmx) =
    requests_say(vmx->requests, vmcs_fields[VMCS_PRIMARY_CONTROLS],
                 vmcs_fields[VMCS_EXCEPTION_BITMAP]);
*/

/*@
  // Whether the processor was entered with this event: its words, or none.
  predicate entered_with(integer word, integer error_code, integer length) =
    word == 0 ? !WORD_BIT(vmcs_entered[VMCS_ENTRY_INTERRUPTION], 31)
              : vmcs_entered[VMCS_ENTRY_INTERRUPTION] == word &&
                vmcs_entered[VMCS_ENTRY_ERROR_CODE] == error_code &&
                vmcs_entered[VMCS_ENTRY_INSTRUCTION_LENGTH] == length;
  // Values of RIP's group: the page's, and those that the VMCS holds.
  predicate rip_of_page(struct vcpu_page *page, integer rip, integer rsp, integer rflags,
                        integer interruptibility) =
    rip == page->rip && rsp == page->gpr[GPR_RSP] && rflags == page->rflags &&
    interruptibility == page->interruptibility;
  predicate rip_of_vmcs(integer rip, integer rsp, integer rflags, integer interruptibility) =
    rip == vmcs_fields[VMCS_GUEST_RIP] && rsp == vmcs_fields[VMCS_GUEST_RSP] &&
    rflags == vmcs_fields[VMCS_GUEST_RFLAGS] &&
    interruptibility == vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
*/

// The VMCS numbers the segments as enum segment_index does, two encodings apart.
/*@
  predicate segment_same(struct vcpu_page *page, integer i) =
    vmcs_fields[0x0800 + 2 * i] == page->segment[i].selector &&
    vmcs_fields[0x6806 + 2 * i] == page->segment[i].base &&
    vmcs_fields[0x4800 + 2 * i] == page->segment[i].limit &&
    vmcs_fields[0x4814 + 2 * i] == page->segment[i].access_rights;
  predicate tables_same(struct vcpu_page *page) =
    vmcs_fields[VMCS_GUEST_GDTR_BASE] == page->gdtr.base &&
    vmcs_fields[VMCS_GUEST_GDTR_LIMIT] == page->gdtr.limit &&
    vmcs_fields[VMCS_GUEST_IDTR_BASE] == page->idtr.base &&
    vmcs_fields[VMCS_GUEST_IDTR_LIMIT] == page->idtr.limit;
  predicate is_segment_field(integer field) = field % 2 == 0 &&
    (0x0800 <= field <= 0x080e || 0x6806 <= field <= 0x6814 || 0x4800 <= field <= 0x480e ||
     0x4814 <= field <= 0x4822);
  // Those of the groups besides RIP.
  predicate is_rare_field(integer field) = is_segment_field(field) ||
    field == VMCS_CR0_SHADOW || field == VMCS_CR4_SHADOW || field == VMCS_GUEST_CR0 ||
    field == VMCS_GUEST_CR3 || field == VMCS_GUEST_CR4 || field == VMCS_GUEST_EFER ||
    field == VMCS_ENTRY_CONTROLS || field == VMCS_GUEST_PDPTE0 || field == VMCS_GUEST_PDPTE1 ||
    field == VMCS_GUEST_PDPTE2 || field == VMCS_GUEST_PDPTE3 || field == VMCS_GUEST_GDTR_BASE ||
    field == VMCS_GUEST_GDTR_LIMIT || field == VMCS_GUEST_IDTR_BASE ||
    field == VMCS_GUEST_IDTR_LIMIT || field == VMCS_GUEST_SYSENTER_CS ||
    field == VMCS_GUEST_SYSENTER_ESP || field == VMCS_GUEST_SYSENTER_EIP ||
    field == VMCS_GUEST_PAT || field == VMCS_TSC_OFFSET || field == VMCS_GUEST_DR7 ||
    field == VMCS_PRIMARY_CONTROLS || field == VMCS_SECONDARY_CONTROLS ||
    field == VMCS_MSR_BITMAP || field == VMCS_GUEST_INTERRUPT_STATUS ||
    field == VMCS_EOI_EXIT_0 || field == VMCS_EOI_EXIT_1 || field == VMCS_EOI_EXIT_2 ||
    field == VMCS_EOI_EXIT_3;
  predicate event_kept{Asked, Now}(struct vcpu_page *page) =
    \at(page->event.word, Now) == \at(page->event.word, Asked) &&
    \at(page->event.error_code, Now) == \at(page->event.error_code, Asked) &&
    \at(page->event.instruction_length, Now) == \at(page->event.instruction_length, Asked);
  // Nothing was loaded, entered or injected, and the page says so.
  predicate entry_refused{Asked, Now}(struct virt_vcpu *vcpu, integer outcome) =
    outcome == VIRT_TO_MONITOR &&
    \at(vcpu->page->exit.kind, Now) == EXIT_ENTRY_REFUSED &&
    \at(vcpu->page->exit.refused.reason, Now) == REFUSED_BY_KERNEL &&
    \at(vcpu->page->dirty, Now) == \at(vcpu->page->dirty, Asked) &&
    event_kept{Asked, Now}(\at(vcpu->page, Now)) &&
    \at(vmcs_entries, Now) == \at(vmcs_entries, Asked) &&
    \forall integer field; 0 <= field < 0x8000 ==>
      \at(vmcs_fields[field], Now) == \at(vmcs_fields[field], Asked);
  // The deadline passed before, as exits by the timer, 52, say it; what the page changed is loaded,
  // its event waits.
  predicate entry_late{Asked, Now}(struct virt_vcpu *vcpu, integer outcome) =
    outcome == VIRT_TIMER && \at(vcpu->reason, Now) == 52 &&
    \at(vcpu->page->dirty, Now) == 0 &&
    event_kept{Asked, Now}(\at(vcpu->page, Now)) &&
    \at(vmcs_entries, Now) == \at(vmcs_entries, Asked);
*/

// What a page asks to exit, as vmx_vcpu.requests has it.
#define REQUESTS_OF(page)                                                                          \
    ((page)->request_window | (uint64_t)((page)->request_nmi_window << 16) |                       \
     (uint64_t)((page)->exception_bitmap << 32))

// What of a page an export may write.
// clang-format off
#define EXPORTED(page)                                                                             \
    (page)->valid, (page)->rip, (page)->gpr[GPR_RSP], (page)->rflags, (page)->interruptibility,    \
        (page)->cr0, (page)->cr3, (page)->cr4, (page)->efer, (page)->segment[0 .. 7],              \
        (page)->gdtr.base, (page)->gdtr.limit, (page)->idtr.base, (page)->idtr.limit,              \
        (page)->star, (page)->lstar, (page)->cstar, (page)->sfmask, (page)->kernel_gs_base,        \
        (page)->tsc_aux, (page)->sysenter_cs, (page)->sysenter_esp, (page)->sysenter_eip,          \
        (page)->pat, (page)->tsc_offset, (page)->dr[0 .. 3], (page)->dr6, (page)->dr7,             \
        (page)->xcr0, (page)->interrupt_status
// clang-format on

// For `ensures`: an export leaves alone what the page says of the exit beside the words of its
// kind, the page's event, the vCPU's reason, and that the VMCS is launched.
#define EXPORT_KEEPS(vcpu, page)                                                                   \
    ((page)->event.word == \old((page)->event.word) &&                                             \
     (page)->event.error_code == \old((page)->event.error_code) &&                                 \
     (page)->event.instruction_length == \old((page)->event.instruction_length) &&                 \
     (page)->exit.kind == \old((page)->exit.kind) &&                                               \
     (page)->exit.hardware_reason == \old((page)->exit.hardware_reason) &&                         \
     (page)->exit.hardware_qualification == \old((page)->exit.hardware_qualification) &&           \
     (page)->exit.instruction_length == \old((page)->exit.instruction_length) &&                   \
     (page)->exit.advanced == \old((page)->exit.advanced) &&                                       \
     (vcpu)->reason == \old((vcpu)->reason) &&                                                     \
     vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched))

// That an export of `groups` fills this one.
#define EXPORTS(bit) (WORD_BIT(groups, bit) && !WORD_BIT(\old(vcpu->page->valid), bit))

// That RIP's group is in these fields what the page asked for when the function was called: the
// page's if it was changed there, else what the VMCS held.
#define RIP_FIELDS(fields)                                                                         \
    (fields)[VMCS_GUEST_RIP], (fields)[VMCS_GUEST_RSP], (fields)[VMCS_GUEST_RFLAGS],               \
        (fields)[VMCS_GUEST_INTERRUPTIBILITY]
#define RIP_ASKED(page, fields)                                                                    \
    (WORD_BIT(\at((page)->dirty, Pre), 0) ? rip_of_page{Pre}(page, RIP_FIELDS(fields))             \
                                          : rip_of_vmcs{Pre}(RIP_FIELDS(fields)))

// The contract of an entry of `vcpu` until `deadline`, whatever its way: the guest is entered with
// all that the page asks for, or the entry is refused, or the deadline has passed, and then the
// event still waits.
// clang-format off
#define ENTERED (vmcs_entries != \old(vmcs_entries))
#define ENTRY_CONTRACT                                                                             \
    assigns *vcpu->page, vcpu->guest_ticks, vcpu->reason, vcpu->vector,                            \
        vcpu->finished[0 .. VIRT_REASON_COUNT - 1], vmx_at(vcpu)->frame.host_rsp,                  \
        vmx_at(vcpu)->frame.launched, vmx_at(vcpu)->deadline, vmx_at(vcpu)->event,                 \
        vmx_at(vcpu)->instruction_error, vmx_at(vcpu)->requests, vmx_at(vcpu)->xcr0,               \
        vmx_at(vcpu)->apic_mode, vmx_at(vcpu)->eoi_exit[0 .. 3], running_cpu->fpu_owner,           \
        cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], cpu_cr0, cpu_xcr0,                              \
        vmcs_fields[0 .. 0x7fff],                                                                  \
        vmcs_entered[0 .. 0x7fff], vmcs_entries;                                                   \
    ensures ENTERED ==> RIP_ASKED(vcpu->page, vmcs_entered);                                       \
    ensures ENTERED ==> entered_with(\old(vcpu->page->event.word),                                 \
        \old(vcpu->page->event.error_code), \old(vcpu->page->event.instruction_length));           \
    ensures ENTERED ==> requests_say(\old(REQUESTS_OF(vcpu->page)),                                \
        vmcs_entered[VMCS_PRIMARY_CONTROLS], vmcs_entered[VMCS_EXCEPTION_BITMAP]);                 \
    ensures ENTERED ==> running_cpu->fpu_owner == vmx_at(vcpu)->fpu_area;                          \
    ensures ENTERED ==> vcpu->page->dirty == 0 && vmx_at(vcpu)->deadline <= deadline;              \
    ensures event_is_reserved(\old(vcpu->page->event.word)) ==>                                    \
        entry_refused{Pre, Here}(vcpu, \result);                                                   \
    ensures ENTERED || entry_late{Pre, Here}(vcpu, \result) ||                                     \
        (entry_refused{Pre, Here}(vcpu, \result) &&                                                \
         (event_is_reserved(\old(vcpu->page->event.word)) ||                                       \
          (\old(vcpu->page->dirty) & 0xfe) != 0));                                                 \
    ensures !ENTERED && \result == VIRT_TIMER ==> RIP_ASKED(vcpu->page, vmcs_fields);              \
    ensures requests_in_force(vmx_at(vcpu));                                                       \
    ensures !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
// clang-format on
