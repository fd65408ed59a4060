// SPDX-License-Identifier: MIT
// The steps with which run.c leaves the guest for the monitor: the register groups that an exit
// needs, and what the page says of the most frequent exits, port accesses and plain instructions.
// Called by the vCPU's own thread; no lock.
#pragma once

#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/rip.h"
#include "arch/x86/virt/vmx/state.h"
#include "arch/x86/virt/vmx/vmx.h"

#define QUALIFICATION_STRING (1u << 4) // of an I/O instruction

// Fills the groups that an exit needs, besides RIP's.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->valid, vcpu->page->rip, vcpu->page->gpr[GPR_RSP], vcpu->page->rflags,
    vcpu->page->interruptibility, vcpu->page->cr0, vcpu->page->cr3, vcpu->page->cr4,
    vcpu->page->efer, vcpu->page->segment[0 .. 7], vcpu->page->gdtr.base,
    vcpu->page->gdtr.limit, vcpu->page->idtr.base, vcpu->page->idtr.limit, vcpu->page->star,
    vcpu->page->lstar, vcpu->page->cstar, vcpu->page->sfmask, vcpu->page->kernel_gs_base,
    vcpu->page->tsc_aux, vcpu->page->sysenter_cs, vcpu->page->sysenter_esp,
    vcpu->page->sysenter_eip, vcpu->page->pat, vcpu->page->tsc_offset, vcpu->page->dr[0 .. 3],
    vcpu->page->dr6, vcpu->page->dr7, vcpu->page->xcr0, vcpu->page->interrupt_status;
  ensures \result == outcome;
  ensures vcpu->page->valid == (\old(vcpu->page->valid) | (groups & VCPU_GROUP_ALL));
  ensures EXPORTS(0) ==> rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  ensures EXPORTS(1) ==> vcpu->page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    vcpu->page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures EXPORTS(2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(vcpu->page, i);
  ensures EXPORTS(3) ==> tables_same(vcpu->page);
  ensures EXPORTS(5) ==> vcpu->page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
  ensures WORD_BIT(\old(vcpu->page->valid), 0) ==> vcpu->page->rip == \old(vcpu->page->rip) &&
    vcpu->page->gpr[GPR_RSP] == \old(vcpu->page->gpr[GPR_RSP]) &&
    vcpu->page->rflags == \old(vcpu->page->rflags) &&
    vcpu->page->interruptibility == \old(vcpu->page->interruptibility);
*/
static NOINLINE enum virt_outcome export_more(struct virt_vcpu *vcpu, uint32_t groups,
                                              enum virt_outcome outcome)
{
    vmx_vcpu_export(vcpu, groups);
    return outcome;
}

// Fills the groups that an exit needs besides RIP's, which is there, and passes the outcome on.
/*@
  requires vmx_vcpu_valid(vcpu) && page == vcpu->page;
  terminates \true;
  assigns page->valid, page->rip, page->gpr[GPR_RSP], page->rflags, page->interruptibility,
    page->cr0, page->cr3, page->cr4, page->efer, page->segment[0 .. 7], page->gdtr.base,
    page->gdtr.limit, page->idtr.base, page->idtr.limit, page->star, page->lstar, page->cstar,
    page->sfmask, page->kernel_gs_base, page->tsc_aux, page->sysenter_cs, page->sysenter_esp,
    page->sysenter_eip, page->pat, page->tsc_offset, page->dr[0 .. 3], page->dr6, page->dr7,
    page->xcr0, page->interrupt_status;
  ensures \result == outcome;
  ensures page->valid == (VCPU_GROUP_RIP | ((groups | page->wanted) & VCPU_GROUP_ALL));
  ensures WORD_BIT((groups | page->wanted), 1) ==> page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures WORD_BIT((groups | page->wanted), 2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(page, i);
  ensures WORD_BIT((groups | page->wanted), 3) ==> tables_same(page);
  ensures WORD_BIT((groups | page->wanted), 5) ==> page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
  ensures page->rip == \old(page->rip) &&
    page->gpr[GPR_RSP] == \old(page->gpr[GPR_RSP]) && page->rflags == \old(page->rflags) &&
    page->interruptibility == \old(page->interruptibility);
*/
static inline enum virt_outcome export_groups(struct virt_vcpu *vcpu, struct vcpu_page *page,
                                              uint32_t groups, enum virt_outcome outcome)
{
    page->valid = VCPU_GROUP_RIP;
    if (UNLIKELY(page->wanted != 0) || groups != 0) {
        return export_more(vcpu, groups | page->wanted, outcome);
    }
    return outcome;
}

// An exit whose instruction the guest is not to be moved behind.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->exit.instruction_length, vcpu->page->exit.advanced, vcpu->page->valid,
    vcpu->page->rip, vcpu->page->gpr[GPR_RSP], vcpu->page->rflags, vcpu->page->interruptibility,
    vcpu->page->cr0, vcpu->page->cr3, vcpu->page->cr4, vcpu->page->efer,
    vcpu->page->segment[0 .. 7], vcpu->page->gdtr.base, vcpu->page->gdtr.limit,
    vcpu->page->idtr.base, vcpu->page->idtr.limit, vcpu->page->star, vcpu->page->lstar,
    vcpu->page->cstar, vcpu->page->sfmask, vcpu->page->kernel_gs_base, vcpu->page->tsc_aux,
    vcpu->page->sysenter_cs, vcpu->page->sysenter_esp, vcpu->page->sysenter_eip,
    vcpu->page->pat, vcpu->page->tsc_offset, vcpu->page->dr[0 .. 3], vcpu->page->dr6,
    vcpu->page->dr7, vcpu->page->xcr0, vcpu->page->interrupt_status;
  ensures \result == outcome;
  ensures vcpu->page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH] &&
    vcpu->page->exit.advanced == 0;
  ensures rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  ensures vcpu->page->valid ==
    (VCPU_GROUP_RIP | ((groups | vcpu->page->wanted) & VCPU_GROUP_ALL));
  ensures WORD_BIT((groups | vcpu->page->wanted), 1) ==>
    vcpu->page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    vcpu->page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures WORD_BIT((groups | vcpu->page->wanted), 2) ==>
    \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(vcpu->page, i);
  ensures WORD_BIT((groups | vcpu->page->wanted), 3) ==> tables_same(vcpu->page);
  ensures WORD_BIT((groups | vcpu->page->wanted), 5) ==>
    vcpu->page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
