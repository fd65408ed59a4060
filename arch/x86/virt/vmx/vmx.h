// SPDX-License-Identifier: MIT
// What the files of the VMX backend share: the vCPU's own state, and what each file offers.
// Nobody outside vmx/ includes it, but for host tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/cpuid_table.h"
#include "arch/x86/virt/virt.h"
#include "arch/x86/virt/vmx/control_registers.h"
#include "arch/x86/virt/vmx/controls.h"
#include "arch/x86/virt/vmx/exits.h"
#include "arch/x86/virt/vmx/fields.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"

struct cpu;

// What entry.asm uses.
struct vmx_frame {
    struct vcpu_page *page;
    uint64_t host_rsp; // what HOST_RSP of the VMCS holds
    uint64_t launched; // 1: VMRESUME, 0: VMLAUNCH
};

// Lives in virt_vcpu.backend. Used by its thread only.
struct vmx_vcpu {
    struct vmx_frame frame;          // first: entry.asm passes its address
    uint64_t deadline;               // of this vcpu_enter; at most TIMER_HORIZON away
    uint32_t timer_shift;            // the VMX-preemption timer counts TSC >> this
    uint32_t obstacles;              // bits of RFLAGS with which stepping over is not adding only
    const struct cpuid_table *cpuid; // the VM's
    struct vcpu_event event;         // being injected: put back when the entry fails; else none
    struct virt_page vmcs;
    hpa_t apic_page;
    void *fpu_area;
    uint32_t vpid;
    uint32_t instruction_error; // of the last entry that failed

    // What the VMCS holds, so that it is written on change only.
    uint64_t requests; // of the page: VMX_REQUEST_*, and above them exceptions that exit
    struct cpu *cpu;   // whose registers it uses
    uint64_t xcr0;     // the guest's; in force while its FPU area is the owner
    uint32_t apic_mode;
    uint64_t eoi_exit[4];

    // While the vCPU is not loaded; then they are in the registers.
    uint64_t msrs[6]; // vmx_switched_msrs
    uint64_t dr[4];
    uint64_t dr6;
};
#define VMX_REQUEST_WINDOW     0xffffull // the page's request_window; exception_bitmap is 63:32
#define VMX_REQUEST_NMI_WINDOW 0xffff0000ull
static_assert(sizeof(struct vmx_vcpu) <= sizeof(((struct virt_vcpu *)0)->backend),
              "lives in virt_vcpu.backend");

#include "arch/x86/virt/vmx/contract.h"
#include "arch/x86/virt/vmx/exit_contract.h"

/*@
  terminates \true;
  assigns \nothing;
  ensures \result == vmx_at(vcpu);
*/
static inline struct vmx_vcpu *vmx_of(struct virt_vcpu *vcpu)
{
    return (struct vmx_vcpu *)vcpu->backend;
}

/*@
  terminates \true;
  assigns \nothing;
  ensures \result == vmx_around(vmx);
*/
static inline struct virt_vcpu *vmx_virt(struct vmx_vcpu *vmx)
{
    return CONTAINER_OF(vmx, struct virt_vcpu, backend);
}

// Writes the first word of a page that the processor reads.
/*@
  requires \valid_read(page) && \valid((char *)page->address + (0 .. 3));
  terminates \true;
  assigns ((char *)page->address)[0 .. 3];
*/
static inline void vmx_page_write(const struct virt_page *page, uint32_t word)
{
    *(uint32_t *)page->address = word;
}

// What of the groups is not RIP's, which has ways of its own.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result != 0 <==> (groups & 0xfe) != 0;
  ensures SAME_BIT(\result, groups, 1) && SAME_BIT(\result, groups, 2) &&
    SAME_BIT(\result, groups, 3) && SAME_4(\result, groups, 4);
*/
static inline uint32_t vmx_besides_rip(uint32_t groups)
{
    return groups & VCPU_GROUP_ALL & ~(uint32_t)VCPU_GROUP_RIP;
}

// -- detect.c ---------------------------------------------------------------------------------

/*@
  axiomatic vmx_found {
    logic struct vmx_capabilities *capabilities_found;
    logic struct vmx_controls *controls_chosen;
  }
*/

/*@
  terminates \true;
  assigns \nothing;
  ensures \valid_read(\result) && \result == capabilities_found;
*/
const struct vmx_capabilities *vmx_capabilities(void);
/*@
  terminates \true;
  assigns \nothing;
  ensures \valid_read(\result) && \result == controls_chosen;
*/
const struct vmx_controls *vmx_controls(void);
enum status vmx_cpu_start(const struct virt_page *page);

