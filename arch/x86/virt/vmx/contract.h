// SPDX-License-Identifier: MIT
// What the contracts of this folder are written in; for proofs only. Included by vmx.h, which has
// the structures that it speaks of.
#pragma once

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
               &vcpu->reason, &vcpu->vector);
*/

/*@
  // Whether the processor was entered with this event: its words, or none.
  predicate entered_with(integer word, integer error_code, integer length) =
    word == 0 ? !WORD_BIT(vmcs_entered[VMCS_ENTRY_INTERRUPTION], 31)
              : vmcs_entered[VMCS_ENTRY_INTERRUPTION] == word &&
                vmcs_entered[VMCS_ENTRY_ERROR_CODE] == error_code &&
                vmcs_entered[VMCS_ENTRY_INSTRUCTION_LENGTH] == length;
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
*/
