// SPDX-License-Identifier: MIT
// Sets up a VM's and a vCPU's hardware structures, and switches vCPUs on a CPU. The VMCS is filled
// from tables; the guest's registers are zero until the monitor has them loaded.
// The callers in kernel/vm keep a vCPU to one thread and one CPU.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/instructions.h"
#include "kernel/lib/string.h"

#define FCW_RESET 0x40u

// -- VMs --------------------------------------------------------------------------------------

enum page_level vmx_nested_largest(void)
{
    return (vmx_capabilities()->ept_vpid & EPT_CAP_1G) != 0 ? PAGE_LEVEL_1G : PAGE_LEVEL_2M;
}

void vmx_invalidate(void)
{
    vmx_invept(2, 0); // all contexts
}

void vmx_flush_tlb(const struct vmx_vcpu *vmx)
{
    bool single = (vmx_capabilities()->ept_vpid & EPT_CAP_INVVPID_SINGLE) != 0;

    vmx_invvpid(single ? 1 : 2, vmx->vpid);
}

// -- vCPUs ------------------------------------------------------------------------------------

struct vmcs_value {
    uint32_t encoding;
    uint64_t value;
};

static void write_table(const struct vmcs_value *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vmcs_write_raw(table[i].encoding, table[i].value);
    }
}

#define FIELD_ENCODING(name, encoding, text, need) encoding,
static const uint16_t all_fields[] = {VMCS_FIELDS(FIELD_ENCODING)};
#undef FIELD_ENCODING

// VMCLEAR leaves fields undefined: zero is written to all that exist and can be written.
static void write_zeroes(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(all_fields); i++) {
        if ((all_fields[i] & VMCS_TYPE_MASK) != VMCS_TYPE_READ_ONLY) {
            (void)!vmcs_try_write(all_fields[i], 0);
        }
    }
}

// What never changes in the life of a vCPU.
static void write_constants(const struct virt_vm *vm, uint32_t vpid)
{
    const struct vmx_controls *controls = vmx_controls();
    uint32_t primary, secondary;

    vmx_intercept_controls(vm->intercepts, &primary, &secondary);
    const struct vmcs_value table[] = {
        {VMCS_PIN_CONTROLS, controls->pin},
        {VMCS_PRIMARY_CONTROLS, controls->primary | primary},
        {VMCS_SECONDARY_CONTROLS, controls->secondary | secondary},
        {VMCS_EXIT_CONTROLS, controls->exit},
        {VMCS_ENTRY_CONTROLS, controls->entry},
        {VMCS_VPID, vpid},
        {VMCS_EPT_POINTER, page_table_ept_pointer(vm->nested)},
        {VMCS_MSR_BITMAP, vm->msr_bitmap[VCPU_APIC_MONITOR].physical.value},
        {VMCS_LINK_POINTER, UINT64_MAX},
        {VMCS_CR0_MASK, VMX_CR0_OWNED},
        {VMCS_CR4_MASK, ~vmx_cr4_guest_bits(vmx_capabilities())},
        {VMCS_EXCEPTION_BITMAP, 1u << 18},
        {VMCS_HOST_CS_SELECTOR, SELECTOR_KERNEL_CODE},
        {VMCS_HOST_SS_SELECTOR, SELECTOR_KERNEL_DATA},
        {VMCS_HOST_TR_SELECTOR, SELECTOR_TSS},
        {VMCS_HOST_RIP, (uint64_t)vmx_guest_exit},
        {VMCS_HOST_PAT, HOST_PAT},
    };

    write_table(table, ARRAY_COUNT(table));
}

