// SPDX-License-Identifier: MIT
// Events on their way from the shared page into the VMCS and, where they were not delivered, back:
// what run.c does around an entry, step by step. An event is in one of the two places, so that none
// is lost and none overwrites another. Called by the vCPU's own thread; no lock.
#pragma once

#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

#define EXIT_NMI_UNBLOCKED (1u << 12) // by an IRET; in the words of exceptions and memory

// "Event Injection".
/*@
  requires \valid(vmx) && \valid(page) && \separated(vmx, page);
  // Nothing waits to be injected in the VMCS.
  requires !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  terminates \true;
  assigns vmx->event, page->event.word, vmcs_fields[VMCS_ENTRY_ERROR_CODE],
    vmcs_fields[VMCS_ENTRY_INSTRUCTION_LENGTH], vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  ensures page->event.word == 0;
  ensures vmcs_fields[VMCS_ENTRY_INTERRUPTION] == \old(page->event.word) &&
    vmcs_fields[VMCS_ENTRY_ERROR_CODE] == page->event.error_code &&
    vmcs_fields[VMCS_ENTRY_INSTRUCTION_LENGTH] == page->event.instruction_length;
  ensures vmx->event.word == \old(page->event.word) &&
    vmx->event.error_code == page->event.error_code &&
    vmx->event.instruction_length == page->event.instruction_length;
*/
static inline void write_event(struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    vmx->event = page->event;
    page->event.word = 0;
    vmcs_write_32(VMCS_ENTRY_ERROR_CODE, vmx->event.error_code);
    vmcs_write_32(VMCS_ENTRY_INSTRUCTION_LENGTH, vmx->event.instruction_length);
    vmcs_write_32(VMCS_ENTRY_INTERRUPTION, vmx->event.word);
}

// The event in the VMCS was not injected: it goes back to the page.
/*@
  requires \valid(vmx) && \valid(page) && \separated(vmx, page);
  requires page->event.word == 0; // it overwrites none
  terminates \true;
  assigns page->event, vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  ensures page->event.word == vmx->event.word;
  ensures vmx->event.word != 0 ==> page->event.error_code == vmx->event.error_code &&
    page->event.instruction_length == vmx->event.instruction_length;
  ensures vmcs_fields[VMCS_ENTRY_INTERRUPTION] == 0 ||
    vmcs_fields[VMCS_ENTRY_INTERRUPTION] == \old(vmcs_fields[VMCS_ENTRY_INTERRUPTION]);
*/
static inline void take_event_back(struct vmx_vcpu *vmx, struct vcpu_page *page)
{
    if (vmx->event.word != 0) {
        page->event = vmx->event;
    }
    (void)!vmcs_try_write(VMCS_ENTRY_INTERRUPTION, 0);
}

// "Information for VM Exits That Occur During Event Delivery": the event is delivered again.
/*@
  requires \valid(page) && WORD_BIT(vectoring, 31);
  requires page->event.word == 0; // it overwrites none
  terminates \true;
  assigns page->event, vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  ensures page->event.word == (vectoring & ~0x1000);
  ensures WORD_BIT(vectoring, 11) ==>
    page->event.error_code == vmcs_fields[VMCS_VECTORING_ERROR_CODE];
  ensures (vectoring & 0x700) >= 0x400 ==>
    page->event.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH];
  // An NMI, type 2, does not block others yet: bit 3.
  ensures vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] ==
    ((vectoring & 0x700) == 0x200
       ? \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]) & 0xfffffff7
       : \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]));
*/
static inline void keep_interrupted_event(struct vcpu_page *page, uint32_t vectoring)
{
    page->event = vmx_reinjection(vectoring, vmcs_read_32(VMCS_VECTORING_ERROR_CODE),
                                  vmcs_read_32(VMCS_EXIT_INSTRUCTION_LENGTH));
    //@ assert page->event.word == (vectoring & ~0x1000);
    if ((vectoring & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        // It has not been delivered, so it blocks no others; its injection demands that.
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY) & ~VCPU_BLOCKED_BY_NMI);
    }
}

// An IRET that unblocked NMIs and then faulted has to be seen as not done: "Resuming Guest Software
// after Handling an Exception". Only where no event was being delivered is the bit defined.
/*@
  terminates \true;
  assigns vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
  // Bit 12 of the word, and no event was being delivered: NMIs are blocked again, bit 3.
  ensures WORD_BIT(word, 12) && !WORD_BIT(vmcs_fields[VMCS_VECTORING], 31) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] ==
      (\old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]) | 8);
  ensures !(WORD_BIT(word, 12) && !WORD_BIT(vmcs_fields[VMCS_VECTORING], 31)) ==>
    vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] == \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
*/
static inline void restore_nmi_blocking(uint64_t word)
{
    if ((word & EXIT_NMI_UNBLOCKED) != 0 &&
        (vmcs_read_32(VMCS_VECTORING) & VCPU_EVENT_VALID) == 0) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY,
                      vmcs_read_32(VMCS_GUEST_INTERRUPTIBILITY) | VCPU_BLOCKED_BY_NMI);
    }
}

// Types 1 and 7 of "Event Injection", which no VMM has a use for here. Bochs ends at the latter.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> event_is_reserved(word);
*/
static inline bool event_reserved(uint32_t word)
{
    uint32_t type = word & VCPU_EVENT_TYPE_MASK;

    return (word & VCPU_EVENT_VALID) != 0 && (type == 1u << 8 || type == 7u << 8);
}
