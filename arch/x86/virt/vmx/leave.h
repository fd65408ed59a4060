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
  assigns EXPORTED(vcpu->page);
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
  ensures EXPORT_KEEPS(vcpu, vcpu->page);
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
  assigns EXPORTED(page);
  ensures \result == outcome;
  GROUPS_FILLED(0 == 0, page, groups)
  ensures page->rip == \old(page->rip) &&
    page->gpr[GPR_RSP] == \old(page->gpr[GPR_RSP]) && page->rflags == \old(page->rflags) &&
    page->interruptibility == \old(page->interruptibility);
  ensures EXPORT_KEEPS(vcpu, page);
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

// RIP's group as the guest left it, and those that the exit needs besides it.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns EXPORTED(vcpu->page);
  ensures \result == outcome;
  ensures EXPORT_KEEPS(vcpu, vcpu->page);
  ensures rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  GROUPS_FILLED(0 == 0, vcpu->page, groups)
*/
static inline enum virt_outcome leave_with(struct virt_vcpu *vcpu, uint32_t groups,
                                           enum virt_outcome outcome)
{
    vmx_export_rip(vcpu->page);
    return export_groups(vcpu, vcpu->page, groups, outcome);
}

// An exit whose instruction the guest is not to be moved behind.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->exit.instruction_length, vcpu->page->exit.advanced, EXPORTED(vcpu->page);
  ensures \result == outcome;
  ensures vcpu->page->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH] &&
    vcpu->page->exit.advanced == 0;
  ensures rip_of_page(vcpu->page, RIP_FIELDS(vmcs_fields));
  GROUPS_FILLED(0 == 0, vcpu->page, groups)
  ensures vcpu->page->event.word == \old(vcpu->page->event.word) &&
    vcpu->reason == \old(vcpu->reason) &&
    vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched);
*/
static NOINLINE enum virt_outcome leave_in_front(struct virt_vcpu *vcpu, uint32_t groups,
                                                 enum virt_outcome outcome)
{
    struct vcpu_page *page = vcpu->page;

    page->exit.instruction_length = vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH);
    page->exit.advanced = 0;
    return leave_with(vcpu, groups, outcome);
}

// INS and OUTS.
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->exit.words[0], vcpu->page->exit.pio.address_size,
    vcpu->page->exit.pio.segment, vcpu->page->exit.instruction_length,
    vcpu->page->exit.advanced, EXPORTED(vcpu->page);
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
  ensures vcpu->page->event.word == \old(vcpu->page->event.word) &&
    vcpu->reason == \old(vcpu->reason) &&
    vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched);
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
    page->exit.pio.address_size, page->exit.pio.segment, vmcs_fields[VMCS_GUEST_RIP],
  EXPORTED(page); PORT_TOLD(0 == 0, vcpu, page)
  ensures page->event.word == \old(page->event.word) &&
    vcpu->reason == \old(vcpu->reason) &&
    vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched);
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
    //@ assert PORT_MAPS_KEPT(vcpu->vm);
    //@ assert PORT_PLACES;
    //@ assert PORT_BITS_KEPT(vcpu->vm);
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
    page->exit.instruction_length, page->exit.advanced, vmcs_fields[VMCS_GUEST_RIP], EXPORTED(page);
  PLAIN_TOLD(0 == 0, vcpu, page, reason)
  ensures page->event.word == \old(page->event.word) &&
    vcpu->reason == \old(vcpu->reason) &&
    vmx_at(vcpu)->frame.launched == \old(vmx_at(vcpu)->frame.launched);
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
