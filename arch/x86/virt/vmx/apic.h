// SPDX-License-Identifier: MIT
// Virtual-interrupt delivery: whether the processor has it, and what of the shared page it needs.
// Called for a loaded vCPU by its own thread; no lock.
#pragma once

#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

/*@
  // The processor lets the TPR shadow, bit 21, be 1, and of the secondary controls bits 4, 8 and 9.
  predicate apic_offered = WORD_BIT(capabilities_found->primary, 53) &&
    (0x310 & (uint64_t)~(capabilities_found->secondary >> 32)) == 0;
*/
/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> apic_offered;
*/
bool vmx_apic_offered(void);
// STATUS_INVALID: the page's group APIC cannot be loaded.
/*@
  requires \valid_read(page);
  terminates \true;
  assigns \nothing;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result == STATUS_OK <==> (page->interrupt_status & 0xffff0000) == 0 &&
    (page->apic_mode == VCPU_APIC_MONITOR ||
     (page->apic_mode == VCPU_APIC_VIRTUAL && apic_offered));
*/
MUST_CHECK enum status vmx_check_apic(const struct vcpu_page *page);
/*@
  requires vmx_vcpu_valid(vcpu) && \valid_read(vcpu->vm);
  terminates \true;
  assigns vmx_at(vcpu)->apic_mode, vmx_at(vcpu)->eoi_exit[0 .. 3],
    vmcs_fields[VMCS_PRIMARY_CONTROLS], vmcs_fields[VMCS_SECONDARY_CONTROLS],
    vmcs_fields[VMCS_MSR_BITMAP], vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS],
    vmcs_fields[VMCS_EOI_EXIT_0], vmcs_fields[VMCS_EOI_EXIT_1], vmcs_fields[VMCS_EOI_EXIT_2],
    vmcs_fields[VMCS_EOI_EXIT_3];
  ensures windows: \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_BIT(now, before, 2) && SAME_BIT(now, before, 22);
  // VM_INTERCEPT_APIC_PAGE and VM_INTERCEPT_TPR, bits 13 and 14, have set the controls.
  ensures apic_offered && !WORD_BIT(vcpu->vm->intercepts, 13) &&
    !WORD_BIT(vcpu->vm->intercepts, 14) ==>
      vmx_at(vcpu)->apic_mode == vcpu->page->apic_mode &&
      vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS] == (uint16_t)vcpu->page->interrupt_status &&
      \forall integer i; 0 <= i < 4 ==> vmx_at(vcpu)->eoi_exit[i] == vcpu->page->eoi_exit[i];
*/
void vmx_import_apic(struct virt_vcpu *vcpu);
/*@
  requires \valid(page);
  terminates \true;
  assigns page->interrupt_status;
  ensures apic_offered ==> page->interrupt_status == vmcs_fields[VMCS_GUEST_INTERRUPT_STATUS];
  ensures !apic_offered ==> page->interrupt_status == \old(page->interrupt_status);
*/
void vmx_export_apic(struct vcpu_page *page);
