// SPDX-License-Identifier: MIT
// The hardware words of an exit for the log of exits. Called by the vCPU's thread right after the
// exit, in runs that are logged; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"

// The bit that is always set is an obstacle then, so that fast.c leaves every exit alone.
void vmx_vcpu_trace_start(struct virt_vcpu *vcpu)
{
    vmx_of(vcpu)->obstacles |= (uint32_t)RFLAGS_RESERVED;
}

void vmx_vcpu_trace(struct virt_vcpu *vcpu, struct exit_record *record)
{
    uint64_t qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION);
    uint32_t interruption = vmcs_read_32(VMCS_EXIT_INTERRUPTION);
    uint32_t reason = vcpu->reason;

    if (vcpu->page->exit.kind == EXIT_ENTRY_REFUSED && (reason & VMX_REASON_ENTRY_FAILURE) == 0) {
        reason = VMX_REASON_ENTRY_FAILURE | VMX_REASON_GUEST_STATE; // VMfail gives no reason
    }
    record->reason = reason;
    record->rip = vmcs_read_natural(VMCS_GUEST_RIP);
    record->qualification = qualification;
    record->interruption = (interruption & VCPU_EVENT_VALID) != 0 ? interruption : 0;
    record->operand = 0;
    if (reason == VMX_REASON_EPT_VIOLATION || reason == VMX_REASON_MISCONFIGURATION) {
        record->operand = vmcs_read_64(VMCS_GUEST_PHYSICAL_ADDRESS);
    } else if (reason == VMX_REASON_CR || reason == VMX_REASON_DR) {
        record->operand = vcpu->page->gpr[qualification >> 8 & 15];
    }
}
