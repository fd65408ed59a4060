// SPDX-License-Identifier: MIT
// Sets up a vCPU's hardware structures, and switches vCPUs on a CPU. The guest's registers are zero
// until the monitor has them loaded.
// The callers in kernel/vm keep a vCPU to one thread and one CPU.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/instructions.h"
#include "arch/x86/virt/vmx/setup_contract.h"
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

#define FIELD_ENCODING(name, encoding, text, need) encoding,
static const uint16_t all_fields[] = {VMCS_FIELDS(FIELD_ENCODING)};
#undef FIELD_ENCODING

/*@
  predicate is_listed(integer field) =
    \exists integer i; 0 <= i < ARRAY_COUNT(all_fields) && all_fields[i] == field;
*/

// VMCLEAR leaves fields undefined: zero is written to all that exist and can be written.
/*@
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff];
  ensures \forall integer field; is_listed(field) ==> field_zeroed(field);
*/
static void write_zeroes(void)
{
    /*@
      loop invariant 0 <= i <= ARRAY_COUNT(all_fields);
      loop invariant \forall integer j; 0 <= j < i ==> field_zeroed(all_fields[j]);
      loop assigns i, vmcs_fields[0 .. 0x7fff];
      loop variant ARRAY_COUNT(all_fields) - i;
    */
    for (size_t i = 0; i < ARRAY_COUNT(all_fields); i++) {
        //@ assert all_fields[i] < 0x8000;
        if ((all_fields[i] & VMCS_TYPE_MASK) != VMCS_TYPE_READ_ONLY) {
            (void)!vmcs_try_write(all_fields[i], 0);
        }
    }
}

// What never changes in the life of a vCPU.
/*@
  requires \valid_read(vm) && \valid_read(vm->nested);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff];
  ensures constants_written(vm, vpid);
  ensures masks_written;
  ensures \forall integer field; 0 <= field < 0x8000 && !is_constant_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
*/
static void write_constants(const struct virt_vm *vm, uint16_t vpid)
{
    const struct vmx_controls *controls = vmx_controls();
    uint32_t primary, secondary;

    vmx_intercept_controls(vm->intercepts, &primary, &secondary);
    vmcs_write_32(VMCS_PIN_CONTROLS, controls->pin);
    vmcs_write_32(VMCS_PRIMARY_CONTROLS, controls->primary | primary);
    vmcs_write_32(VMCS_SECONDARY_CONTROLS, controls->secondary | secondary);
    vmcs_write_32(VMCS_EXIT_CONTROLS, controls->exit);
    vmcs_write_32(VMCS_ENTRY_CONTROLS, controls->entry);
    vmcs_write_16(VMCS_VPID, vpid);
    vmcs_write_64(VMCS_EPT_POINTER, page_table_ept_pointer(vm->nested));
    vmcs_write_64(VMCS_MSR_BITMAP, vm->msr_bitmap[VCPU_APIC_MONITOR].physical.value);
    vmcs_write_64(VMCS_LINK_POINTER, UINT64_MAX);
    vmcs_write_natural(VMCS_CR0_MASK, VMX_CR0_OWNED);
    vmcs_write_natural(VMCS_CR4_MASK, ~vmx_cr4_guest_bits(vmx_capabilities()));
    vmcs_write_32(VMCS_EXCEPTION_BITMAP, 1u << 18);
    vmcs_write_16(VMCS_HOST_CS_SELECTOR, SELECTOR_KERNEL_CODE);
    vmcs_write_16(VMCS_HOST_SS_SELECTOR, SELECTOR_KERNEL_DATA);
    vmcs_write_16(VMCS_HOST_TR_SELECTOR, SELECTOR_TSS);
    vmcs_write_natural(VMCS_HOST_RIP, (uint64_t)vmx_guest_exit);
    vmcs_write_64(VMCS_HOST_PAT, HOST_PAT);
}

