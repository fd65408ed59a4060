// SPDX-License-Identifier: MIT
// Constants for entry.asm; see arch/x86/cpu/asm_offsets.h. Never linked.
#include "arch/x86/cpu/asm_offsets.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

void asm_constants_vmx(void);
void asm_constants_vmx(void)
{
    ASM_CONSTANT(ASM_VMX_FRAME_PAGE, offsetof(struct vmx_frame, page));
    ASM_CONSTANT(ASM_VMX_FRAME_HOST_RSP, offsetof(struct vmx_frame, host_rsp));
    ASM_CONSTANT(ASM_VMX_FRAME_LAUNCHED, offsetof(struct vmx_frame, launched));
    ASM_CONSTANT(ASM_VMX_PAGE_GPR, offsetof(struct vcpu_page, gpr));
    ASM_CONSTANT(ASM_VMX_HOST_RSP, VMCS_HOST_RSP);
}