// -- msr_bitmap.c -----------------------------------------------------------------------------

void vmx_vm_init(struct virt_vm *vm, const struct virt_page *pages,
                 const struct page_table *nested);
enum status vmx_vm_pass_msrs(struct virt_vm *vm, uint32_t first, uint32_t last, bool pass);

// -- setup.c ----------------------------------------------------------------------------------

#define VMX_SWITCHED_MSRS 6u
// Those that the guest's values are in while its vCPU is loaded, in the order of page.star ...
static const uint32_t vmx_switched_msrs[VMX_SWITCHED_MSRS] = {
    MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX};

/*@
  // That the first of these values are in the registers; this processor may lack TSC_AUX.
  predicate msrs_held(uint64_t *values, integer count) = \forall integer i; 0 <= i < count &&
    (i != 5 || features_found->rdtscp) ==> cpu_msrs[vmx_switched_msrs[i]] == values[i];
  predicate msrs_hold(uint64_t *values) = msrs_held(values, VMX_SWITCHED_MSRS);
  predicate msrs_same(struct vcpu_page *page) =
    page->star == cpu_msrs[MSR_STAR] && page->lstar == cpu_msrs[MSR_LSTAR] &&
    page->cstar == cpu_msrs[MSR_CSTAR] && page->sfmask == cpu_msrs[MSR_SFMASK] &&
    page->kernel_gs_base == cpu_msrs[MSR_KERNEL_GS_BASE] &&
    page->tsc_aux == (features_found->rdtscp ? cpu_msrs[MSR_TSC_AUX] : 0) &&
    page->sysenter_cs == vmcs_fields[VMCS_GUEST_SYSENTER_CS] &&
    page->sysenter_esp == vmcs_fields[VMCS_GUEST_SYSENTER_ESP] &&
    page->sysenter_eip == vmcs_fields[VMCS_GUEST_SYSENTER_EIP] &&
    page->pat == vmcs_fields[VMCS_GUEST_PAT] && page->tsc_offset == vmcs_fields[VMCS_TSC_OFFSET];
  predicate debug_holds(uint64_t *dr, integer dr6) =
    (\forall integer i; 0 <= i < 4 ==> cpu_dr[i] == dr[i]) && cpu_dr[6] == dr6;
*/

enum page_level vmx_nested_largest(void);
void vmx_invalidate(void);
// Drops what this CPU cached of the vCPU's own translations.
/*@
  terminates \true;
  assigns \nothing;
*/
void vmx_flush_tlb(const struct vmx_vcpu *vmx);
enum status vmx_vcpu_init(struct virt_vcpu *vcpu, struct virt_vm *vm, struct vcpu_page *page,
                          const struct virt_page *pages, uint16_t identifier);
void vmx_vcpu_destroy(struct virt_vcpu *vcpu);
void vmx_vcpu_load(struct virt_vcpu *vcpu);
void vmx_vcpu_unload(struct virt_vcpu *vcpu);
bool vmx_vcpu_read(struct virt_vcpu *vcpu, uint64_t encoding, uint64_t *value);

// -- intercept.c ------------------------------------------------------------------------------