// What belongs to the CPU and the process that the vCPU runs on.
/*@
  requires \valid_read(running_cpu);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff];
  ensures host_registers_written;
  ensures host_bases_written;
  ensures host_msrs_written;
  ensures \forall integer field; 0 <= field < 0x8000 && !is_host_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
*/
static void write_host_state(void)
{
    vmcs_write_natural(VMCS_HOST_CR0, cr0_read() | CR0_TS);
    vmcs_write_natural(VMCS_HOST_CR3, cr3_read());
    vmcs_write_natural(VMCS_HOST_CR4, cr4_read());
    vmcs_write_64(VMCS_HOST_EFER, msr_read(MSR_EFER) & ~EFER_SCE);
    vmcs_write_natural(VMCS_HOST_FS_BASE, msr_read(MSR_FS_BASE));
    vmcs_write_natural(VMCS_HOST_GS_BASE, msr_read(MSR_GS_BASE));
    vmcs_write_natural(VMCS_HOST_TR_BASE, (uint64_t)&this_cpu()->tss);
    vmcs_write_natural(VMCS_HOST_GDTR_BASE, (uint64_t)this_cpu()->gdt);
    vmcs_write_natural(VMCS_HOST_IDTR_BASE, cpu_idt_base());
    vmcs_write_32(VMCS_HOST_SYSENTER_CS, (uint32_t)msr_read(MSR_SYSENTER_CS));
    vmcs_write_natural(VMCS_HOST_SYSENTER_ESP, msr_read(MSR_SYSENTER_ESP));
    vmcs_write_natural(VMCS_HOST_SYSENTER_EIP, msr_read(MSR_SYSENTER_EIP));
}

