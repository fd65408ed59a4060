// SPDX-License-Identifier: MIT
// Finishes the most frequent exits, CPUID with an entry in the VM's table and the null hypercall,
// before entry.asm has even left the guest's registers. What is unusual (single step, interrupt
// shadow, deadline passed, no plain entry) is left to the ordinary path. Called from run.c only.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/cpuid_table.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/rip.h"

// Moves past the instruction and sets the timer anew. False: not here, nothing was changed.
/*@
  requires \valid_read(vmx) && vmx->timer_shift < 32;
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_PREEMPTION_TIMER];
  STEPPED(\result != 0, vmx)
  NOT_STEPPED(\result == 0, vmx)
*/
static inline bool step_and_resume(const struct vmx_vcpu *vmx)
{
    uint64_t left = vmx->deadline - tsc_read();
    uint64_t next;

    if ((int64_t)left <= 0 || vmx_step_obstacles(vmx, vmcs_read_raw(VMCS_GUEST_RFLAGS),
                                                 vmcs_read_raw(VMCS_GUEST_INTERRUPTIBILITY)) != 0) {
        return false;
    }
    next = vmcs_read_natural(VMCS_GUEST_RIP) + vmcs_read_raw(VMCS_EXIT_INSTRUCTION_LENGTH);
    vmcs_write_natural(VMCS_GUEST_RIP, next);
    vmcs_write_raw(VMCS_PREEMPTION_TIMER, left >> vmx->timer_shift);
    /*@ assert vmcs_fields[VMCS_PREEMPTION_TIMER] ==
          vmcs_kept(VMCS_PREEMPTION_TIMER, left >> vmx->timer_shift); */
    return true;
}

bool vmx_answer_cpuid(struct vmx_vcpu *vmx)
{
    struct vcpu_page *page = vmx->frame.page;
    uint32_t leaf = (uint32_t)page->gpr[GPR_RAX];
    const struct vm_cpuid_entry *entry =
        cpuid_table_entry(vmx->cpuid, vmx->cpuid->slots[cpuid_slot(leaf)]);

    if (entry == 0 || entry->leaf != leaf || (uint8_t)entry->flags != 0 || !step_and_resume(vmx)) {
        return false;
    }
    page->gpr[GPR_RAX] = entry->eax;
    page->gpr[GPR_RBX] = entry->ebx;
    page->gpr[GPR_RCX] = entry->ecx;
    page->gpr[GPR_RDX] = entry->edx;
    vmx_virt(vmx)->finished[VMX_REASON_CPUID]++;
    return true;
}

// Hypercall 0 does nothing and succeeds: RAX, which chose it, is the result too.
bool vmx_answer_vmcall(struct vmx_vcpu *vmx)
{
    const struct vcpu_page *page = vmx->frame.page;

    if (page->gpr[GPR_RAX] != 0 || !step_and_resume(vmx)) {
        return false;
    }
    vmx_virt(vmx)->finished[VMX_REASON_VMCALL]++;
    return true;
}