uint32_t vmx_vm_intercept(struct virt_vm *vm, uint32_t intercepts);
// Fields that the VM's intercepts need in the current VMCS; `page` is a zeroed one for them.
/*@
  requires \valid_read(vm) && \valid_read(page) &&
    \valid((char *)page->address + (0 .. PAGE_SIZE - 1)) &&
    \separated(page, vm, (char *)page->address + (0 .. PAGE_SIZE - 1));
  terminates \true;
  assigns vmcs_fields[0 .. 0x7fff], ((char *)page->address)[0 .. PAGE_SIZE - 1];
  ensures vm->intercepts == 0 ==> \forall integer field; 0 <= field < 0x8000 ==>
    vmcs_fields[field] == \old(vmcs_fields[field]);
  // What exits by more than a control, alone: VM_INTERCEPT_DIRTY, TPR, BAD_MSR, BAD_NESTED.
  ensures vm->intercepts == VM_INTERCEPT_DIRTY ==>
    vmcs_fields[VMCS_PML_ADDRESS] == page->physical.value &&
    vmcs_fields[VMCS_EPT_POINTER] == (\old(vmcs_fields[VMCS_EPT_POINTER]) | 0x40);
  ensures WORD_BIT(vm->intercepts, 14) ==> vmcs_fields[VMCS_TPR_THRESHOLD] == 1 &&
    !WORD_BIT(vmcs_fields[VMCS_PRIMARY_CONTROLS], 19) &&
    !WORD_BIT(vmcs_fields[VMCS_PRIMARY_CONTROLS], 20);
  ensures WORD_BIT(vm->intercepts, 15) ==>
    vmcs_fields[VMCS_ENTRY_MSR_LOAD] == page->physical.value &&
    vmcs_fields[VMCS_ENTRY_MSR_LOAD_COUNT] == 1;
  ensures vm->intercepts == VM_INTERCEPT_BAD_NESTED ==>
    vmcs_fields[VMCS_EPT_POINTER] ==
    ((\old(vmcs_fields[VMCS_EPT_POINTER]) & PAGE_MASK) | page->physical.value) &&
    \forall integer i; 0 <= i < PAGE_SIZE ==>
      (uint8_t)((char *)page->address)[i] == 2;
*/
void vmx_write_intercepts(const struct virt_vm *vm, const struct virt_page *page);

// -- run.c ------------------------------------------------------------------------------------

/*@
  // What fast.c reads and writes is there, each by itself.
  predicate fast_ready(struct vmx_vcpu *vmx) =
    \valid_read(vmx) && vmx->timer_shift < 32 && \valid(vmx->frame.page) &&
    \valid(vmx_around(vmx)->finished + (0 .. VIRT_REASON_COUNT - 1)) &&
    \valid_read(vmx->cpuid) && cpuid_slots_lead(vmx->cpuid) &&
    \separated(vmx, vmx->frame.page, vmx->cpuid,
               vmx_around(vmx)->finished + (0 .. VIRT_REASON_COUNT - 1));
*/

/*@
  requires vmx_vcpu_loaded(vcpu) && requests_in_force(vmx_at(vcpu));
  requires !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
  terminates \true;
  ENTRY_CONTRACT
*/
enum virt_outcome vmx_vcpu_enter(struct virt_vcpu *vcpu, uint64_t deadline);
/*@
  requires vmx_vcpu_valid(vcpu);
  terminates \true;
  assigns vcpu->page->valid, vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY],
    vmcs_fields[VMCS_GUEST_PENDING_DEBUG];
  ensures vmcs_fields[VMCS_GUEST_RIP] ==
    (uint64_t)(\old(vmcs_fields[VMCS_GUEST_RIP]) + vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]);
  // The shadow of STI and MOV SS ends; blocking by SMI and NMI stays.
  ensures \let now = vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY];
    \let before = \old(vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);
    !WORD_BIT(now, 0) && !WORD_BIT(now, 1) && SAME_BIT(now, before, 2) &&
    SAME_BIT(now, before, 3) && SAME_4(now, before, 4) && SAME_8(now, before, 8) &&
    SAME_16(now, before, 16);
  // With TF, bit 8, a single step is pending: bit 14.
  ensures vmcs_fields[VMCS_GUEST_PENDING_DEBUG] ==
    (WORD_BIT(vmcs_fields[VMCS_GUEST_RFLAGS], 8) ? 0x4000
                                                 : \old(vmcs_fields[VMCS_GUEST_PENDING_DEBUG]));
  ensures !WORD_BIT(vcpu->page->valid, 0);
*/
void vmx_vcpu_skip(struct virt_vcpu *vcpu);

// trace.c
void vmx_vcpu_trace_start(struct virt_vcpu *vcpu);
void vmx_vcpu_trace(struct virt_vcpu *vcpu, struct exit_record *record);

#define VMX_RESUME UINT32_MAX