/*@
  requires \valid_read(vmx);
  terminates \true;
  assigns cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff];
  ensures msrs_hold(&vmx->msrs[0]) && debug_holds(&vmx->dr[0], vmx->dr6);
  ensures \forall integer msr; 0 <= msr < 0x100000000 && !is_switched_msr(msr) ==>
    cpu_msrs[msr] == \old(cpu_msrs[msr]);
*/
static void switch_in(const struct vmx_vcpu *vmx)
{
    /*@
      loop invariant 0 <= i <= VMX_SWITCHED_MSRS;
      loop invariant msrs_held(&vmx->msrs[0], i);
      loop invariant \forall integer msr; 0 <= msr < 0x100000000 && !is_switched_msr(msr) ==>
        cpu_msrs[msr] == \at(cpu_msrs[msr], Pre);
      loop assigns i, cpu_msrs[0 .. 0xffffffff];
      loop variant VMX_SWITCHED_MSRS - i;
    */
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

/*@
  requires \valid(vmx);
  terminates \true;
  assigns vmx->msrs[0 .. 5], vmx->dr[0 .. 3], vmx->dr6;
  ensures msrs_hold(&vmx->msrs[0]) && debug_holds(&vmx->dr[0], vmx->dr6);
*/
static void switch_out(struct vmx_vcpu *vmx)
{
    /*@
      loop invariant 0 <= i <= VMX_SWITCHED_MSRS;
      loop invariant msrs_held(&vmx->msrs[0], i);
      loop assigns i, vmx->msrs[0 .. 5];
      loop variant VMX_SWITCHED_MSRS - i;
    */
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

// A vCPU of zeroes.
/*@
  requires \valid(&vcpu->page) && \valid(&vcpu->vm) && \valid(vmx_at(vcpu));
  terminates \true;
  assigns vcpu->page, vcpu->vm, vcpu->guest_ticks, vcpu->reason, vcpu->vector,
    vcpu->finished[0 .. VIRT_REASON_COUNT - 1], *vmx_at(vcpu);
  ensures vcpu->guest_ticks == 0 && vcpu->reason == 0 && vcpu->vector == 0;
  ensures \forall integer i; 0 <= i < VIRT_REASON_COUNT ==> vcpu->finished[i] == 0;
  ensures vcpu_zero(vmx_at(vcpu));
*/
static inline void zero_vcpu(struct virt_vcpu *vcpu)
{
    memset(vcpu, 0, sizeof(*vcpu));
}

// What of a vCPU is in memory.
/*@
  requires \valid(&vcpu->page) && \valid(&vcpu->vm) && \valid(vmx_at(vcpu)) && \valid_read(vm) &&
    \valid_read(pages + (0 .. VIRT_VCPU_PAGES - 1)) &&
    \valid((char *)pages[1].address + (0 .. FPU_AREA_SIZE - 1));
  requires \separated(vmx_at(vcpu), &vcpu->page, &vcpu->vm, &vcpu->guest_ticks, &vcpu->reason,
                      &vcpu->vector, vcpu->finished + (0 .. VIRT_REASON_COUNT - 1), vm,
                      pages + (0 .. VIRT_VCPU_PAGES - 1), capabilities_found,
                      (char *)pages[1].address + (0 .. FPU_AREA_SIZE - 1));
  terminates \true;
  assigns vcpu->page, vcpu->vm, vcpu->guest_ticks, vcpu->reason, vcpu->vector,
    vcpu->finished[0 .. VIRT_REASON_COUNT - 1], *vmx_at(vcpu),
    ((char *)pages[1].address)[0 .. FPU_AREA_SIZE - 1];
  ensures vcpu->page == page && vcpu->vm == vm && vcpu->guest_ticks == 0;
  ensures \let vmx = vmx_at(vcpu);
    vmx->frame.page == page && vmx->frame.launched == 0 && vmx->event.word == 0 &&
    vmx->requests == 0 && vmx->apic_mode == 0 && vmx->dr6 == 0 && vmx->xcr0 == 1;
  ensures \forall integer i; 0 <= i < VMX_SWITCHED_MSRS ==> vmx_at(vcpu)->msrs[i] == 0;
  ensures \forall integer i; 0 <= i < 4 ==>
    vmx_at(vcpu)->dr[i] == 0 && vmx_at(vcpu)->eoi_exit[i] == 0;
  ensures vmx_at(vcpu)->vmcs.address == pages[0].address;
  ensures vmx_at(vcpu)->vmcs.physical.value == pages[0].physical.value;
  ensures vmx_at(vcpu)->fpu_area == pages[1].address;
  ensures vmx_at(vcpu)->vpid == identifier && vmx_at(vcpu)->cpuid == vm->cpuid;
  ensures vmx_at(vcpu)->cpu == running_cpu && vmx_at(vcpu)->obstacles == 0x10100;
  ensures vmx_at(vcpu)->timer_shift < 32;
*/
static inline void fill_vcpu(struct virt_vcpu *vcpu, struct virt_vm *vm, struct vcpu_page *page,
                             const struct virt_page *pages, uint16_t identifier)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    fpu_area_initialize(pages[1].address, FCW_RESET);
    zero_vcpu(vcpu);
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
}

// The current VMCS, of any content, but for what belongs to a CPU.
/*@
  requires \valid_read(vm) && \valid_read(vm->nested) &&
    \valid_read(pages + (0 .. VIRT_VCPU_PAGES - 1)) &&
    \valid((char *)pages[3].address + (0 .. PAGE_SIZE - 1)) &&
    \separated(pages + (0 .. VIRT_VCPU_PAGES - 1), vm,
               (char *)pages[3].address + (0 .. PAGE_SIZE - 1));
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], ((char *)pages[3].address)[0 .. PAGE_SIZE - 1];
  ensures vm->intercepts == 0 ==> constants_written(vm, identifier);
  ensures vm->intercepts == 0 ==> masks_written;
  ensures vm->intercepts == 0 ==> \forall integer field; is_listed(field) &&
    !is_constant_field(field) && field != VMCS_VIRTUAL_APIC_ADDRESS ==> field_zeroed(field);
*/
static inline void fill_vmcs(const struct virt_vm *vm, const struct virt_page *pages,
                             uint16_t identifier)
{
    write_zeroes();
    write_constants(vm, identifier);
    /*@ assert \forall integer field; is_listed(field) && !is_constant_field(field) ==>
          field_zeroed(field); */
    (void)!vmcs_try_write(VMCS_VIRTUAL_APIC_ADDRESS, pages[VIRT_APIC_PAGE].physical.value);
    vmx_write_intercepts(vm, &pages[3]);
}

/*@
  requires \valid(&vcpu->page) && \valid(&vcpu->vm) && \valid(vmx_at(vcpu)) && \valid_read(vm) &&
    \valid_read(vm->nested) && \valid_read(running_cpu) &&
    \valid_read(pages + (0 .. VIRT_VCPU_PAGES - 1)) &&
    \valid((char *)pages[0].address + (0 .. PAGE_SIZE - 1)) &&
    \valid((char *)pages[1].address + (0 .. FPU_AREA_SIZE - 1)) &&
    \valid((char *)pages[3].address + (0 .. PAGE_SIZE - 1));
  requires \separated(vmx_at(vcpu), &vcpu->page, &vcpu->vm, &vcpu->guest_ticks, &vcpu->reason,
                      &vcpu->vector, vcpu->finished + (0 .. VIRT_REASON_COUNT - 1), vm,
                      pages + (0 .. VIRT_VCPU_PAGES - 1), capabilities_found, vm->nested,
                      (char *)pages[0].address + (0 .. PAGE_SIZE - 1),
                      (char *)pages[1].address + (0 .. FPU_AREA_SIZE - 1),
                      (char *)pages[3].address + (0 .. PAGE_SIZE - 1));
  terminates \true;
  assigns vcpu->page, vcpu->vm, vcpu->guest_ticks, vcpu->reason, vcpu->vector,
    vcpu->finished[0 .. VIRT_REASON_COUNT - 1], *vmx_at(vcpu), vmcs_current,
    vmcs_fields[0 .. 0x7fff], cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff],
    ((char *)pages[0].address)[0 .. 3], ((char *)pages[1].address)[0 .. FPU_AREA_SIZE - 1],
    ((char *)pages[3].address)[0 .. PAGE_SIZE - 1];
  ensures \result == STATUS_OK || \result == STATUS_UNSUPPORTED;
  ensures \result == STATUS_OK <==> vmcs_taken(pages[0].physical.value);
  // The VMCS is current; whatever is not said here is zero, where the processor has it.
  ensures \result == STATUS_OK ==> vmcs_current == pages[0].physical.value;
  ensures \result == STATUS_OK && vm->intercepts == 0 ==> constants_written(vm, identifier);
  ensures \result == STATUS_OK && vm->intercepts == 0 ==> masks_written;
  ensures \result == STATUS_OK ==> host_registers_written;
  ensures \result == STATUS_OK ==> host_bases_written;
  ensures \result == STATUS_OK ==> host_msrs_written;
  ensures \result == STATUS_OK && vm->intercepts == 0 ==>
    \forall integer field; is_listed(field) && !is_first_field(field) ==> field_zeroed(field);
  // The registers that the CPU holds for the guest are zero.
  ensures \result == STATUS_OK ==> msrs_hold(&vmx_at(vcpu)->msrs[0]);
  ensures \result == STATUS_OK ==> debug_holds(&vmx_at(vcpu)->dr[0], 0);
  ensures vcpu->page == page && vcpu->vm == vm && vcpu->guest_ticks == 0;
  ensures \let vmx = vmx_at(vcpu);
    vmx->frame.page == page && vmx->frame.launched == 0 && vmx->event.word == 0 &&
    vmx->requests == 0 && vmx->apic_mode == 0 && vmx->dr6 == 0 && vmx->xcr0 == 1;
  ensures \forall integer i; 0 <= i < VMX_SWITCHED_MSRS ==> vmx_at(vcpu)->msrs[i] == 0;
  ensures \forall integer i; 0 <= i < 4 ==>
    vmx_at(vcpu)->dr[i] == 0 && vmx_at(vcpu)->eoi_exit[i] == 0;
  ensures vmx_at(vcpu)->vmcs.address == pages[0].address;
  ensures vmx_at(vcpu)->vmcs.physical.value == pages[0].physical.value;
  ensures vmx_at(vcpu)->fpu_area == pages[1].address;
  ensures vmx_at(vcpu)->vpid == identifier && vmx_at(vcpu)->cpuid == vm->cpuid;
  ensures vmx_at(vcpu)->cpu == running_cpu && vmx_at(vcpu)->obstacles == 0x10100;
  ensures vmx_at(vcpu)->timer_shift < 32;
*/
enum status vmx_vcpu_init(struct virt_vcpu *vcpu, struct virt_vm *vm, struct vcpu_page *page,
                          const struct virt_page *pages, uint16_t identifier)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    fill_vcpu(vcpu, vm, page, pages, identifier);
    //@ assert pages[3].address == \at(pages[3].address, Pre);
    vmx_page_write(&pages[0], (uint32_t)(vmx_capabilities()->basic & BASIC_REVISION_MASK));
    //@ assert pages[3].address == \at(pages[3].address, Pre);
    if (!vmx_vmclear(pages[0].physical.value) || !vmx_vmptrld(pages[0].physical.value)) {
        return STATUS_UNSUPPORTED;
    }
    fill_vmcs(vm, pages, identifier);
    vmx_flush_tlb(vmx);
    write_host_state();
    //@ assert vm->intercepts == 0 ==> constants_written(vm, identifier);
    //@ assert vm->intercepts == 0 ==> masks_written;
    /*@ assert vm->intercepts == 0 ==> \forall integer field; is_listed(field) &&
          !is_first_field(field) ==> field_zeroed(field); */
    switch_in(vmx);
    return STATUS_OK;
}

