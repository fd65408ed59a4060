// SPDX-License-Identifier: MIT
// Finishes the most frequent exit, CPUID with an entry in the VM's table, before entry.asm has even
// left the guest's registers. What is unusual (single step, interrupt shadow, deadline passed, no
// plain entry) is left to the ordinary path. Called from entry.asm only.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/cpuid_table.h"
#include "arch/x86/virt/vmx/fields.h"

// What makes stepping over the instruction more than adding its length to RIP.
static inline uint64_t step_obstacles(void)
{
    return (vmcs_read_raw(VMCS_GUEST_INTERRUPTIBILITY) &
            (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) |
           (vmcs_read_raw(VMCS_GUEST_RFLAGS) & RFLAGS_TF);
}

bool vmx_fast_exit(struct vmx_vcpu *vmx)
{
    struct vcpu_page *page = vmx->frame.page;
    const struct vm_cpuid_entry *entry;
    uint32_t leaf;
    uint64_t left, next;

    vmx->reason = vmcs_read_32(VMCS_EXIT_REASON);
    if (vmx->reason != VMX_REASON_CPUID) {
        return false;
    }
    leaf = (uint32_t)page->gpr[GPR_RAX];
    left = vmx->deadline - tsc_read();
    entry = cpuid_table_entry(vmx->cpuid, vmx->cpuid->slots[cpuid_slot(leaf)]);
    if (entry == 0 || entry->leaf != leaf || (uint8_t)entry->flags != 0 || (int64_t)left <= 0 ||
        step_obstacles() != 0) {
        return false;
    }
    next = vmcs_read_natural(VMCS_GUEST_RIP) + vmcs_read_raw(VMCS_EXIT_INSTRUCTION_LENGTH);
    vmcs_write_natural(VMCS_GUEST_RIP, next);
    vmcs_write_raw(VMCS_PREEMPTION_TIMER, left >> vmx->timer_shift);
    page->gpr[GPR_RAX] = entry->eax;
    page->gpr[GPR_RBX] = entry->ebx;
    page->gpr[GPR_RCX] = entry->ecx;
    page->gpr[GPR_RDX] = entry->edx;
    CONTAINER_OF(vmx, struct virt_vcpu, backend)->cpuid_exits++;
    return true;
}