*/
static NOINLINE enum virt_outcome leave_in_front(struct virt_vcpu *vcpu, uint32_t groups,
                                                 enum virt_outcome outcome)
{
    struct vcpu_page *page = vcpu->page;

    page->exit.instruction_length = vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);
    page->exit.advanced = 0;
    vmx_export_rip(page);
    return export_groups(vcpu, page, groups, outcome);
}

// INS and OUTS.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->exit.words[0], vcpu->page->exit.pio.address_size,
    vcpu->page->exit.pio.segment, vcpu->page->exit.instruction_length,
    vcpu->page->exit.advanced, vcpu->page->valid, vcpu->page->rip, vcpu->page->gpr[GPR_RSP],
    vcpu->page->rflags, vcpu->page->interruptibility, vcpu->page->cr0, vcpu->page->cr3,
    vcpu->page->cr4, vcpu->page->efer, vcpu->page->segment[0 .. 7], vcpu->page->gdtr.base,
    vcpu->page->gdtr.limit, vcpu->page->idtr.base, vcpu->page->idtr.limit, vcpu->page->star,
    vcpu->page->lstar, vcpu->page->cstar, vcpu->page->sfmask, vcpu->page->kernel_gs_base,
    vcpu->page->tsc_aux, vcpu->page->sysenter_cs, vcpu->page->sysenter_esp,
    vcpu->page->sysenter_eip, vcpu->page->pat, vcpu->page->tsc_offset, vcpu->page->dr[0 .. 3],
    vcpu->page->dr6, vcpu->page->dr7, vcpu->page->xcr0, vcpu->page->interrupt_status;
  ensures \result == VIRT_TO_MONITOR;
  // String and repeat beside what the word says already: bits 4 and 5 of the qualification.
  ensures SAME_16(vcpu->page->exit.words[0], \old(vcpu->page->exit.words[0]), 0);
  ensures SAME_16(vcpu->page->exit.words[0], \old(vcpu->page->exit.words[0]), 16);
  ensures WORD_BIT(vcpu->page->exit.words[0], 32) <==>
    WORD_BIT(\old(vcpu->page->exit.words[0]), 32) ||
    WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4);
  ensures WORD_BIT(vcpu->page->exit.words[0], 40) <==>
    WORD_BIT(\old(vcpu->page->exit.words[0]), 40) ||
    WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 5);
  // As "VM-Exit Instruction-Information Field" has them.
  ensures \let size = (vmcs_fields[VMCS_EXIT_INSTRUCTION_INFORMATION] >> 7) & 7;
    (size == 0 ==> vcpu->page->exit.pio.address_size == 2) &&
    (size == 1 ==> vcpu->page->exit.pio.address_size == 4) &&
    (size == 2 ==> vcpu->page->exit.pio.address_size == 8);
  ensures vcpu->page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH] &&
    vcpu->page->exit.advanced == 0;
  ensures rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  ensures vcpu->page->valid == (VCPU_GROUP_RIP | ((VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS |
                                                   vcpu->page->wanted) & VCPU_GROUP_ALL));
  ensures vcpu->page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    vcpu->page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures \forall integer i; 0 <= i < SEGMENT_COUNT ==> segment_same(vcpu->page, i);
