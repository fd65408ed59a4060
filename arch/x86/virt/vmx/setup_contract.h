// SPDX-License-Identifier: MIT
// What the contracts of setup.c are written in: the first values of a VMCS, and what is written
// whenever it becomes the current one. For proofs only; setup.c includes it.
#pragma once

/*@
  predicate is_constant_field(integer field) =
    field == VMCS_PIN_CONTROLS || field == VMCS_PRIMARY_CONTROLS ||
    field == VMCS_SECONDARY_CONTROLS || field == VMCS_EXIT_CONTROLS ||
    field == VMCS_ENTRY_CONTROLS || field == VMCS_VPID || field == VMCS_EPT_POINTER ||
    field == VMCS_MSR_BITMAP || field == VMCS_LINK_POINTER || field == VMCS_CR0_MASK ||
    field == VMCS_CR4_MASK || field == VMCS_EXCEPTION_BITMAP || field == VMCS_HOST_CS_SELECTOR ||
    field == VMCS_HOST_SS_SELECTOR || field == VMCS_HOST_TR_SELECTOR ||
    field == VMCS_HOST_RIP || field == VMCS_HOST_PAT;
  predicate is_host_field(integer field) =
    field == VMCS_HOST_CR0 || field == VMCS_HOST_CR3 || field == VMCS_HOST_CR4 ||
    field == VMCS_HOST_EFER || field == VMCS_HOST_FS_BASE || field == VMCS_HOST_GS_BASE ||
    field == VMCS_HOST_TR_BASE || field == VMCS_HOST_GDTR_BASE ||
    field == VMCS_HOST_IDTR_BASE || field == VMCS_HOST_SYSENTER_CS ||
    field == VMCS_HOST_SYSENTER_ESP || field == VMCS_HOST_SYSENTER_EIP;
  predicate is_first_field(integer field) =
    is_constant_field(field) || is_host_field(field) || field == VMCS_VIRTUAL_APIC_ADDRESS;
  predicate is_switched_msr(integer msr) = msr == MSR_STAR || msr == MSR_LSTAR ||
    msr == MSR_CSTAR || msr == MSR_SFMASK || msr == MSR_KERNEL_GS_BASE || msr == MSR_TSC_AUX;

  // What the processor has to find when the guest exits.
  predicate host_registers_written =
    vmcs_fields[VMCS_HOST_CR0] == (cpu_cr0 | CR0_TS) && vmcs_fields[VMCS_HOST_CR3] == cpu_cr3 &&
    vmcs_fields[VMCS_HOST_CR4] == cpu_cr4;
  predicate host_bases_written =
    vmcs_fields[VMCS_HOST_FS_BASE] == cpu_msrs[MSR_FS_BASE] &&
    vmcs_fields[VMCS_HOST_GS_BASE] == cpu_msrs[MSR_GS_BASE] &&
    vmcs_fields[VMCS_HOST_TR_BASE] == (uint64_t)&running_cpu->tss &&
    vmcs_fields[VMCS_HOST_GDTR_BASE] == (uint64_t)running_cpu->gdt &&
    vmcs_fields[VMCS_HOST_IDTR_BASE] == idt_base;
  predicate host_msrs_written =
    vmcs_fields[VMCS_HOST_EFER] == (cpu_msrs[MSR_EFER] & 0xfffffffffffffffe) &&
    vmcs_fields[VMCS_HOST_SYSENTER_CS] == (uint32_t)cpu_msrs[MSR_SYSENTER_CS] &&
    vmcs_fields[VMCS_HOST_SYSENTER_ESP] == cpu_msrs[MSR_SYSENTER_ESP] &&
    vmcs_fields[VMCS_HOST_SYSENTER_EIP] == cpu_msrs[MSR_SYSENTER_EIP];
  predicate constants_written(struct virt_vm *vm, integer vpid) =
    vmcs_fields[VMCS_PIN_CONTROLS] == controls_chosen->pin &&
    vmcs_fields[VMCS_EXIT_CONTROLS] == controls_chosen->exit &&
    vmcs_fields[VMCS_ENTRY_CONTROLS] == controls_chosen->entry &&
    (vm->intercepts == 0 ==>
     vmcs_fields[VMCS_PRIMARY_CONTROLS] == controls_chosen->primary &&
     vmcs_fields[VMCS_SECONDARY_CONTROLS] == controls_chosen->secondary) &&
    vmcs_fields[VMCS_VPID] == vpid &&
    vmcs_fields[VMCS_EPT_POINTER] == (vm->nested->root.value | 0x1e) &&
    vmcs_fields[VMCS_MSR_BITMAP] == vm->msr_bitmap[VCPU_APIC_MONITOR].physical.value &&
    vmcs_fields[VMCS_LINK_POINTER] == 0xffffffffffffffff &&
    vmcs_fields[VMCS_EXCEPTION_BITMAP] == 0x40000 &&
    vmcs_fields[VMCS_HOST_CS_SELECTOR] == SELECTOR_KERNEL_CODE &&
    vmcs_fields[VMCS_HOST_SS_SELECTOR] == SELECTOR_KERNEL_DATA &&
    vmcs_fields[VMCS_HOST_TR_SELECTOR] == SELECTOR_TSS &&
    vmcs_fields[VMCS_HOST_RIP] == (uint64_t)&vmx_guest_exit[0] &&
    vmcs_fields[VMCS_HOST_PAT] == HOST_PAT;
  // The host owns NE, CD and NW of CR0; of CR4 at least MCE, VMXE, SMXE and bit 19.
  predicate masks_written = vmcs_fields[VMCS_CR0_MASK] == 0x60000020 &&
    WORD_BIT(vmcs_fields[VMCS_CR4_MASK], 6) && WORD_BIT(vmcs_fields[VMCS_CR4_MASK], 13) &&
    WORD_BIT(vmcs_fields[VMCS_CR4_MASK], 14) && WORD_BIT(vmcs_fields[VMCS_CR4_MASK], 19);

  // VMCLEAR may have left anything in a field.
  predicate field_zeroed(integer field) = 0 <= field < 0x8000 &&
    ((field & VMCS_TYPE_MASK) != VMCS_TYPE_READ_ONLY && vmcs_writable(field) ==>
     vmcs_fields[field] == 0);

  predicate vcpu_zero(struct vmx_vcpu *vmx) =
    vmx->frame.launched == 0 && vmx->event.word == 0 && vmx->requests == 0 &&
    vmx->apic_mode == 0 && vmx->dr6 == 0 &&
    (\forall integer i; 0 <= i < VMX_SWITCHED_MSRS ==> vmx->msrs[i] == 0) &&
    (\forall integer i; 0 <= i < 4 ==> vmx->dr[i] == 0 && vmx->eoi_exit[i] == 0);
*/
