// SPDX-License-Identifier: MIT
// Register groups between the shared page and the hardware, both ways, and what a page asks for
// besides them. Called for a loaded vCPU by its own thread; no lock.
#pragma once

#include "arch/x86/cpu/fpu.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

// -- export.c ---------------------------------------------------------------------------------

// Fills those of the groups that are not valid yet, from the VMCS and the processor's registers.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns EXPORTED(vcpu->page);
  ensures vcpu->page->valid == (\old(vcpu->page->valid) | (groups & VCPU_GROUP_ALL));
  ensures EXPORTS(0) ==> rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  ensures EXPORTS(1) ==> vcpu->page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    vcpu->page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures EXPORTS(2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(vcpu->page, i);
  ensures EXPORTS(3) ==> tables_same(vcpu->page);
  ensures EXPORTS(4) ==> msrs_same(vcpu->page);
  ensures EXPORTS(5) ==> debug_holds(&vcpu->page->dr[0], vcpu->page->dr6) &&
    vcpu->page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
  ensures EXPORTS(6) ==> vcpu->page->xcr0 == vmx_at(vcpu)->xcr0;
  // A group that is valid is not read again.
  ensures !EXPORTS(0) ==> vcpu->page->rip == \old(vcpu->page->rip) &&
    vcpu->page->gpr[GPR_RSP] == \old(vcpu->page->gpr[GPR_RSP]) &&
    vcpu->page->rflags == \old(vcpu->page->rflags) &&
    vcpu->page->interruptibility == \old(vcpu->page->interruptibility);
*/
void vmx_vcpu_export(struct virt_vcpu *vcpu, uint32_t groups);

// -- state.c ----------------------------------------------------------------------------------

// Bits 63:47 are equal.
/*@
  predicate is_canonical(integer address) =
    address < 0x800000000000 || address >= 0xffff800000000000;
  // MOV to CR0 and CR4 and WRMSR to EFER fault on none of these: CR0 without reserved bits, PE with
  // PG, CD with NW; of CR4 and EFER the bits that guests have.
  predicate control_fits(struct vcpu_page *page) =
    (page->cr0 & (uint64_t)~capabilities_found->cr0_fixed1) == 0 &&
    (WORD_BIT(page->cr0, 31) ==> WORD_BIT(page->cr0, 0)) &&
    (WORD_BIT(page->cr0, 29) ==> WORD_BIT(page->cr0, 30)) &&
    (page->cr4 & (uint64_t)~((0x370fbf & capabilities_found->cr4_fixed1) | 0x40)) == 0 &&
    (page->efer & (uint64_t)~0xd01) == 0;
  // WRMSR faults on none of these: canonical addresses, and reserved bits clear.
  predicate msrs_fit(struct vcpu_page *page) =
    page->sfmask <= UINT32_MAX && page->tsc_aux <= UINT32_MAX && is_canonical(page->lstar) &&
    is_canonical(page->cstar) && is_canonical(page->kernel_gs_base);
*/

// Loads groups besides RIP. STATUS_INVALID: a value that cannot be loaded; nothing was changed.
/*@
  requires vmx_vcpu_loaded(vcpu);
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], cpu_cr0, cpu_xcr0,
    vmx_at(vcpu)->xcr0, vmx_at(vcpu)->apic_mode, vmx_at(vcpu)->eoi_exit[0 .. 3],
    running_cpu->fpu_owner;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result != STATUS_OK ==> running_cpu->fpu_owner == \old(running_cpu->fpu_owner) &&
    vmx_at(vcpu)->xcr0 == \old(vmx_at(vcpu)->xcr0) &&
    vmx_at(vcpu)->apic_mode == \old(vmx_at(vcpu)->apic_mode);
  ensures \result == STATUS_OK && WORD_BIT(groups, 5) ==>
    debug_holds(&vcpu->page->dr[0], vcpu->page->dr6);
  ensures \result == STATUS_OK && WORD_BIT(groups, 6) ==>
    vmx_at(vcpu)->xcr0 == vcpu->page->xcr0;
  // What cannot be loaded is refused.
  ensures \result == STATUS_OK && WORD_BIT(groups, 1) ==> \old(control_fits(vcpu->page));
  ensures \result == STATUS_OK && WORD_BIT(groups, 4) ==> \old(msrs_fit(vcpu->page));
  ensures \result == STATUS_OK && WORD_BIT(groups, 5) ==>
    \old(vcpu->page->dr6) <= 0xffffffff && \old(vcpu->page->dr7) <= 0xffffffff;
  ensures \result != STATUS_OK ==> \forall integer field; 0 <= field < 0x8000 ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  ensures \forall integer field; 0 <= field < 0x8000 && !is_rare_field(field) ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  // The windows are not the page's groups.
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_BIT(now, before, 2) && SAME_BIT(now, before, 22);
*/
MUST_CHECK enum status vmx_import_rare(struct virt_vcpu *vcpu, uint32_t groups);
/*@
  requires \valid(vmx);
  terminates \true;
  assigns vmx->requests, vmcs_fields[VMCS_PRIMARY_CONTROLS], vmcs_fields[VMCS_EXCEPTION_BITMAP];
  ensures vmx->requests == requests;
  // The windows, bits 2 and 22, are as requested; the other controls stay.
  ensures WORD_BIT(vmcs_fields[VMCS_PRIMARY_CONTROLS], 2) <==> (requests & 0xffff) != 0;
  ensures WORD_BIT(vmcs_fields[VMCS_PRIMARY_CONTROLS], 22) <==> (requests & 0xffff0000) != 0;
  ensures \let now = vmcs_fields[VMCS_PRIMARY_CONTROLS];
    \let before = \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]);
    SAME_BIT(now, before, 0) && SAME_BIT(now, before, 1) && SAME_BIT(now, before, 3) &&
    SAME_4(now, before, 4) && SAME_8(now, before, 8) && SAME_4(now, before, 16) &&
    SAME_BIT(now, before, 20) && SAME_BIT(now, before, 21) && SAME_BIT(now, before, 23) &&
    SAME_8(now, before, 24);
  // Machine checks, bit 18, are the host's.
  ensures MOVED_16(vmcs_fields[VMCS_EXCEPTION_BITMAP], 0, requests, 32);
  ensures MOVED_8(vmcs_fields[VMCS_EXCEPTION_BITMAP], 24, requests, 56);
  ensures WORD_BIT(vmcs_fields[VMCS_EXCEPTION_BITMAP], 18);
  ensures vmcs_fields[VMCS_EXCEPTION_BITMAP] == ((uint32_t)(requests >> 32) | 0x40000);
*/
void vmx_apply_requests(struct vmx_vcpu *vmx, uint64_t requests);
/*@
  requires \valid_read(vmx) && vmx->cpu == running_cpu && \valid(&running_cpu->fpu_owner);
  terminates \true;
  assigns running_cpu->fpu_owner, cpu_cr0, cpu_xcr0;
  ensures running_cpu->fpu_owner == vmx->fpu_area;
  // Ring 3 traps at its first use; the guest's components are in force.
  ensures (cpu_cr0 & 8) != 0;
  ensures fpu_mask_found != 0 ==> cpu_xcr0 == vmx->xcr0;
*/
void vmx_claim_fpu(struct vmx_vcpu *vmx);
