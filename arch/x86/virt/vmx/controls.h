// SPDX-License-Identifier: MIT
// Which VMX controls exist, and which of them we run guests with. Pure: capability words in,
// control words or what is missing out; host-tested. Called by detect.c, once at boot.
// Names and rules follow the manual's "VMX Capability Reporting Facility".
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/vm_support.h"
#include "kernel/lib/compiler.h"

// Pin-based controls
#define PIN_EXTERNAL_INTERRUPT (1u << 0)
#define PIN_NMI                (1u << 3)
#define PIN_VIRTUAL_NMI        (1u << 5)
#define PIN_PREEMPTION_TIMER   (1u << 6)

// Primary processor-based controls
#define PRIMARY_INTERRUPT_WINDOW (1u << 2)
#define PRIMARY_TSC_OFFSET       (1u << 3)
#define PRIMARY_HLT              (1u << 7)
#define PRIMARY_INVLPG           (1u << 9)
#define PRIMARY_MWAIT            (1u << 10)
#define PRIMARY_RDPMC            (1u << 11)
#define PRIMARY_RDTSC            (1u << 12)
#define PRIMARY_CR3_LOAD         (1u << 15)
#define PRIMARY_CR3_STORE        (1u << 16)
#define PRIMARY_CR8_LOAD         (1u << 19)
#define PRIMARY_CR8_STORE        (1u << 20)
#define PRIMARY_TPR_SHADOW       (1u << 21)
#define PRIMARY_NMI_WINDOW       (1u << 22)
#define PRIMARY_MOV_DR           (1u << 23)
#define PRIMARY_IO               (1u << 24)
#define PRIMARY_STEP             (1u << 27) // monitor trap flag
#define PRIMARY_MSR_BITMAP       (1u << 28)
#define PRIMARY_MONITOR          (1u << 29)
#define PRIMARY_PAUSE            (1u << 30)
#define PRIMARY_SECONDARY        (1u << 31)

// Secondary processor-based controls
#define SECONDARY_APIC_PAGE      (1u << 0) // virtualize APIC accesses
#define SECONDARY_EPT            (1u << 1)
#define SECONDARY_TABLES         (1u << 2) // descriptor-table exiting
#define SECONDARY_RDTSCP         (1u << 3)
#define SECONDARY_X2APIC         (1u << 4) // virtualize x2APIC mode
#define SECONDARY_VPID           (1u << 5)
#define SECONDARY_WBINVD         (1u << 6)
#define SECONDARY_UNRESTRICTED   (1u << 7)
#define SECONDARY_APIC_REGISTERS (1u << 8)
#define SECONDARY_INTERRUPTS     (1u << 9) // virtual-interrupt delivery
#define SECONDARY_RDRAND         (1u << 11)
#define SECONDARY_INVPCID        (1u << 12)
#define SECONDARY_VMFUNC         (1u << 13)
#define SECONDARY_RDSEED         (1u << 16)
#define SECONDARY_PAGE_LOG       (1u << 17) // page-modification logging
#define SECONDARY_USER_WAIT      (1u << 26)

// VM-exit controls
#define EXIT_SAVE_DEBUG            (1u << 2)
#define EXIT_HOST_64               (1u << 9)
#define EXIT_ACKNOWLEDGE_INTERRUPT (1u << 15)
#define EXIT_SAVE_PAT              (1u << 18)
#define EXIT_LOAD_PAT              (1u << 19)
#define EXIT_SAVE_EFER             (1u << 20)
#define EXIT_LOAD_EFER             (1u << 21)

// VM-entry controls
#define ENTRY_LOAD_DEBUG (1u << 2)
#define ENTRY_IA32E      (1u << 9)
#define ENTRY_LOAD_PAT   (1u << 14)
#define ENTRY_LOAD_EFER  (1u << 15)

// IA32_VMX_EPT_VPID_CAP
#define EPT_CAP_WALK_4          (1ull << 6)
#define EPT_CAP_WRITE_BACK      (1ull << 14)
#define EPT_CAP_2M              (1ull << 16)
#define EPT_CAP_1G              (1ull << 17)
#define EPT_CAP_INVEPT          (1ull << 20)
#define EPT_CAP_DIRTY           (1ull << 21)
#define EPT_CAP_INVEPT_ALL      (1ull << 26)
#define EPT_CAP_INVVPID         (1ull << 32)
#define EPT_CAP_INVVPID_ADDRESS (1ull << 40)
#define EPT_CAP_INVVPID_SINGLE  (1ull << 41)
#define EPT_CAP_INVVPID_ALL     (1ull << 42)

// IA32_VMX_BASIC
#define BASIC_REVISION_MASK 0x7fffffffull
#define BASIC_TRUE_CONTROLS (1ull << 55)

// IA32_FEATURE_CONTROL
#define FEATURE_CONTROL_LOCKED          (1ull << 0)
#define FEATURE_CONTROL_VMX_OUTSIDE_SMX (1ull << 2)

struct vmx_controls {
    uint32_t pin, primary, secondary, exit, entry;
};

// The processor-based controls beyond the usual ones that these VM_INTERCEPT_* need.
/*@
  requires \valid(primary) && \valid(secondary) && \separated(primary, secondary);
  terminates \true;
  assigns *primary, *secondary;
  ensures intercepts == 0 ==> *primary == 0 && *secondary == 0;
*/
void vmx_intercept_controls(uint32_t intercepts, uint32_t *primary, uint32_t *secondary);

// Those of them that a processor with these capabilities lacks.
/*@
  requires \valid_read(capabilities);
  terminates \true;
  assigns \nothing;
*/
uint32_t vmx_intercepts_lacking(const struct vmx_capabilities *capabilities, uint32_t intercepts);

// Decides whether guests can run, and with which controls: `support` has the capabilities, and
// gets what is missing.
void vmx_decide(struct vm_support *support, uint64_t feature_control,
                struct vmx_controls *controls);