// What belongs to the CPU and the process that the vCPU runs on.
static void write_host_state(void)
{
    const struct vmcs_value table[] = {
        {VMCS_HOST_CR0, cr0_read() | CR0_TS},
        {VMCS_HOST_CR3, cr3_read()},
        {VMCS_HOST_CR4, cr4_read()},
        {VMCS_HOST_EFER, msr_read(MSR_EFER) & ~EFER_SCE},
        {VMCS_HOST_FS_BASE, msr_read(MSR_FS_BASE)},
        {VMCS_HOST_GS_BASE, msr_read(MSR_GS_BASE)},
        {VMCS_HOST_TR_BASE, (uint64_t)&this_cpu()->tss},
        {VMCS_HOST_GDTR_BASE, (uint64_t)this_cpu()->gdt},
        {VMCS_HOST_IDTR_BASE, cpu_idt_base()},
        {VMCS_HOST_SYSENTER_CS, msr_read(MSR_SYSENTER_CS)},
        {VMCS_HOST_SYSENTER_ESP, msr_read(MSR_SYSENTER_ESP)},
        {VMCS_HOST_SYSENTER_EIP, msr_read(MSR_SYSENTER_EIP)},
    };

    write_table(table, ARRAY_COUNT(table));
}

static void switch_in(struct vmx_vcpu *vmx)
{
    for (unsigned i = 0; i < VMX_SWITCHED_MSRS; i++) {
        if (vmx_switched_msrs[i] != MSR_TSC_AUX || cpu_features()->rdtscp) {
            msr_write(vmx_switched_msrs[i], vmx->msrs[i]);
        }
    }
    dr0_write(vmx->dr[0]);
    dr1_write(vmx->dr[1]);
    dr2_write(vmx->dr[2]);
    dr3_write(vmx->dr[3]);
    dr6_write(vmx->dr6);
}

static void switch_out(struct vmx_vcpu *vmx)
{
    for (unsigned i = 0; i < VMX_SWITCHED_MSRS; i++) {
        if (vmx_switched_msrs[i] != MSR_TSC_AUX || cpu_features()->rdtscp) {
            vmx->msrs[i] = msr_read(vmx_switched_msrs[i]);
        }
    }
    vmx->dr[0] = dr0_read();
    vmx->dr[1] = dr1_read();
    vmx->dr[2] = dr2_read();
    vmx->dr[3] = dr3_read();
    vmx->dr6 = dr6_read();
}

enum status vmx_vcpu_init(struct virt_vcpu *vcpu, struct virt_vm *vm, struct vcpu_page *page,
                          const struct virt_page *pages, uint16_t identifier)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    memset(vcpu, 0, sizeof(*vcpu));
    vcpu->page = page;
    vcpu->vm = vm;
    vmx->frame.page = page;
    vmx->vmcs = pages[0];
    vmx->fpu_area = pages[1].address;
    vmx->vpid = identifier;
    vmx->cpuid = vm->cpuid;
    vmx->obstacles = (uint32_t)(RFLAGS_TF | RFLAGS_RF);
    vmx->cpu = this_cpu();
    vmx->timer_shift = (uint32_t)vmx_capabilities()->misc & 31;
    vmx->xcr0 = XCR0_X87;
    fpu_area_initialize(vmx->fpu_area, FCW_RESET);
    *(uint32_t *)pages[0].address = (uint32_t)(vmx_capabilities()->basic & BASIC_REVISION_MASK);
    if (!vmx_vmclear(vmx->vmcs.physical.value) || !vmx_vmptrld(vmx->vmcs.physical.value)) {
        return STATUS_UNSUPPORTED;
    }
    write_zeroes();
    write_constants(vm, identifier);
    (void)!vmcs_try_write(VMCS_VIRTUAL_APIC_ADDRESS, pages[VIRT_APIC_PAGE].physical.value);
    vmx_write_intercepts(vm, &pages[3]);
    vmx_flush_tlb(vmx);
    write_host_state();
    switch_in(vmx);
    return STATUS_OK;
}

void vmx_vcpu_destroy(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    fpu_release(vmx->fpu_area);
    (void)!vmx_vmclear(vmx->vmcs.physical.value);
}

void vmx_vcpu_load(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    (void)!vmx_vmptrld(vmx->vmcs.physical.value); // fails only for an address it was never given
    write_host_state();
    switch_in(vmx);
}

void vmx_vcpu_unload(struct virt_vcpu *vcpu)
{
    switch_out(vmx_of(vcpu));
}

bool vmx_vcpu_read(struct virt_vcpu *vcpu, uint64_t encoding, uint64_t *value)
{
    (void)vcpu; // it is loaded
    return vmcs_try_read(encoding, value);
}
