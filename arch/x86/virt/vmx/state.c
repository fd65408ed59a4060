// SPDX-License-Identifier: MIT
// Loads register groups of the shared page into the hardware. Everything that could fault in ring 0
// is checked before anything is changed; what VM entry checks itself is left to it, and its refusal
// is reported. Called for a loaded vCPU by its own thread; no lock.
#include "arch/x86/virt/vmx/state.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/apic.h"
#include "arch/x86/virt/vmx/fields.h"

// The values of VCPU_GROUP_CONTROL, checked.
struct control_values {
    uint64_t cr0_shadow, cr4_shadow;
    uint64_t cr0, cr3, cr4, efer;
    bool pae; // PAE paging is on: pdptes count
    uint64_t pdptes[4];
};

/*@
  ghost struct vmx_capabilities capabilities_object;
*/
/*@
  // What vmx_capabilities returns is no local variable.
  axiomatic capabilities_place {
    axiom capabilities_are_there: capabilities_found == &capabilities_object;
  }
*/

// -- import: checks ---------------------------------------------------------------------------

#define HALF (1ull << 47) // bytes in either half of the canonical addresses

/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> is_canonical(address);
*/
static bool canonical(uint64_t address)
{
    return address < HALF || address >= -HALF;
}

// With EPT the processor takes the four entries of PAE paging from the VMCS ("PDPTE Registers").
/*@
  requires \valid(values);
  terminates \true;
  assigns values->pdptes[0 .. 3];
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
*/
static enum status read_pdptes(const struct page_table *nested, struct control_values *values)
{
    uint64_t address = values->cr3 & 0xffffffe0u;
    struct page_mapping mapping;
    enum status status = page_table_translate(nested, address, &mapping);

    if (status != STATUS_OK) {
        return STATUS_INVALID;
    }
    const uint64_t *entries = (const uint64_t *)(nested->direct_offset + mapping.physical.value +
                                                 address - mapping.address);
    for (unsigned i = 0; i < 4; i++) {
        values->pdptes[i] = entries[i];
    }
    return STATUS_OK;
}

/*@
  requires vmx_vcpu_valid(vcpu) && \valid(values) && \valid_read(vcpu->vm);
  requires \separated(values, vcpu->page, &vcpu->page) && \separated(values, &vcpu->vm) &&
    \separated(values, vcpu->vm) && \separated(values, capabilities_found);
  terminates \true;
  assigns *values;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures values->cr0_shadow == vcpu->page->cr0 && values->cr4_shadow == vcpu->page->cr4 &&
    values->cr3 == vcpu->page->cr3;
  // Refused is what MOV or WRMSR refuses, and else only what PAE paging needs and is not there.
  ensures \old(!control_fits(vcpu->page)) ==> \result == STATUS_INVALID;
  ensures \result == STATUS_INVALID ==> \old(!control_fits(vcpu->page)) || values->pae != 0;
  ensures \result == STATUS_OK ==> SAME_BIT(values->cr0, vcpu->page->cr0, 0) &&
    SAME_BIT(values->cr0, vcpu->page->cr0, 31) && WORD_BIT(values->cr4, 13) &&
    (WORD_BIT(values->efer, 10) <==>
      WORD_BIT(vcpu->page->efer, 8) && WORD_BIT(values->cr0, 31));
  ensures \result == STATUS_OK ==> SAME_BIT(values->efer, vcpu->page->efer, 0) &&
    SAME_BIT(values->efer, vcpu->page->efer, 8) && SAME_BIT(values->efer, vcpu->page->efer, 11);
  ensures \result == STATUS_OK && WORD_BIT(vcpu->vm->intercepts, 11) ==>
    WORD_BIT(values->cr4, 14);
  ensures \result == STATUS_OK ==> (values->pae != 0 <==>
    WORD_BIT(values->cr0, 31) && WORD_BIT(values->cr4, 5) && !WORD_BIT(values->efer, 10));
*/
static enum status check_control(const struct virt_vcpu *vcpu, struct control_values *values)
{
    const struct vmx_capabilities *capabilities = vmx_capabilities();
    const struct vcpu_page *page = vcpu->page;

