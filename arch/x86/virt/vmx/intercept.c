// SPDX-License-Identifier: MIT
// Exits that a monitor has asked for: what they need besides controls. Nothing here is for ordinary
// guests. Called by setup.c while a vCPU is made; no lock.
#include "arch/x86/virt/vmx/vmx.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"
#include "kernel/lib/string.h"

#define EPT_POINTER_DIRTY (1ull << 6)

/*@
  requires \valid(vm);
  terminates \true;
  assigns vm->intercepts;
  ensures vm->intercepts == (\result == 0 ? intercepts : \old(vm->intercepts));
*/
uint32_t vmx_vm_intercept(struct virt_vm *vm, uint32_t intercepts)
{
    uint32_t lacking = vmx_intercepts_lacking(vmx_capabilities(), intercepts);

    vm->intercepts = lacking == 0 ? intercepts : vm->intercepts;
    return lacking;
}

// Accesses exit where the nested page table leads to this page: the one granted there.
/*@
  requires \valid_read(vm);
  terminates \true;
  assigns vmcs_fields[VMCS_APIC_ACCESS_ADDRESS];
*/
static void set_apic_page(const struct virt_vm *vm)
{
    struct page_mapping mapping;

    if (page_table_translate(vm->nested, VM_APIC_PAGE, &mapping) == STATUS_OK) {
        vmcs_write_64(VMCS_APIC_ACCESS_ADDRESS,
                      mapping.physical.value + VM_APIC_PAGE - mapping.address);
    }
}

// A page-modification log of one entry, so that it is full at once.
/*@
  requires \valid_read(page);
  terminates \true;
  assigns vmcs_fields[VMCS_EPT_POINTER], vmcs_fields[VMCS_PML_ADDRESS];
  ensures vmcs_fields[VMCS_PML_ADDRESS] == page->physical.value;
  ensures vmcs_fields[VMCS_EPT_POINTER] == (\old(vmcs_fields[VMCS_EPT_POINTER]) | 0x40);
*/
static void set_page_log(const struct virt_page *page)
{
    vmcs_write_64(VMCS_EPT_POINTER, vmcs_read_64(VMCS_EPT_POINTER) | EPT_POINTER_DIRTY);
    vmcs_write_64(VMCS_PML_ADDRESS, page->physical.value);
}

// In the virtual-APIC page.
/*@
  terminates \true;
  assigns vmcs_fields[VMCS_PRIMARY_CONTROLS], vmcs_fields[VMCS_TPR_THRESHOLD];
  ensures vmcs_fields[VMCS_TPR_THRESHOLD] == 1;
  // CR8-load and CR8-store exiting are bits 19 and 20.
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_16(now, before, 0) && SAME_BIT(now, before, 16) && SAME_BIT(now, before, 17) &&
    SAME_BIT(now, before, 18) && !WORD_BIT(now, 19) && !WORD_BIT(now, 20) &&
    SAME_BIT(now, before, 21) && SAME_BIT(now, before, 22) && SAME_BIT(now, before, 23) &&
    SAME_8(now, before, 24);
*/
static void set_task_priority(void)
{
    vmcs_write_32(VMCS_PRIMARY_CONTROLS,
                  vmcs_read_32(VMCS_PRIMARY_CONTROLS) & ~(PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE));
    vmcs_write_32(VMCS_TPR_THRESHOLD, 1);
}

// FS base is not for the list of MSRs that VM entry loads.
/*@
  requires \valid_read(page) && \valid((char *)page->address + (0 .. PAGE_SIZE - 1));
  terminates \true;
  assigns vmcs_fields[VMCS_ENTRY_MSR_LOAD], vmcs_fields[VMCS_ENTRY_MSR_LOAD_COUNT],
    ((char *)page->address)[0 .. 3];
  ensures vmcs_fields[VMCS_ENTRY_MSR_LOAD] == page->physical.value;
  ensures vmcs_fields[VMCS_ENTRY_MSR_LOAD_COUNT] == 1;
*/
static void set_bad_msr(const struct virt_page *page)
{
    vmx_page_write(page, MSR_FS_BASE);
    vmcs_write_64(VMCS_ENTRY_MSR_LOAD, page->physical.value);
    vmcs_write_32(VMCS_ENTRY_MSR_LOAD_COUNT, 1);
}

// Tables whose entries allow writes but no reads: 0x202020202020202.
/*@
  requires \valid_read(page) && \valid((char *)page->address + (0 .. PAGE_SIZE - 1)) &&
    \separated(page, (char *)page->address + (0 .. PAGE_SIZE - 1));
  terminates \true;
  assigns vmcs_fields[VMCS_EPT_POINTER], ((char *)page->address)[0 .. PAGE_SIZE - 1];
  ensures \forall integer i; 0 <= i < PAGE_SIZE ==>
    (uint8_t)((char *)page->address)[i] == 2;
  ensures vmcs_fields[VMCS_EPT_POINTER] ==
    ((\old(vmcs_fields[VMCS_EPT_POINTER]) & PAGE_MASK) | page->physical.value);
*/
static void set_bad_nested(const struct virt_page *page)
{
    memset(page->address, 2, PAGE_SIZE);
    vmcs_write_64(VMCS_EPT_POINTER,
                  (vmcs_read_64(VMCS_EPT_POINTER) & PAGE_MASK) | page->physical.value);
}

void vmx_write_intercepts(const struct virt_vm *vm, const struct virt_page *page)
{
    if ((vm->intercepts & VM_INTERCEPT_DIRTY) != 0) {
        set_page_log(page);
    }
    if ((vm->intercepts & (VM_INTERCEPT_APIC_PAGE | VM_INTERCEPT_TPR)) != 0) {
        set_apic_page(vm);
    }
    if ((vm->intercepts & VM_INTERCEPT_TPR) != 0) {
        set_task_priority();
    }
    if ((vm->intercepts & VM_INTERCEPT_BAD_MSR) != 0) {
        set_bad_msr(page);
    }
    if ((vm->intercepts & VM_INTERCEPT_BAD_NESTED) != 0) {
        set_bad_nested(page);
    }
}
