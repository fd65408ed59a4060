// SPDX-License-Identifier: MIT
// The register group that every exit to the monitor moves: RIP, RSP, RFLAGS and interruptibility,
// and the step over an instruction. Inline, because run.c and fast.c need it on the hot path.
#pragma once

#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

// What makes stepping over the instruction more than adding its length to RIP; 0: nothing.
/*@
  requires \valid_read(vmx);
  terminates \true;
  assigns \nothing;
  ensures \result == 0 <==> (interruptibility & 3) == 0 && (rflags & vmx->obstacles) == 0;
*/
static inline uint64_t vmx_step_obstacles(const struct vmx_vcpu *vmx, uint64_t rflags,
                                          uint64_t interruptibility)
{
    return (interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS)) |
           (rflags & vmx->obstacles);
}

// VMCS to page.
/*@
  requires \valid(page);
  terminates \true;
  assigns page->rip, page->gpr[GPR_RSP], page->rflags, page->interruptibility;
  ensures page->rip == vmcs_fields[VMCS_GUEST_RIP] &&
    page->gpr[GPR_RSP] == vmcs_fields[VMCS_GUEST_RSP] &&
    page->rflags == vmcs_fields[VMCS_GUEST_RFLAGS] &&
    page->interruptibility == vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
*/
static inline void vmx_export_rip(struct vcpu_page *page)
{
    page->rip = vmcs_read_natural(VMCS_GUEST_RIP);
    page->gpr[GPR_RSP] = vmcs_read_natural(VMCS_GUEST_RSP);
    page->rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    page->interruptibility = (uint32_t)vmcs_read_raw(VMCS_GUEST_INTERRUPTIBILITY);
}

// The same for an instruction that the monitor will most likely step over: the VMCS is behind it
// already, if that needs no more than its length.
/*@
  requires \valid_read(vmx) && \valid(page) && \separated(vmx, page);
  terminates \true;
  assigns page->exit.instruction_length, page->exit.advanced, page->rip, page->gpr[GPR_RSP],
    page->rflags, page->interruptibility, vmcs_fields[VMCS_GUEST_RIP];
  ensures page->rip == \old(vmcs_fields[VMCS_GUEST_RIP]) &&
    page->gpr[GPR_RSP] == vmcs_fields[VMCS_GUEST_RSP] &&
    page->rflags == vmcs_fields[VMCS_GUEST_RFLAGS] &&
    page->interruptibility == vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  ensures page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH];
  // Behind the instruction, unless there is a shadow that would have to end.
  ensures page->exit.advanced == 1 || page->exit.advanced == 0;
  ensures page->exit.advanced == 1 <==>
    (page->interruptibility & 3) == 0 && (page->rflags & vmx->obstacles) == 0;
  ensures vmcs_fields[VMCS_GUEST_RIP] == (page->exit.advanced == 0 ? page->rip :
    (uint64_t)(page->rip + page->exit.instruction_length));
*/
static inline void vmx_export_and_step(const struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    uint64_t length = vmcs_read_raw(VMCS_EXIT_INSTRUCTION_LENGTH);
    uint64_t rip = vmcs_read_natural(VMCS_GUEST_RIP);
    uint64_t rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    uint64_t interruptibility = vmcs_read_raw(VMCS_GUEST_INTERRUPTIBILITY);

    page->exit.instruction_length = (uint32_t)length;
    page->rip = rip;
    page->gpr[GPR_RSP] = vmcs_read_natural(VMCS_GUEST_RSP);
    page->rflags = rflags;
    page->interruptibility = (uint32_t)interruptibility;
    if (LIKELY(vmx_step_obstacles(vmx, rflags, interruptibility) == 0)) {
        vmcs_write_natural(VMCS_GUEST_RIP, rip + length);
        page->exit.advanced = 1;
    } else {
        page->exit.advanced = 0;
    }
}

// Page to VMCS.
/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_GUEST_RSP],
    vmcs_fields[VMCS_GUEST_RFLAGS], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  ensures vmcs_fields[VMCS_GUEST_RIP] == page->rip &&
    vmcs_fields[VMCS_GUEST_RSP] == page->gpr[GPR_RSP] &&
    vmcs_fields[VMCS_GUEST_RFLAGS] == page->rflags &&
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] == page->interruptibility;
*/
static inline void vmx_import_rip(const struct vcpu_page *page)
{
    vmcs_write_natural(VMCS_GUEST_RIP, page->rip);
    vmcs_write_natural(VMCS_GUEST_RSP, page->gpr[GPR_RSP]);
    vmcs_write_natural(VMCS_GUEST_RFLAGS, page->rflags);
    vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY, page->interruptibility);
}
