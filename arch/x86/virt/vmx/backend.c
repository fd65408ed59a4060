// SPDX-License-Identifier: MIT
// The VMX backend's operations, as one table.
#include "arch/x86/virt/vmx/backend.h"

#include "arch/x86/virt/vmx/apic.h"
#include "arch/x86/virt/vmx/state.h"
#include "arch/x86/virt/vmx/vmx.h"

const struct virt_ops vmx_ops = {
    .name = "VMX",
    .apic_offered = vmx_apic_offered,
    .cpu_start = vmx_cpu_start,
    .nested_format = PAGE_FORMAT_EPT,
    .nested_largest = vmx_nested_largest,
    .vm_init = vmx_vm_init,
    .vm_pass_msrs = vmx_vm_pass_msrs,
    .vm_intercept = vmx_vm_intercept,
    .invalidate = vmx_invalidate,
    .vcpu_init = vmx_vcpu_init,
    .vcpu_destroy = vmx_vcpu_destroy,
    .vcpu_load = vmx_vcpu_load,
    .vcpu_unload = vmx_vcpu_unload,
    .vcpu_enter = vmx_vcpu_enter,
    .vcpu_export = vmx_vcpu_export,
    .vcpu_skip = vmx_vcpu_skip,
    .vcpu_read = vmx_vcpu_read,
    .vcpu_trace_start = vmx_vcpu_trace_start,
    .vcpu_trace = vmx_vcpu_trace,
};
