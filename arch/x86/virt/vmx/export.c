// SPDX-License-Identifier: MIT
// Fills register groups of the shared page from the VMCS and this CPU's registers. Called for a
// loaded vCPU by its own thread; no lock.
#include "arch/x86/virt/vmx/state.h"

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/apic.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/rip.h"

// CR0 and CR4 as the guest sees them: the bits that are not its own are in the shadow.
/*@
  requires \valid(page);
  terminates \true;
  assigns page->cr0, page->cr3, page->cr4, page->efer, page->segment[SEGMENT_CS].access_rights,
    page->segment[SEGMENT_SS].access_rights;
  ensures page->cr3 == vmcs_fields[VMCS_GUEST_CR3] && page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures page->segment[SEGMENT_CS].access_rights == vmcs_fields[VMCS_GUEST_CS_RIGHTS] &&
    page->segment[SEGMENT_SS].access_rights == vmcs_fields[VMCS_GUEST_SS_RIGHTS];
  // NE, NW and CD are not.
  ensures \let cr0 = vmcs_fields[VMCS_GUEST_CR0]; \let shadow = vmcs_fields[VMCS_CR0_SHADOW];
    SAME_4(page->cr0, cr0, 0) && SAME_BIT(page->cr0, cr0, 4) && SAME_BIT(page->cr0, shadow, 5) &&
    SAME_BIT(page->cr0, cr0, 6) && SAME_BIT(page->cr0, cr0, 7) && SAME_16(page->cr0, cr0, 8) &&
    SAME_4(page->cr0, cr0, 24) && SAME_BIT(page->cr0, cr0, 28) &&
    SAME_BIT(page->cr0, shadow, 29) && SAME_BIT(page->cr0, shadow, 30) &&
    SAME_BIT(page->cr0, cr0, 31);
  // MCE, LA57, VMXE and SMXE are not.
  ensures \let shadow = vmcs_fields[VMCS_CR4_SHADOW]; SAME_BIT(page->cr4, shadow, 6) &&
    SAME_4(page->cr4, shadow, 12) && SAME_BIT(page->cr4, shadow, 19);
*/
static void export_control(struct vcpu_page *page)
{
    uint64_t cr4_owned = ~vmx_cr4_guest_bits(vmx_capabilities());

    page->cr0 = (vmcs_read_natural(VMCS_GUEST_CR0) & ~VMX_CR0_OWNED) |
                (vmcs_read_natural(VMCS_CR0_SHADOW) & VMX_CR0_OWNED);
    page->cr3 = vmcs_read_natural(VMCS_GUEST_CR3);
    page->cr4 = (vmcs_read_natural(VMCS_GUEST_CR4) & ~cr4_owned) |
                (vmcs_read_natural(VMCS_CR4_SHADOW) & cr4_owned);
    page->efer = vmcs_read_64(VMCS_GUEST_EFER);
    page->segment[SEGMENT_CS].access_rights = vmcs_read_32(VMCS_GUEST_CS_RIGHTS);
    page->segment[SEGMENT_SS].access_rights = vmcs_read_32(VMCS_GUEST_SS_RIGHTS);
}

// The VMCS numbers the segments as enum segment_index does, two encodings apart ("Field Encoding in
// VMCS").
/*@
  requires \valid(page);
  terminates \true;
  assigns page->segment[0 .. 7];
  ensures \forall integer i; 0 <= i < SEGMENT_COUNT ==> segment_same(page, i);
*/
static void export_segments(struct vcpu_page *page)
{
    // Each exit that is emulated comes here: constant encodings save a third of its instructions.
#pragma GCC unroll 8
    /*@
      loop invariant 0 <= i <= SEGMENT_COUNT;
      loop invariant \forall integer j; 0 <= j < i ==> segment_same(page, j);
      loop assigns i, page->segment[0 .. 7];
      loop variant SEGMENT_COUNT - i;
    */
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        struct vcpu_segment *segment = &page->segment[i];

        segment->selector = (uint16_t)vmcs_read_raw(VMCS_GUEST_ES_SELECTOR + 2 * i);
        segment->base = vmcs_read_raw(VMCS_GUEST_ES_BASE + 2 * i);
        segment->limit = (uint32_t)vmcs_read_raw(VMCS_GUEST_ES_LIMIT + 2 * i);
        segment->access_rights = (uint32_t)vmcs_read_raw(VMCS_GUEST_ES_RIGHTS + 2 * i);
    }
}

/*@
  requires \valid(page);
  terminates \true;
  assigns page->gdtr.base, page->gdtr.limit, page->idtr.base, page->idtr.limit;
  ensures tables_same(page);
*/
static void export_tables(struct vcpu_page *page)
{
    page->gdtr.base = vmcs_read_natural(VMCS_GUEST_GDTR_BASE);
    page->gdtr.limit = vmcs_read_32(VMCS_GUEST_GDTR_LIMIT);
    page->idtr.base = vmcs_read_natural(VMCS_GUEST_IDTR_BASE);
    page->idtr.limit = vmcs_read_32(VMCS_GUEST_IDTR_LIMIT);
}