*/
static NOINLINE enum virt_outcome decode_string_port(struct virt_vcpu *vcpu)
{
    struct vm_exit *exit = &vcpu->page->exit;

    exit->words[0] |= vmx_port_string_bits(vmcs_read_natural(VMCS_EXIT_QUALIFICATION));
    vmx_decode_string_port(vmcs_read_32(VMCS_EXIT_INSTRUCTION_INFORMATION), exit);
    return leave_in_front(vcpu, VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS, VIRT_TO_MONITOR);
}

// The same for the most frequent exit, a port access, without the detour through its row.
/*@
  requires vmx_vcpu_valid(vcpu) && page == vcpu->page;
  requires port_maps_valid(vcpu->vm) &&
    \separated(page, vcpu->vm, vcpu->vm->port_map[0] + (0 .. 511),
               vcpu->vm->port_map[1] + (0 .. 511));
  requires vmx_port_qualification(vmcs_fields[VMCS_EXIT_QUALIFICATION]);
  terminates \true;
  assigns page->exit.kind, page->exit.hardware_reason, page->exit.hardware_qualification,
    page->exit.words[0], page->exit.instruction_length, page->exit.advanced,
    page->exit.pio.address_size, page->exit.pio.segment, page->valid,
    vmcs_fields[VMCS_GUEST_RIP], page->rip, page->gpr[GPR_RSP], page->rflags,
    page->interruptibility, page->cr0, page->cr3, page->cr4, page->efer, page->segment[0 .. 7],
    page->gdtr.base, page->gdtr.limit, page->idtr.base, page->idtr.limit, page->star,
    page->lstar, page->cstar, page->sfmask, page->kernel_gs_base, page->tsc_aux,
    page->sysenter_cs, page->sysenter_esp, page->sysenter_eip, page->pat, page->tsc_offset,
    page->dr[0 .. 3], page->dr6, page->dr7, page->xcr0, page->interrupt_status;
  ensures page->exit.kind == EXIT_PIO && page->exit.hardware_reason == VMX_REASON_IO &&
    page->exit.hardware_qualification == vmcs_fields[VMCS_EXIT_QUALIFICATION];
  // Port and direction; the size is bits 2:0 and one more; string and repeat are bits 4 and 5.
  ensures \let word = page->exit.words[0];
    \let qualification = vmcs_fields[VMCS_EXIT_QUALIFICATION];
    MOVED_16(word, 0, qualification, 16) && MOVED_BIT(word, 24, qualification, 3) &&
    (WORD_BIT(word, 16) <==> (qualification & 7) == 0) &&
    (WORD_BIT(word, 17) <==> (qualification & 7) == 1) &&
    (WORD_BIT(word, 18) <==> (qualification & 7) == 3);
  ensures MOVED_BIT(page->exit.words[0], 32, vmcs_fields[VMCS_EXIT_QUALIFICATION], 4);
  ensures WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) ==>
    MOVED_BIT(page->exit.words[0], 40, vmcs_fields[VMCS_EXIT_QUALIFICATION], 5);
  ensures page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH];
  ensures rip_of_page(page, \old(vmcs_fields[VMCS_GUEST_RIP]), vmcs_fields[VMCS_GUEST_RSP],
                      vmcs_fields[VMCS_GUEST_RFLAGS], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
  // Strings, and ports without a device, which the kernel may answer, are not stepped over.
  ensures WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) ==>
    \result == VIRT_TO_MONITOR && page->exit.advanced == 0;
  ensures !WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) &&
    \old(port_bit(vcpu->vm, (uint16_t)(vmcs_fields[VMCS_EXIT_QUALIFICATION] >> 16))) != 0 ==>
      \result == VIRT_PORT && page->exit.advanced == 0;
  ensures !WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) &&
    \old(port_bit(vcpu->vm, (uint16_t)(vmcs_fields[VMCS_EXIT_QUALIFICATION] >> 16))) == 0 ==>
      \result == VIRT_TO_MONITOR;
  ensures page->exit.advanced == 1 ==>
    (page->interruptibility & 3) == 0 && (page->rflags & \old(vmx_at(vcpu)->obstacles)) == 0;
  ensures !WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) &&
    \old(port_bit(vcpu->vm, (uint16_t)(vmcs_fields[VMCS_EXIT_QUALIFICATION] >> 16))) == 0 &&
    (page->interruptibility & 3) == 0 && (page->rflags & \old(vmx_at(vcpu)->obstacles)) == 0 ==>
      page->exit.advanced == 1;
  ensures page->exit.advanced == 0 || page->exit.advanced == 1;
  ensures vmcs_fields[VMCS_GUEST_RIP] == (page->exit.advanced == 0 ? page->rip :
    (uint64_t)(page->rip + page->exit.instruction_length));
  ensures WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) ==>
    page->valid == (VCPU_GROUP_RIP | ((VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS |
                                       page->wanted) & VCPU_GROUP_ALL));
  ensures !WORD_BIT(vmcs_fields[VMCS_EXIT_QUALIFICATION], 4) ==>
    page->valid == (VCPU_GROUP_RIP | (page->wanted & VCPU_GROUP_ALL));
*/
static inline enum virt_outcome decode_port(struct virt_vcpu *vcpu, struct vcpu_page *page)
{
    struct vm_exit *exit = &page->exit;
    uint64_t qualification = vmcs_read_natural(VMCS_EXIT_QUALIFICATION);

    exit->kind = EXIT_PIO;
    exit->hardware_reason = VMX_REASON_IO;
    exit->hardware_qualification = qualification;
    exit->words[0] = vmx_port_word(qualification);
    if (UNLIKELY((qualification & QUALIFICATION_STRING) != 0)) {
        return decode_string_port(vcpu);
    }
    /*@ assert \forall integer k; 0 <= k < 512 ==>
          vcpu->vm->port_map[0][k] == \at(vcpu->vm->port_map[0][k], Pre) &&
          vcpu->vm->port_map[1][k] == \at(vcpu->vm->port_map[1][k], Pre); */
    /*@ assert \forall integer port; 0 <= port < 0x10000 ==>
          0 <= port / 64 % 512 < 512 && (port / 32768 == 0 || port / 32768 == 1); */
    /*@ assert \forall integer port; 0 <= port < 0x10000 ==>
          port_bit(vcpu->vm, port) == \at(port_bit(vcpu->vm, port), Pre); */
    //@ assert 0 <= (uint16_t)(qualification >> 16) < 0x10000;
    /*@ assert port_bit(vcpu->vm, (uint16_t)(qualification >> 16)) == \at(
          port_bit(vcpu->vm, (uint16_t)(vmcs_fields[VMCS_EXIT_QUALIFICATION] >> 16)), Pre); */
    if (UNLIKELY(virt_port_floats(vcpu->vm, (uint16_t)(qualification >> 16)))) {
        return leave_in_front(vcpu, 0, VIRT_PORT);
    }
    vmx_export_and_step(vmx_of(vcpu), page);
    /*@ assert page->exit.advanced == 1 <==> (page->interruptibility & 3) == 0 &&
          (page->rflags & \at(vmx_at(vcpu)->obstacles, Pre)) == 0; */
    return export_groups(vcpu, page, 0, VIRT_TO_MONITOR);
}

