// SPDX-License-Identifier: MIT
// The table of VM exits, and the raw words of an exit: what exits.c offers to run.c and host tests.
// Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/virt/virt.h"
#include "arch/x86/virt/vmx/fields.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"

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

// The words in `raw` that few exits need, for a row that does. NEED_INFORMATION is
// bit 1, NEED_ADDRESSES 2, NEED_INTERRUPTION 3.
/*@
  predicate raw_has_rare(struct vmx_raw *raw, integer needs) =
    (WORD_BIT(needs, 1) ==>
      raw->information == vmcs_fields[VMCS_EXIT_INSTRUCTION_INFORMATION]) &&
    (WORD_BIT(needs, 2) ==> raw->gpa == vmcs_fields[VMCS_GUEST_PHYSICAL_ADDRESS] &&
      raw->gva == vmcs_fields[VMCS_GUEST_LINEAR_ADDRESS]) &&
    (WORD_BIT(needs, 3) ==> raw->interruption == vmcs_fields[VMCS_EXIT_INTERRUPTION] &&
      raw->error_code == vmcs_fields[VMCS_EXIT_ERROR_CODE]);
*/

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

/*@
  // What is so of every row of the table: its outcome is one; none needs both of the words that
  // tell of an IRET, and an exception's word is read. A host test looks at each.
  predicate row_is_sound(struct vmx_exit_row *row, integer reason) =
    \valid_read(row) && row->outcome < VIRT_OUTCOME_COUNT &&
    (!WORD_BIT(row->needs, 2) || !WORD_BIT(row->needs, 3)) &&
    (reason == VMX_REASON_EXCEPTION ==> WORD_BIT(row->needs, 3));
*/

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

// Raw words to the neutral exit. Pure. What the row's decoder writes, and that it is called, is
// told by the decoders' own contracts.
/*@
  requires \valid_read(raw) && \valid_read(row) && \valid(exit) && \separated(raw, row, exit);
  terminates \true;
  assigns *exit;
  ensures exit->kind == row->kind && exit->advanced == 0;
  ensures exit->hardware_reason == raw->reason &&
    exit->hardware_qualification == raw->qualification;
  // Where an exception leaves it undefined, 0.
  ensures exit->instruction_length == raw->length || exit->instruction_length == 0;
*/
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