    values->cr0_shadow = page->cr0;
    values->cr4_shadow = page->cr4;
    values->cr3 = page->cr3;
    if (vmx_cr0_load_value(capabilities, values->cr0_shadow, &values->cr0) != STATUS_OK ||
        vmx_cr4_load_value(capabilities, values->cr4_shadow, cr4_read(), &values->cr4) !=
            STATUS_OK ||
        vmx_efer_load_value(page->efer, values->cr0, &values->efer) != STATUS_OK) {
        return STATUS_INVALID;
    }
    if ((vcpu->vm->intercepts & VM_INTERCEPT_GETSEC) != 0) {
        values->cr4 |= CR4_SMXE;
    }
    values->pae = (values->cr0 & CR0_PG) != 0 && (values->cr4 & CR4_PAE) != 0 &&
                  (values->efer & EFER_LMA) == 0;
    return values->pae ? read_pdptes(vcpu->vm->nested, values) : STATUS_OK;
}

struct msr_values {
    uint64_t switched[VMX_SWITCHED_MSRS];
};

/*@
  requires \valid_read(page) && \valid(values) && \separated(page, values);
  terminates \true;
  assigns *values;
  ensures values->switched[0] == page->star && values->switched[1] == page->lstar &&
    values->switched[2] == page->cstar && values->switched[3] == page->sfmask &&
    values->switched[4] == page->kernel_gs_base && values->switched[5] == page->tsc_aux;
  ensures \result == STATUS_OK <==> msrs_fit(page);
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
*/
static enum status check_msrs(const struct vcpu_page *page, struct msr_values *values)
{
    values->switched[0] = page->star;
    values->switched[1] = page->lstar;
    values->switched[2] = page->cstar;
    values->switched[3] = page->sfmask;
    values->switched[4] = page->kernel_gs_base;
    values->switched[5] = page->tsc_aux;
    if (!canonical(values->switched[1]) || !canonical(values->switched[2]) ||
        values->switched[3] > UINT32_MAX || !canonical(values->switched[4]) ||
        values->switched[5] > UINT32_MAX) {
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

// -- import: loading --------------------------------------------------------------------------

/*@
  requires \valid_read(vmx) && \valid_read(values);
  terminates \true;
  assigns vmcs_fields[VMCS_CR0_SHADOW], vmcs_fields[VMCS_CR4_SHADOW], vmcs_fields[VMCS_GUEST_CR0],
    vmcs_fields[VMCS_GUEST_CR3], vmcs_fields[VMCS_GUEST_CR4], vmcs_fields[VMCS_GUEST_EFER],
    vmcs_fields[VMCS_ENTRY_CONTROLS], vmcs_fields[VMCS_GUEST_PDPTE0],
    vmcs_fields[VMCS_GUEST_PDPTE1], vmcs_fields[VMCS_GUEST_PDPTE2],
    vmcs_fields[VMCS_GUEST_PDPTE3];
  ensures vmcs_fields[VMCS_CR0_SHADOW] == values->cr0_shadow &&
    vmcs_fields[VMCS_CR4_SHADOW] == values->cr4_shadow &&
    vmcs_fields[VMCS_GUEST_CR0] == values->cr0 && vmcs_fields[VMCS_GUEST_CR3] == values->cr3 &&
    vmcs_fields[VMCS_GUEST_CR4] == values->cr4 && vmcs_fields[VMCS_GUEST_EFER] == values->efer;
  // The guest's mode is that of EFER.LMA.
  ensures WORD_BIT(values->efer, 10) ==> WORD_BIT(vmcs_fields[VMCS_ENTRY_CONTROLS], 9);
  ensures values->pae ==> vmcs_fields[VMCS_GUEST_PDPTE0] == values->pdptes[0] &&
    vmcs_fields[VMCS_GUEST_PDPTE1] == values->pdptes[1] &&
    vmcs_fields[VMCS_GUEST_PDPTE2] == values->pdptes[2] &&
    vmcs_fields[VMCS_GUEST_PDPTE3] == values->pdptes[3];
  ensures !values->pae ==> \forall integer field; VMCS_GUEST_PDPTE0 <= field < 0x8000 ==>
    (field <= VMCS_GUEST_PDPTE3 ==> vmcs_fields[field] == \old(vmcs_fields[field]));
*/
static void import_control(const struct vmx_vcpu *vmx, const struct control_values *values)
{
    uint32_t entry = vmx_controls()->entry;

    vmcs_write_natural(VMCS_CR0_SHADOW, values->cr0_shadow);
    vmcs_write_natural(VMCS_CR4_SHADOW, values->cr4_shadow);
    vmcs_write_natural(VMCS_GUEST_CR0, values->cr0);
    vmcs_write_natural(VMCS_GUEST_CR3, values->cr3);
    vmcs_write_natural(VMCS_GUEST_CR4, values->cr4);
    vmcs_write_64(VMCS_GUEST_EFER, values->efer);
    vmcs_write_32(VMCS_ENTRY_CONTROLS, entry | ((values->efer & EFER_LMA) != 0 ? ENTRY_IA32E : 0));
    if (values->pae) {
        vmcs_write_64(VMCS_GUEST_PDPTE0, values->pdptes[0]);
        vmcs_write_64(VMCS_GUEST_PDPTE1, values->pdptes[1]);
        vmcs_write_64(VMCS_GUEST_PDPTE2, values->pdptes[2]);
        vmcs_write_64(VMCS_GUEST_PDPTE3, values->pdptes[3]);
    }
    vmx_flush_tlb(vmx); // VM entry keeps translations that have a VPID
}

/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff];
  ensures \forall integer i; 0 <= i < SEGMENT_COUNT ==> segment_same(page, i);
  ensures \forall integer field; 0 <= field < 0x8000 && !is_segment_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
*/
static void import_segments(const struct vcpu_page *page)
{
    /*@
      loop invariant 0 <= i <= SEGMENT_COUNT;
      loop invariant \forall integer j; 0 <= j < i ==> segment_same(page, j);
      loop invariant \forall integer field; 0 <= field < 0x8000 && !is_segment_field(field) ==>
        vmcs_fields[field] == \at(vmcs_fields[field], Pre);
      loop assigns i, vmcs_fields[0 .. 0x7fff];
      loop variant SEGMENT_COUNT - i;
    */
    for (unsigned i = 0; i < SEGMENT_COUNT; i++) {
        const struct vcpu_segment *segment = &page->segment[i];

        vmcs_write_raw(VMCS_GUEST_ES_SELECTOR + 2 * i, segment->selector);
        vmcs_write_raw(VMCS_GUEST_ES_BASE + 2 * i, segment->base);
        vmcs_write_raw(VMCS_GUEST_ES_LIMIT + 2 * i, segment->limit);
        vmcs_write_raw(VMCS_GUEST_ES_RIGHTS + 2 * i, segment->access_rights);
    }
}

/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_GDTR_BASE], vmcs_fields[VMCS_GUEST_GDTR_LIMIT],
    vmcs_fields[VMCS_GUEST_IDTR_BASE], vmcs_fields[VMCS_GUEST_IDTR_LIMIT];
  ensures tables_same(page);