// An exit by an instruction of which nothing is to be known but its length.
/*@
  requires vmx_vcpu_valid(vcpu) && page == vcpu->page && reason < VMX_EXIT_REASON_COUNT;
  terminates \true;
  assigns page->exit.kind, page->exit.hardware_reason, page->exit.hardware_qualification,
    page->exit.instruction_length, page->exit.advanced, page->valid,
    vmcs_fields[VMCS_GUEST_RIP], page->rip, page->gpr[GPR_RSP], page->rflags,
    page->interruptibility, page->cr0, page->cr3, page->cr4, page->efer, page->segment[0 .. 7],
    page->gdtr.base, page->gdtr.limit, page->idtr.base, page->idtr.limit, page->star,
    page->lstar, page->cstar, page->sfmask, page->kernel_gs_base, page->tsc_aux,
    page->sysenter_cs, page->sysenter_esp, page->sysenter_eip, page->pat, page->tsc_offset,
    page->dr[0 .. 3], page->dr6, page->dr7, page->xcr0, page->interrupt_status;
  ensures \result == VIRT_TO_MONITOR;
  ensures page->exit.kind == vmx_exit_rows[reason].kind &&
    page->exit.hardware_reason == reason && page->exit.hardware_qualification == 0;
  // RIP's group as it was at the exit; the VMCS is behind the instruction, unless that needs more
  // than its length.
  ensures rip_of_page(page, \old(vmcs_fields[VMCS_GUEST_RIP]), vmcs_fields[VMCS_GUEST_RSP],
                      vmcs_fields[VMCS_GUEST_RFLAGS], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
  ensures page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH];
  ensures page->exit.advanced == 1 || page->exit.advanced == 0;
  ensures page->exit.advanced == 1 <==>
    (page->interruptibility & 3) == 0 && (page->rflags & vmx_at(vcpu)->obstacles) == 0;
  ensures vmcs_fields[VMCS_GUEST_RIP] == (page->exit.advanced == 0 ? page->rip :
    (uint64_t)(page->rip + page->exit.instruction_length));
  ensures page->valid == (VCPU_GROUP_RIP | (page->wanted & VCPU_GROUP_ALL));
  ensures WORD_BIT(page->wanted, 1) ==> page->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&
    page->efer == vmcs_fields[VMCS_GUEST_EFER];
  ensures WORD_BIT(page->wanted, 2) ==> \forall integer i; 0 <= i < SEGMENT_COUNT ==>
    segment_same(page, i);
  ensures WORD_BIT(page->wanted, 3) ==> tables_same(page);
  ensures WORD_BIT(page->wanted, 5) ==> page->dr7 == vmcs_fields[VMCS_GUEST_DR7];
*/
static inline enum virt_outcome decode_plain(struct virt_vcpu *vcpu, struct vcpu_page *page,
                                             uint32_t reason)
{
    //@ assert vmx_around(vmx_at(vcpu)) == vcpu;
    page->exit.kind = vmx_exit_rows[reason].kind;
    page->exit.hardware_reason = reason;
    page->exit.hardware_qualification = 0;
    vmx_export_and_step(vmx_of(vcpu), page);
    return export_groups(vcpu, page, 0, VIRT_TO_MONITOR);
}
