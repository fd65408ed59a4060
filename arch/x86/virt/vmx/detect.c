// SPDX-License-Identifier: MIT
// Finds out whether this processor can run guests, and turns VMX on on a CPU. What was
// found is written once at boot, before any VM exists, and constant afterwards; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/backend.h"
#include "arch/x86/virt/vmx/instructions.h"

static struct vmx_capabilities capabilities;
static struct vmx_controls controls;

const struct vmx_capabilities *vmx_capabilities(void)
{
    return &capabilities;
}

const struct vmx_controls *vmx_controls(void)
{
    return &controls;
}

// "VMX Capability Reporting Facility". Each of these exists when the one that announces it says so.
static void read_capabilities(struct vmx_capabilities *found)
{
    bool true_controls;

    found->basic = msr_read(MSR_VMX_BASIC);
    true_controls = (found->basic & BASIC_TRUE_CONTROLS) != 0;
    found->pin =
        msr_read(true_controls ? MSR_VMX_TRUE_PINBASED_CONTROLS : MSR_VMX_PINBASED_CONTROLS);
    found->primary =
        msr_read(true_controls ? MSR_VMX_TRUE_PROCBASED_CONTROLS : MSR_VMX_PROCBASED_CONTROLS);
    found->exit = msr_read(true_controls ? MSR_VMX_TRUE_EXIT_CONTROLS : MSR_VMX_EXIT_CONTROLS);
    found->entry = msr_read(true_controls ? MSR_VMX_TRUE_ENTRY_CONTROLS : MSR_VMX_ENTRY_CONTROLS);
    found->misc = msr_read(MSR_VMX_MISC);
    found->cr0_fixed0 = msr_read(MSR_VMX_CR0_FIXED0);
    found->cr0_fixed1 = msr_read(MSR_VMX_CR0_FIXED1);
    found->cr4_fixed0 = msr_read(MSR_VMX_CR4_FIXED0);
    found->cr4_fixed1 = msr_read(MSR_VMX_CR4_FIXED1);
    if ((found->primary >> 32 & PRIMARY_SECONDARY) != 0) {
        found->secondary = msr_read(MSR_VMX_PROCBASED_CONTROLS2);
        if ((found->secondary >> 32 & (SECONDARY_EPT | SECONDARY_VPID)) != 0) {
            found->ept_vpid = msr_read(MSR_VMX_EPT_VPID_CAPABILITY);
        }
    }
}

bool vmx_probe(struct vm_support *support)
{
    if (!cpu_features()->vmx) {
        support->lack = VM_LACKS_VMX;
        return false;
    }
    read_capabilities(&support->capabilities);
    capabilities = support->capabilities;
    // A processor with VMX has IA32_FEATURE_CONTROL, so reading it can't fault.
    vmx_decide(support, msr_read(MSR_FEATURE_CONTROL), &controls);
    return support->lack == VM_LACKS_NOTHING;
}

// "Enabling and Entering VMX Operation". Firmware that left the MSR open is not asked again: it is
// locked with VMX on, as VMXON demands.
enum status vmx_cpu_start(const struct virt_page *page)
{
    uint64_t feature_control = msr_read(MSR_FEATURE_CONTROL);
    const struct vmx_capabilities *found = vmx_capabilities();

    if ((feature_control & FEATURE_CONTROL_LOCKED) == 0) {
        msr_write(MSR_FEATURE_CONTROL,
                  feature_control | FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX);
    } else if ((feature_control & FEATURE_CONTROL_VMX_OUTSIDE_SMX) == 0) {
        return STATUS_UNSUPPORTED;
    }
    cr0_write((cr0_read() | found->cr0_fixed0) & found->cr0_fixed1);
    cr4_write((cr4_read() | CR4_VMXE | found->cr4_fixed0) & found->cr4_fixed1);
    vmx_page_write(page, (uint32_t)(found->basic & BASIC_REVISION_MASK));
    if (!vmx_vmxon(page->physical.value)) {
        cr4_write(cr4_read() & ~CR4_VMXE);
        return STATUS_UNSUPPORTED;
    }
    return STATUS_OK;
}