*/
static void import_tables(const struct vcpu_page *page)
{
    vmcs_write_natural(VMCS_GUEST_GDTR_BASE, page->gdtr.base);
    vmcs_write_32(VMCS_GUEST_GDTR_LIMIT, page->gdtr.limit);
    vmcs_write_natural(VMCS_GUEST_IDTR_BASE, page->idtr.base);
    vmcs_write_32(VMCS_GUEST_IDTR_LIMIT, page->idtr.limit);
}

/*@
  requires \valid_read(page) && \valid_read(values);
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_SYSENTER_CS], vmcs_fields[VMCS_GUEST_SYSENTER_ESP],
    vmcs_fields[VMCS_GUEST_SYSENTER_EIP], vmcs_fields[VMCS_GUEST_PAT],
    vmcs_fields[VMCS_TSC_OFFSET], cpu_msrs[0 .. 0xffffffff];
  ensures msrs_hold(&values->switched[0]);
  ensures vmcs_fields[VMCS_GUEST_SYSENTER_CS] == (uint32_t)page->sysenter_cs &&
    vmcs_fields[VMCS_GUEST_SYSENTER_ESP] == page->sysenter_esp &&
    vmcs_fields[VMCS_GUEST_SYSENTER_EIP] == page->sysenter_eip &&
    vmcs_fields[VMCS_GUEST_PAT] == page->pat;
  ensures vmcs_fields[VMCS_TSC_OFFSET] == page->tsc_offset;
*/
static void import_msrs(const struct vcpu_page *page, const struct msr_values *values)
{
    /*@
      loop invariant 0 <= i <= VMX_SWITCHED_MSRS;
      loop invariant msrs_held(&values->switched[0], i);
      loop assigns i, cpu_msrs[0 .. 0xffffffff];
      loop variant VMX_SWITCHED_MSRS - i;
    */
    for (unsigned i = 0; i < VMX_SWITCHED_MSRS; i++) {
        if (vmx_switched_msrs[i] != MSR_TSC_AUX || cpu_features()->rdtscp) {
            msr_write(vmx_switched_msrs[i], values->switched[i]);
        }
    }
    vmcs_write_32(VMCS_GUEST_SYSENTER_CS, (uint32_t)page->sysenter_cs);
    vmcs_write_natural(VMCS_GUEST_SYSENTER_ESP, page->sysenter_esp);
    vmcs_write_natural(VMCS_GUEST_SYSENTER_EIP, page->sysenter_eip);
    vmcs_write_64(VMCS_GUEST_PAT, page->pat);
    vmcs_write_64(VMCS_TSC_OFFSET, page->tsc_offset);
}