void vmx_vcpu_destroy(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    fpu_release(vmx->fpu_area);
    (void)!vmx_vmclear(vmx->vmcs.physical.value);
}

/*@
  requires vmx_vcpu_valid(vcpu) && \valid_read(running_cpu);
  terminates \true;
  assigns vmcs_current, vmcs_fields[0 .. 0x7fff], cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff];
  ensures vmcs_taken(vmx_at(vcpu)->vmcs.physical.value) ==>
    vmcs_current == vmx_at(vcpu)->vmcs.physical.value;
  ensures host_registers_written;
  ensures host_bases_written;
  ensures host_msrs_written;
  ensures msrs_hold(&vmx_at(vcpu)->msrs[0]);
  ensures debug_holds(&vmx_at(vcpu)->dr[0], vmx_at(vcpu)->dr6);
*/
void vmx_vcpu_load(struct virt_vcpu *vcpu)
{
    struct vmx_vcpu *vmx = vmx_of(vcpu);

    (void)!vmx_vmptrld(vmx->vmcs.physical.value); // fails only for an address it was never given
    write_host_state();
    switch_in(vmx);
}

/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vmx_at(vcpu)->msrs[0 .. 5], vmx_at(vcpu)->dr[0 .. 3], vmx_at(vcpu)->dr6;
  ensures msrs_hold(&vmx_at(vcpu)->msrs[0]);
  ensures debug_holds(&vmx_at(vcpu)->dr[0], vmx_at(vcpu)->dr6);
*/
void vmx_vcpu_unload(struct virt_vcpu *vcpu)
{
    switch_out(vmx_of(vcpu));
}

bool vmx_vcpu_read(struct virt_vcpu *vcpu, uint64_t encoding, uint64_t *value)
{
    (void)vcpu; // it is loaded
    return vmcs_try_read(encoding, value);
}