// For entry.asm, with the guest's callee-saved registers still in place: decodes an exit. Returns
// VMX_RESUME when it is finished and the guest is to run on, else an enum virt_outcome.
/*@
  requires vmx_vcpu_valid(vmx_around(vmx)) && vmx == vmx_at(vmx_around(vmx)) && fast_ready(vmx);
  requires rows_are_sound(vmx_around(vmx)) && vmx->frame.page->event.word == 0;
  requires port_maps_valid(vmx_around(vmx)->vm) &&
    \separated(vmx->frame.page, vmx, vmx_around(vmx)->vm,
               vmx_around(vmx)->vm->port_map[0] + (0 .. 511),
               vmx_around(vmx)->vm->port_map[1] + (0 .. 511), &vmx_around(vmx)->reason,
               &vmx_around(vmx)->guest_ticks, &vmx_around(vmx)->vector,
               vmx_around(vmx)->finished + (0 .. VIRT_REASON_COUNT - 1));
  requires EXIT_WORD == VMX_REASON_IO ==>
    vmx_port_qualification(vmcs_fields[VMCS_EXIT_QUALIFICATION]);
  terminates \true;
  assigns vmx->frame.page->exit, vmx->frame.page->event, vmx->frame.page->exit_tsc,
    vmx->frame.page->cr2, vmx->frame.page->gpr[GPR_RAX], vmx->frame.page->gpr[GPR_RBX],
    vmx->frame.page->gpr[GPR_RCX], vmx->frame.page->gpr[GPR_RDX], EXPORTED(vmx->frame.page),
    vmx->frame.launched, vmx_around(vmx)->guest_ticks, vmx_around(vmx)->reason,
    vmx_around(vmx)->vector, FINISHED(vmx, VMX_REASON_CPUID), FINISHED(vmx, VMX_REASON_VMCALL),
    vmcs_fields[VMCS_GUEST_RIP], vmcs_fields[VMCS_PREEMPTION_TIMER], vmcs_fields[VMCS_PML_INDEX],
    vmcs_fields[VMCS_TPR_THRESHOLD], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY],
    vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  ensures \result == VMX_RESUME || \result < VIRT_OUTCOME_COUNT;
  ensures \result == VMX_RESUME ==>
    EXIT_WORD == VMX_REASON_CPUID || EXIT_WORD == VMX_REASON_VMCALL;
  STEPPED(\result == VMX_RESUME, vmx)
  CPUID_ANSWERED(\result == VMX_RESUME && EXIT_WORD == VMX_REASON_CPUID, vmx)
  ensures \result != VMX_RESUME ==> vmx_around(vmx)->reason == EXIT_WORD;
  PORT_TOLD(EXIT_WORD == VMX_REASON_IO, vmx_around(vmx), vmx->frame.page)
  PLAIN_TOLD(EXIT_TOLD && EXIT_PLAIN(EXIT_WORD), vmx_around(vmx), vmx->frame.page, EXIT_WORD)
  ROW_TOLD(EXIT_TOLD && EXIT_BY_ROW(EXIT_WORD) &&
             \old(ROW_OF(EXIT_WORD).outcome) < VIRT_FIRST_OF_HOST,
           vmx->frame.page, ROW_OF(EXIT_WORD), EXIT_WORD)
  HOST_TOLD(EXIT_TOLD && EXIT_BY_ROW(EXIT_WORD) &&
              \old(ROW_OF(EXIT_WORD).outcome) >= VIRT_FIRST_OF_HOST,
            vmx_around(vmx), vmx->frame.page, ROW_OF(EXIT_WORD))
  EVENT_TOLD(EXIT_TOLD && EXIT_BY_ROW(EXIT_WORD), vmx, vmx->frame.page, EXIT_WORD)
  ensures EXIT_TOLD && !EXIT_BY_ROW(EXIT_WORD) ==>
    vmx->frame.launched == 1 && vmx->frame.page->event.word == 0;
*/
uint32_t vmx_exited(struct vmx_vcpu *vmx);
// The same for a VMLAUNCH or VMRESUME that itself failed; `invalid`: with VMfailInvalid. The event
// that was to be injected goes back to the page.
/*@
  requires vmx_vcpu_valid(vmx_around(vmx)) && vmx == vmx_at(vmx_around(vmx));
  requires vmx_around(vmx)->page->event.word == 0;
  terminates \true;
  assigns *vmx_around(vmx)->page, vmx_around(vmx)->guest_ticks, vmx->instruction_error,
    vmcs_fields[VMCS_ENTRY_INTERRUPTION];
  ensures \result == VIRT_TO_MONITOR;
  ensures \let exit = &vmx_around(vmx)->page->exit; exit->kind == EXIT_ENTRY_REFUSED &&
    exit->refused.reason == (invalid ? REFUSED_INVALID_STATE : REFUSED_CONTROL_FIELDS) &&
    exit->refused.error == vmx->instruction_error;
  ensures vmx->instruction_error == (invalid ? 0 : vmcs_fields[VMCS_INSTRUCTION_ERROR]);
  ensures vmx_around(vmx)->page->event.word == vmx->event.word;
  ensures vmx->event.word != 0 ==>
    vmx_around(vmx)->page->event.error_code == vmx->event.error_code;
  ensures vmx->event.word != 0 ==>
    vmx_around(vmx)->page->event.instruction_length == vmx->event.instruction_length;
  ensures vmx_around(vmx)->page->valid == VCPU_GROUP_ALL;
  ensures rip_of_page(vmx_around(vmx)->page, RIP_FIELDS(vmcs_fields));
*/
uint32_t vmx_entry_failed(struct vmx_vcpu *vmx, bool invalid);