/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_DR7], cpu_dr[0 .. 6];
  ensures debug_holds(&page->dr[0], dr6) && vmcs_fields[VMCS_GUEST_DR7] == dr7;
*/
static void import_debug(const struct vcpu_page *page, uint64_t dr6, uint64_t dr7)
{
    dr0_write(page->dr[0]);
    dr1_write(page->dr[1]);
    dr2_write(page->dr[2]);
    dr3_write(page->dr[3]);
    dr6_write(dr6);
    vmcs_write_natural(VMCS_GUEST_DR7, dr7);
}

// What of these groups is checked, read from the page once.
struct rare_values {
    struct control_values control;
    struct msr_values msrs;
    uint64_t dr6, dr7, xcr0;
};

/*@
  requires vmx_vcpu_valid(vcpu) && \valid(values) && \valid_read(vcpu->vm);
  requires \separated(values, vcpu->page, &vcpu->page) && \separated(values, &vcpu->vm) &&
    \separated(values, vcpu->vm) && \separated(values, capabilities_found);
  terminates \true;
  assigns values->control, values->msrs;
  ensures WORD_BIT(groups, 1) && \result ==> \old(control_fits(vcpu->page));
  ensures WORD_BIT(groups, 4) && \result ==> msrs_fit(vcpu->page);
  ensures !WORD_BIT(groups, 1) && (WORD_BIT(groups, 4) ==> msrs_fit(vcpu->page)) ==> \result;
*/
static inline bool check_loaded(const struct virt_vcpu *vcpu, uint32_t groups,
                                struct rare_values *values)
{
    return ((groups & VCPU_GROUP_CONTROL) == 0 ||
            check_control(vcpu, &values->control) == STATUS_OK) &&
           ((groups & VCPU_GROUP_MSRS) == 0 || check_msrs(vcpu->page, &values->msrs) == STATUS_OK);
}

/*@
  requires \valid_read(values) && \valid_read(page);
  terminates \true;
  assigns \nothing;
  ensures \result && WORD_BIT(groups, 5) ==> values->dr6 <= 0xffffffff && values->dr7 <= 0xffffffff;
  ensures \result && WORD_BIT(groups, 6) ==> WORD_BIT(values->xcr0, 0);
  ensures \result && WORD_BIT(groups, 7) ==> (page->interrupt_status & 0xffff0000) == 0;
*/
static inline bool check_rest(const struct vcpu_page *page, uint32_t groups,
                              const struct rare_values *values)
{
    uint64_t host_xcr0 = fpu_mask() != 0 ? fpu_mask() : XCR0_X87;

    return ((groups & VCPU_GROUP_DEBUG) == 0 ||
            (values->dr6 <= UINT32_MAX && values->dr7 <= UINT32_MAX)) &&
           ((groups & VCPU_GROUP_XCR0) == 0 ||
            vmx_xcr0_check(values->xcr0, host_xcr0) == STATUS_OK) &&
           ((groups & VCPU_GROUP_APIC) == 0 || vmx_check_apic(page) == STATUS_OK);
}

/*@
  requires \valid_read(vmx) && \valid_read(page) && \valid_read(values);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff];
  ensures WORD_BIT(groups, 3) ==> tables_same(page);
  ensures \forall integer field; 0 <= field < 0x8000 && !is_rare_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures vmcs_fields[VMCS_PRIMARY_CONTROLS] == \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
*/
static inline void import_fields(const struct vmx_vcpu *vmx, const struct vcpu_page *page,
                                 uint32_t groups, const struct rare_values *values)
{
    if ((groups & VCPU_GROUP_CONTROL) != 0) {
        import_control(vmx, &values->control);
    }
    if ((groups & VCPU_GROUP_SEGMENTS) != 0) {
        import_segments(page);
    }
    if ((groups & VCPU_GROUP_TABLES) != 0) {
        import_tables(page);
    }
}

