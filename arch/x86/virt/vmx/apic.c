// SPDX-License-Identifier: MIT
// The virtual-APIC page: in x2APIC mode the processor itself reads registers there for the guest
// and ends its interrupts. The monitor keeps the page and injects the interrupts. After the
// manual's "APIC Virtualization and Virtual Interrupts". Called for a loaded vCPU by its own
// thread; no lock.
#include "arch/x86/virt/vmx/apic.h"

#include "arch/x86/virt/vmx/fields.h"

#define STATUS_MASK    0xffffu
#define APIC_PRIMARY   PRIMARY_TPR_SHADOW
#define APIC_SECONDARY (SECONDARY_X2APIC | SECONDARY_APIC_REGISTERS | SECONDARY_INTERRUPTS)

bool vmx_apic_offered(void)
{
    const struct vmx_capabilities *capabilities = vmx_capabilities();

    return (APIC_PRIMARY & ~(capabilities->primary >> 32)) == 0 &&
           (APIC_SECONDARY & ~(capabilities->secondary >> 32)) == 0;
}

enum status vmx_check_apic(const struct vcpu_page *page)
{
    bool known = page->apic_mode == VCPU_APIC_MONITOR ||
                 (page->apic_mode == VCPU_APIC_VIRTUAL && vmx_apic_offered());

    return known && (page->interrupt_status & ~STATUS_MASK) == 0 ? STATUS_OK : STATUS_INVALID;
}

/*@
  requires \valid_read(&vcpu->vm) && \valid_read(vcpu->vm);
  terminates \true;
  assigns vmcs_fields[VMCS_PRIMARY_CONTROLS], vmcs_fields[VMCS_SECONDARY_CONTROLS],
    vmcs_fields[VMCS_MSR_BITMAP];
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_16(now, before, 0) && SAME_4(now, before, 16) && SAME_BIT(now, before, 20) &&
    (WORD_BIT(now, 21) <==> on) && SAME_BIT(now, before, 22) && SAME_BIT(now, before, 23) &&
    SAME_8(now, before, 24);
  ensures \let now = vmcs_fields[VMCS_SECONDARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_SECONDARY_CONTROLS]);
    SAME_4(now, before, 0) && (WORD_BIT(now, 4) <==> on) && SAME_BIT(now, before, 5) &&
    SAME_BIT(now, before, 6) && SAME_BIT(now, before, 7) && (WORD_BIT(now, 8) <==> on) &&
    (WORD_BIT(now, 9) <==> on) && SAME_BIT(now, before, 10) && SAME_BIT(now, before, 11) &&
    SAME_4(now, before, 12) && SAME_16(now, before, 16);
  ensures vmcs_fields[VMCS_MSR_BITMAP] == vcpu->vm->msr_bitmap[on ? 1 : 0].physical.value;
*/
static void set_mode(const struct virt_vcpu *vcpu, bool on)
{
    uint32_t primary = vmcs_read_32(VMCS_PRIMARY_CONTROLS) & ~APIC_PRIMARY;
    uint32_t secondary = vmcs_read_32(VMCS_SECONDARY_CONTROLS) & ~APIC_SECONDARY;

    vmcs_write_32(VMCS_PRIMARY_CONTROLS, primary | (on ? APIC_PRIMARY : 0));
    vmcs_write_32(VMCS_SECONDARY_CONTROLS, secondary | (on ? APIC_SECONDARY : 0));
    vmcs_write_64(VMCS_MSR_BITMAP, vcpu->vm->msr_bitmap[on ? 1 : 0].physical.value);
}

// What seldom changes is written when it does.
void vmx_import_apic(struct virt_vcpu *vcpu)
{
    static const enum vmcs_field_64 fields[] = {VMCS_EOI_EXIT_0, VMCS_EOI_EXIT_1, VMCS_EOI_EXIT_2,
                                                VMCS_EOI_EXIT_3};
    const struct vcpu_page *page = vcpu->page;
    struct vmx_vcpu *vmx = vmx_of(vcpu);
    uint32_t mode = page->apic_mode;

    if (!vmx_apic_offered() ||
        (vcpu->vm->intercepts & (VM_INTERCEPT_APIC_PAGE | VM_INTERCEPT_TPR)) != 0) {
        return; // the intercepts have set these controls
    }
    if (mode != vmx->apic_mode) {
        vmx->apic_mode = mode;
        set_mode(vcpu, mode == VCPU_APIC_VIRTUAL);
    }
    vmcs_write_16(VMCS_GUEST_INTERRUPT_STATUS, (uint16_t)page->interrupt_status);
    /*@
      loop invariant 0 <= i <= 4;
      loop invariant \forall integer j; 0 <= j < i ==> vmx->eoi_exit[j] == page->eoi_exit[j];
      loop assigns i, vmx->eoi_exit[0 .. 3], vmcs_fields[VMCS_EOI_EXIT_0],
        vmcs_fields[VMCS_EOI_EXIT_1], vmcs_fields[VMCS_EOI_EXIT_2], vmcs_fields[VMCS_EOI_EXIT_3];
      loop variant 4 - i;
    */
    for (unsigned i = 0; i < ARRAY_COUNT(fields); i++) {
        if (page->eoi_exit[i] != vmx->eoi_exit[i]) {
            vmx->eoi_exit[i] = page->eoi_exit[i];
            vmcs_write_64(fields[i], vmx->eoi_exit[i]);
        }
    }
}

void vmx_export_apic(struct vcpu_page *page)
{
    if (vmx_apic_offered()) {
        page->interrupt_status = vmcs_read_16(VMCS_GUEST_INTERRUPT_STATUS);
    }
}