// fast.c: finishes the exit, or leaves it and returns false.
/*@
  requires fast_ready(vmx);
  terminates \true;
  assigns vmx->frame.page->gpr[GPR_RAX], vmx->frame.page->gpr[GPR_RBX],
    vmx->frame.page->gpr[GPR_RCX], vmx->frame.page->gpr[GPR_RDX],
    vmx_around(vmx)->finished[VMX_REASON_CPUID], vmcs_fields[VMCS_GUEST_RIP],
    vmcs_fields[VMCS_PREEMPTION_TIMER];
  CPUID_ANSWERED(\result != 0, vmx)
  CPUID_LEFT(\result == 0, vmx)
  STEPPED(\result != 0, vmx)
  NOT_STEPPED(\result == 0, vmx)
  ensures FINISHED(vmx, VMX_REASON_CPUID) == (\result != 0 ?
    (uint64_t)(\old(FINISHED(vmx, VMX_REASON_CPUID)) + 1) :
    \old(FINISHED(vmx, VMX_REASON_CPUID)));
*/
bool vmx_answer_cpuid(struct vmx_vcpu *vmx);
/*@
  requires fast_ready(vmx);
  terminates \true;
  assigns vmx_around(vmx)->finished[VMX_REASON_VMCALL], vmcs_fields[VMCS_GUEST_RIP],
    vmcs_fields[VMCS_PREEMPTION_TIMER];
  ensures \result != 0 ==> vmx->frame.page->gpr[GPR_RAX] == 0;
  STEPPED(\result != 0, vmx)
  NOT_STEPPED(\result == 0, vmx)
  ensures FINISHED(vmx, VMX_REASON_VMCALL) == (\result != 0 ?
    (uint64_t)(\old(FINISHED(vmx, VMX_REASON_VMCALL)) + 1) :
    \old(FINISHED(vmx, VMX_REASON_VMCALL)));
*/
bool vmx_answer_vmcall(struct vmx_vcpu *vmx);

// entry.asm. The page's general registers are loaded and saved but for RSP.
/*@
  requires \valid(frame) && \valid(frame->page);
  // An event is in the VMCS or in the page; never does one wait behind another.
  requires frame->page->event.word == 0;
  terminates \true;
  // What becomes of the exit is written too, and what an entry that failed has to report.
  assigns cpu_dr[0 .. 6], cpu_msrs[0 .. 0xffffffff], *frame->page, frame->host_rsp, frame->launched,
    vmx_with(frame)->instruction_error, vmx_around(vmx_with(frame))->guest_ticks,
    vmx_around(vmx_with(frame))->reason, vmx_around(vmx_with(frame))->vector,
    vmx_around(vmx_with(frame))->finished[0 .. VIRT_REASON_COUNT - 1],
    vmcs_fields[0 .. 0x7fff], vmcs_entered[0 .. 0x7fff], vmcs_entries;
  ensures \forall integer field; 0 <= field < 0x8000 ==>
    vmcs_entered[field] == \old(vmcs_fields[field]);
  ensures vmcs_entries != \old(vmcs_entries);
  // Neither the guest nor its exit changes these.
  ensures frame->page->dirty == \old(frame->page->dirty);
  ensures vmcs_fields[VMCS_PRIMARY_CONTROLS] == \old(vmcs_fields[VMCS_PRIMARY_CONTROLS]) &&
    vmcs_fields[VMCS_EXCEPTION_BITMAP] == \old(vmcs_fields[VMCS_EXCEPTION_BITMAP]);
  // The processor clears the bit when it exits, and take_event_back when it was not entered.
  ensures !WORD_BIT(vmcs_fields[VMCS_ENTRY_INTERRUPTION], 31);
*/
enum virt_outcome vmx_guest_enter(struct vmx_frame *frame);
extern const char vmx_guest_exit[]; // HOST_RIP