/*@
  requires \valid(page);
  terminates \true;
  assigns page->star, page->lstar, page->cstar, page->sfmask, page->kernel_gs_base, page->tsc_aux,
    page->sysenter_cs, page->sysenter_esp, page->sysenter_eip, page->pat, page->tsc_offset;
  ensures page->sysenter_cs == vmcs_fields[VMCS_GUEST_SYSENTER_CS] &&
    page->sysenter_esp == vmcs_fields[VMCS_GUEST_SYSENTER_ESP] &&
    page->sysenter_eip == vmcs_fields[VMCS_GUEST_SYSENTER_EIP] &&
    page->pat == vmcs_fields[VMCS_GUEST_PAT];
  ensures page->tsc_offset == vmcs_fields[VMCS_TSC_OFFSET];
  ensures page->star == cpu_msrs[MSR_STAR] && page->lstar == cpu_msrs[MSR_LSTAR] &&
    page->cstar == cpu_msrs[MSR_CSTAR] && page->sfmask == cpu_msrs[MSR_SFMASK] &&
    page->kernel_gs_base == cpu_msrs[MSR_KERNEL_GS_BASE];
  ensures page->tsc_aux == (features_found->rdtscp ? cpu_msrs[MSR_TSC_AUX] : 0);
*/
static void export_msrs(struct vcpu_page *page)
{
    page->star = msr_read(MSR_STAR);
    page->lstar = msr_read(MSR_LSTAR);
    page->cstar = msr_read(MSR_CSTAR);
    page->sfmask = msr_read(MSR_SFMASK);
    page->kernel_gs_base = msr_read(MSR_KERNEL_GS_BASE);
    page->tsc_aux = cpu_features()->rdtscp ? msr_read(MSR_TSC_AUX) : 0;
    page->sysenter_cs = vmcs_read_32(VMCS_GUEST_SYSENTER_CS);
    page->sysenter_esp = vmcs_read_natural(VMCS_GUEST_SYSENTER_ESP);
    page->sysenter_eip = vmcs_read_natural(VMCS_GUEST_SYSENTER_EIP);
    page->pat = vmcs_read_64(VMCS_GUEST_PAT);
    page->tsc_offset = vmcs_read_64(VMCS_TSC_OFFSET);
}

/*@
  requires \valid(page);
  terminates \true;
  assigns page->dr[0 .. 3], page->dr6, page->dr7;
  ensures debug_holds(&page->dr[0], page->dr6) && page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
*/
static void export_debug(struct vcpu_page *page)
{
    page->dr[0] = dr0_read();
    page->dr[1] = dr1_read();
    page->dr[2] = dr2_read();
    page->dr[3] = dr3_read();
    page->dr6 = dr6_read();
    page->dr7 = vmcs_read_natural(VMCS_GUEST_DR7);
}

// Of these groups those that the VMCS alone holds.
/*@
  requires \valid(page);
  terminates \true;
  assigns page->cr0, page->cr3, page->cr4, page->efer, page->segment[0 .. 7], page->gdtr.base,
    page->gdtr.limit, page->idtr.base, page->idtr.limit;
  ensures WORD_BIT(groups, 1) ==> page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures WORD_BIT(groups, 2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(page, i);
  ensures WORD_BIT(groups, 3) ==> tables_same(page);
*/
static void export_state(struct vcpu_page *page, uint32_t groups)
{
    if ((groups & VCPU_GROUP_CONTROL) != 0) {
        export_control(page);
    }
    if ((groups & VCPU_GROUP_TABLES) != 0) {
        export_tables(page);
    }
    if ((groups & VCPU_GROUP_SEGMENTS) != 0) {
        export_segments(page);
    }
}

// Of these groups those that are in the processor's registers, or kept by the kernel.
/*@
  requires \valid_read(vmx) && \valid(page) && \separated(vmx, page);
  terminates \true;
  assigns page->star, page->lstar, page->cstar, page->sfmask, page->kernel_gs_base, page->tsc_aux,
    page->sysenter_cs, page->sysenter_esp, page->sysenter_eip, page->pat, page->tsc_offset,
    page->dr[0 .. 3], page->dr6, page->dr7, page->xcr0, page->interrupt_status;
  ensures WORD_BIT(groups, 4) ==> msrs_same(page);
  ensures WORD_BIT(groups, 5) ==> debug_holds(&page->dr[0], page->dr6) &&
    page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
  ensures WORD_BIT(groups, 6) ==> page->xcr0 == vmx->xcr0;
*/
static void export_registers(const struct vmx_vcpu *vmx, struct vcpu_page *page, uint32_t groups)
{
    if ((groups & VCPU_GROUP_MSRS) != 0) {
        export_msrs(page);
    }
    if ((groups & VCPU_GROUP_DEBUG) != 0) {
        export_debug(page);
    }
    if ((groups & VCPU_GROUP_XCR0) != 0) {
        page->xcr0 = vmx->xcr0;
    }
    if ((groups & VCPU_GROUP_APIC) != 0) {
        vmx_export_apic(page);
    }
}

void vmx_vcpu_export(struct virt_vcpu *vcpu, uint32_t groups)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    struct vcpu_page *page = vcpu->page;
    uint32_t missing = groups & ~page->valid;

    page->valid |= groups & VCPU_GROUP_ALL;
    if ((missing & VCPU_GROUP_RIP) != 0) {
        vmx_export_rip(page);
    }
    if (vmx_besides_rip(missing) != 0) {
        export_registers(vmx, page, missing);
        export_state(page, missing);
    }
}