/*@
  requires \valid_read(page) && \valid_read(values);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff];
  ensures WORD_BIT(groups, 4) ==> msrs_hold(&values->msrs.switched[0]);
  ensures WORD_BIT(groups, 5) ==> debug_holds(&page->dr[0], values->dr6);
  ensures WORD_BIT(groups, 5) ==> vmcs_fields[VMCS_GUEST_DR7] == values->dr7;
  ensures \forall integer field; 0 <= field < 0x8000 && !is_rare_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures vmcs_fields[VMCS_PRIMARY_CONTROLS] == \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
*/
static inline void import_registers(const struct vcpu_page *page, uint32_t groups,
                                    const struct rare_values *values)
{
    if ((groups & VCPU_GROUP_MSRS) != 0) {
        import_msrs(page, &values->msrs);
    }
    if ((groups & VCPU_GROUP_DEBUG) != 0) {
        import_debug(page, values->dr6, values->dr7);
    }
}

// What the vCPU keeps a note of.
/*@
  requires vmx_vcpu_loaded(vcpu);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], cpu_cr0, cpu_xcr0, vmx_at(vcpu)->xcr0,
    vmx_at(vcpu)->apic_mode, vmx_at(vcpu)->eoi_exit[0 .. 3], running_cpu->fpu_owner;
  ensures WORD_BIT(groups, 6) ==> vmx_at(vcpu)->xcr0 == xcr0;
  ensures WORD_BIT(groups, 6) && vmx_at(vcpu)->fpu_area != \null ==>
    running_cpu->fpu_owner != vmx_at(vcpu)->fpu_area;
  ensures !WORD_BIT(groups, 6) ==> vmx_at(vcpu)->xcr0 == \old(vmx_at(vcpu)->xcr0);
  ensures \forall integer field; 0 <= field < 0x8000 && !is_rare_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_BIT(now, before, 2) && SAME_BIT(now, before, 22);
*/
static inline void import_noted(struct virt_vcpu *vcpu, uint32_t groups, uint64_t xcr0)
{
    if ((groups & VCPU_GROUP_XCR0) != 0) {
        fpu_release(vmx_of(vcpu)->fpu_area); // claimed again with the new value
        vmx_of(vcpu)->xcr0 = xcr0;
    }
    if ((groups & VCPU_GROUP_APIC) != 0) {
        vmx_import_apic(vcpu);
    }
}

// The groups besides RIP. Everything is read from the page once and checked before any is loaded.
enum status vmx_import_rare(struct virt_vcpu *vcpu, uint32_t groups)
{
    const struct vcpu_page *page = vcpu->page;
    struct rare_values values;

    values.dr6 = page->dr6;
    values.dr7 = page->dr7;
    values.xcr0 = page->xcr0;
    if (!check_loaded(vcpu, groups, &values) || !check_rest(page, groups, &values)) {
        return STATUS_INVALID;
    }
    //@ assert WORD_BIT(groups, 1) ==> \at(control_fits(vcpu->page), Pre);
    //@ assert WORD_BIT(groups, 4) ==> \at(msrs_fit(vcpu->page), Pre);
    /*@ assert WORD_BIT(groups, 5) ==>
          \at(vcpu->page->dr6, Pre) <= 0xffffffff && \at(vcpu->page->dr7, Pre) <= 0xffffffff; */
    import_fields(vmx_of(vcpu), page, groups, &values);
    //@ assert values.dr6 == page->dr6 && values.xcr0 == page->xcr0;
    import_registers(page, groups, &values);
    //@ assert WORD_BIT(groups, 5) ==> debug_holds(&page->dr[0], page->dr6);
    import_noted(vcpu, groups, values.xcr0);
    return STATUS_OK;
}

#define MACHINE_CHECK_BIT (1u << 18) // machine checks are the host's

// Writes the controls that the page asks for, after they changed.
void vmx_apply_requests(struct vmx_vcpu *vmx, uint64_t requests)
{
    uint32_t primary = vmcs_read_32(VMCS_PRIMARY_CONTROLS);

    primary &= ~(PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
    if ((requests & VMX_REQUEST_WINDOW) != 0) {
        primary |= PRIMARY_INTERRUPT_WINDOW;
    }
    if ((requests & VMX_REQUEST_NMI_WINDOW) != 0) {
        primary |= PRIMARY_NMI_WINDOW;
    }
    vmx->requests = requests;
    vmcs_write_32(VMCS_PRIMARY_CONTROLS, primary);
    vmcs_write_32(VMCS_EXCEPTION_BITMAP, (uint32_t)(requests >> 32) | MACHINE_CHECK_BIT);
}

// Puts the guest's FPU state and XCR0 into this CPU, guarded against ring 3 by CR0.TS, as the host
// state of VM exits has it too.
void vmx_claim_fpu(struct vmx_vcpu *vmx)
{
    fpu_claim(vmx->fpu_area);
    fpu_guard();
    if (fpu_mask() != 0) {
        xcr0_write(vmx->xcr0);
    }
}
