// SPDX-License-Identifier: MIT
// What the files of the VMX backend share: the vCPU's own state, the raw words of an exit, and the
// table of exits. Nobody outside vmx/ includes it, but for host tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/virt.h"
#include "arch/x86/virt/vmx/control_registers.h"
#include "arch/x86/virt/vmx/controls.h"
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

// The hardware words of one exit. Words that the exit's row does not need are not read.
struct vmx_raw {
    uint32_t reason;
    uint32_t length; // 0 where the manual leaves it undefined
    uint64_t qualification;
    uint32_t information; // VM-exit instruction information
    uint32_t interruption;
    uint32_t error_code;
    uint64_t gpa;
    uint64_t gva;
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

// -- exits.c: the table -----------------------------------------------------------------------

// Raw words that a row needs besides reason and qualification.
#define NEED_LENGTH       (1u << 0)
#define NEED_INFORMATION  (1u << 1)
#define NEED_ADDRESSES    (1u << 2)
#define NEED_INTERRUPTION (1u << 3)
#define NEED_PAGE_LOG     (1u << 4) // has the log of modified pages take one more
#define NEED_PRIORITY     (1u << 5) // has the threshold of the task priority lowered
#define NEED_STEP         (1u << 6) // a plain instruction, for the monitor: is stepped over

typedef void vmx_decoder(const struct vmx_raw *raw, struct vm_exit *exit);

struct vmx_exit_row {
    const char *name; // as the manual's "VMX Basic Exit Reasons" call it
    enum exit_kind kind;
    enum virt_outcome outcome; // VIRT_TO_MONITOR unless the kernel may finish it
    uint16_t needs;            // NEED_*
    uint16_t groups;           // VCPU_GROUP_* exported with it
    vmx_decoder *decode;       // null: nothing besides the common words
};

#define VMX_EXIT_REASON_COUNT 78u

#define VMX_REASON_EXCEPTION          0u
#define VMX_REASON_EXTERNAL_INTERRUPT 1u
#define VMX_REASON_CPUID              10u
#define VMX_REASON_VMCALL             18u
#define VMX_REASON_CR                 28u
#define VMX_REASON_DR                 29u
#define VMX_REASON_IO                 30u
#define VMX_REASON_GUEST_STATE        33u
#define VMX_REASON_MSR_LOADING        34u
#define VMX_REASON_MACHINE_CHECK      41u
#define VMX_REASON_EPT_VIOLATION      48u
#define VMX_REASON_MISCONFIGURATION   49u
#define VMX_REASON_TIMER              52u
#define VMX_REASON_ENTRY_FAILURE      (1u << 31)

static_assert(sizeof(struct vmx_exit_row) == 32, "found by a shift");

extern const struct vmx_exit_row vmx_exit_rows[VMX_EXIT_REASON_COUNT];

// Never null: reasons without a row of their own have one of kind EXIT_UNKNOWN.
/*@
  terminates \true;
  assigns \nothing;
  ensures basic_reason < VMX_EXIT_REASON_COUNT ==> \result == &vmx_exit_rows[basic_reason];
  ensures basic_reason >= VMX_EXIT_REASON_COUNT ==>
    \result == &vmx_exit_rows[VMX_EXIT_REASON_COUNT - 1];
*/
static inline const struct vmx_exit_row *vmx_exit_row(uint32_t basic_reason)
{
    return &vmx_exit_rows[basic_reason < VMX_EXIT_REASON_COUNT ? basic_reason
                                                               : VMX_EXIT_REASON_COUNT - 1];
}

// Raw words to the neutral exit. Pure.
static inline void vmx_decode(const struct vmx_raw *raw, const struct vmx_exit_row *row,
                              struct vm_exit *exit)
{
    exit->kind = row->kind;
    exit->instruction_length = raw->length;
    exit->hardware_reason = raw->reason;
    exit->advanced = 0;
    exit->hardware_qualification = raw->qualification;
    if (row->decode != 0) {
        row->decode(raw, exit);
    }
}

/*@
  // The sizes that the manual's qualification of an I/O instruction knows: 1, 2 and 4 bytes.
  predicate vmx_port_qualification(integer qualification) =
    (qualification & 7) == 0 || (qualification & 7) == 1 || (qualification & 7) == 3;
*/

// vm_exit.words[0] of a port access: the members of vm_exit.pio are bits of the qualification in
// another order, so one store makes them. The two bits of strings are apart for the hot path.
/*@
  requires vmx_port_qualification(qualification);
  terminates \true;
  assigns \nothing;
  ensures MOVED_16(\result, 0, qualification, 16); // port
  // size
  ensures (qualification & 7) == 0 ==> WORD_BIT(\result, 16) && !WORD_BIT(\result, 17) &&
    !WORD_BIT(\result, 18) && !WORD_BIT(\result, 19) && CLEAR_4(\result, 20);
  ensures (qualification & 7) == 1 ==> !WORD_BIT(\result, 16) && WORD_BIT(\result, 17) &&
    !WORD_BIT(\result, 18) && !WORD_BIT(\result, 19) && CLEAR_4(\result, 20);
  ensures (qualification & 7) == 3 ==> !WORD_BIT(\result, 16) && !WORD_BIT(\result, 17) &&
    WORD_BIT(\result, 18) && !WORD_BIT(\result, 19) && CLEAR_4(\result, 20);
  ensures MOVED_BIT(\result, 24, qualification, 3) && !WORD_BIT(\result, 25); // in
  ensures CLEAR_4(\result, 26) && !WORD_BIT(\result, 30) && !WORD_BIT(\result, 31);
  ensures CLEAR_16(\result, 32) && CLEAR_16(\result, 48);
*/
static inline uint64_t vmx_port_word(uint64_t qualification)
{
    return (qualification >> 16 & 0xffff) | ((qualification & 7) + 1) << 16 |
           (qualification & 1u << 3) << (24 - 3);
}

/*@
  terminates \true;
  assigns \nothing;
  ensures CLEAR_16(\result, 0) && CLEAR_16(\result, 16);
  ensures MOVED_BIT(\result, 32, qualification, 4) && !WORD_BIT(\result, 33); // string
  ensures CLEAR_4(\result, 34) && !WORD_BIT(\result, 38) && !WORD_BIT(\result, 39);
  ensures MOVED_BIT(\result, 40, qualification, 5) && !WORD_BIT(\result, 41); // repeat
  ensures CLEAR_4(\result, 42) && !WORD_BIT(\result, 46) && !WORD_BIT(\result, 47);
  ensures CLEAR_16(\result, 48);
*/
static inline uint64_t vmx_port_string_bits(uint64_t qualification)
{
    return (qualification & 1u << 4) << (32 - 4) | (qualification & 1u << 5) << (40 - 5);
}
static_assert(offsetof(struct vm_exit, pio.port) == offsetof(struct vm_exit, words),
              "vmx_port_word");
static_assert(offsetof(struct vm_exit, pio.size) == offsetof(struct vm_exit, words) + 2, "");
static_assert(offsetof(struct vm_exit, pio.in) == offsetof(struct vm_exit, words) + 3, "");
static_assert(offsetof(struct vm_exit, pio.string) == offsetof(struct vm_exit, words) + 4, "");
static_assert(offsetof(struct vm_exit, pio.repeat) == offsetof(struct vm_exit, words) + 5, "");

// The part of INS and OUTS that comes from the instruction information. Pure.
/*@
  requires \valid(exit);
  terminates \true;
  assigns exit->pio.address_size, exit->pio.segment;
  ensures ((information >> 7) & 7) == 0 ==> exit->pio.address_size == 2;
  ensures ((information >> 7) & 7) == 1 ==> exit->pio.address_size == 4;
  ensures ((information >> 7) & 7) == 2 ==> exit->pio.address_size == 8;
  ensures exit->pio.segment == (exit->pio.in != 0 ? SEGMENT_ES : ((information >> 15) & 7));
*/
void vmx_decode_string_port(uint32_t information, struct vm_exit *exit);

// What of an interrupted event has to be injected again: IDT-vectoring words to a page event. Pure.
/*@
  terminates \true;
  assigns \nothing;
  ensures !WORD_BIT(vectoring, 31) ==> \result.word == 0;
  ensures WORD_BIT(vectoring, 31) ==> \result.word == (vectoring & ~0x1000);
  ensures WORD_BIT(vectoring, 31) && WORD_BIT(vectoring, 11) ==> \result.error_code == error_code;
  ensures !(WORD_BIT(vectoring, 31) && WORD_BIT(vectoring, 11)) ==> \result.error_code == 0;
  ensures WORD_BIT(vectoring, 31) && (vectoring & 0x700) >= 0x400 ==>
    \result.instruction_length == length;
  ensures (vectoring & 0x700) < 0x400 ==> \result.instruction_length == 0;
*/
struct vcpu_event vmx_reinjection(uint32_t vectoring, uint32_t error_code, uint32_t length);

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

// For entry.asm, with the guest's callee-saved registers still in place: decodes an exit. Returns
// VMX_RESUME when it is finished and the guest is to run on, else an enum virt_outcome.
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
#define VMX_RESUME UINT32_MAX

// fast.c: finishes the exit, or leaves it and returns false.
bool vmx_answer_cpuid(struct vmx_vcpu *vmx);
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
