// SPDX-License-Identifier: MIT
// The register group that every exit to the monitor moves: RIP, RSP, RFLAGS and interruptibility.
// Inline, because run.c needs it on the hot path and state.c and setup.c besides.
#pragma once

#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

// VMCS to page.
static inline void vmx_export_rip(struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    uint64_t rsp = vmcs_read_natural(VMCS_GUEST_RSP);
    uint64_t rflags = vmcs_read_natural(VMCS_GUEST_RFLAGS);
    uint32_t interruptibility = (uint32_t)vmcs_read_raw(VMCS_GUEST_INTERRUPTIBILITY);

    page->rip = vmcs_read_natural(VMCS_GUEST_RIP);
    page->gpr[GPR_RSP] = rsp;
    page->rflags = rflags;
    page->interruptibility = interruptibility;
    vmx->rsp = rsp;
    vmx->rflags = rflags;
    vmx->interruptibility = interruptibility;
}

// Page to VMCS. What has not changed since the export is not written.
static inline void vmx_import_rip(struct vmx_vcpu *vmx, const struct vcpu_page *page)
{
    uint64_t rsp = page->gpr[GPR_RSP];
    uint64_t rflags = page->rflags;
    uint32_t interruptibility = page->interruptibility;

    vmcs_write_natural(VMCS_GUEST_RIP, page->rip);
    if (rsp != vmx->rsp) {
        vmx->rsp = rsp;
        vmcs_write_natural(VMCS_GUEST_RSP, rsp);
    }
    if (rflags != vmx->rflags) {
        vmx->rflags = rflags;
        vmcs_write_natural(VMCS_GUEST_RFLAGS, rflags);
    }
    if (interruptibility != vmx->interruptibility) {
        vmx->interruptibility = interruptibility;
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY, interruptibility);
    }
}
