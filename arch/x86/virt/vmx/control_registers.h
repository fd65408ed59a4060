// SPDX-License-Identifier: MIT
// What a guest's control registers are loaded with, and what is refused. Pure; host-tested.
#pragma once

#include <stdint.h>
#include "arch/x86/virt/vmx/controls.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/processor.h"
#include "kernel/lib/status.h"

#define VMX_CR0_OWNED (CR0_NE | CR0_CD | CR0_NW)

// The bits of CR4 that a guest may set without an exit, on a processor with this cr4_fixed1.
/*@
  requires \valid_read(capabilities);
  terminates \true;
  assigns \nothing;
  // Not MCE, LA57, VMXE, SMXE, PKE, nor one that is reserved.
  ensures SAME_4(\result, capabilities->cr4_fixed1, 0) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 4) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 5) && !WORD_BIT(\result, 6) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 7);
  ensures SAME_4(\result, capabilities->cr4_fixed1, 8) && CLEAR_4(\result, 12);
  ensures SAME_BIT(\result, capabilities->cr4_fixed1, 16) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 17) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 18) && !WORD_BIT(\result, 19) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 20) &&
    SAME_BIT(\result, capabilities->cr4_fixed1, 21);
  ensures \result < 0x400000;
*/
uint64_t vmx_cr4_guest_bits(const struct vmx_capabilities *capabilities);

// Guest values of the page to what the hardware is loaded with. STATUS_INVALID: reserved bits, or a
// combination that MOV to the register refuses.
/*@
  requires \valid_read(capabilities) && \valid(value) && \separated(capabilities, value);
  terminates \true;
  assigns *value;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result == STATUS_INVALID ==> *value == \old(*value);
  ensures \result == STATUS_INVALID <==> (cr0 & (uint64_t)~capabilities->cr0_fixed1) != 0 ||
    (WORD_BIT(cr0, 31) && !WORD_BIT(cr0, 0)) || (WORD_BIT(cr0, 29) && !WORD_BIT(cr0, 30));
  // PE and PG are the guest's, ET and NE are 1, the caches stay on.
  ensures \result == STATUS_OK ==> SAME_BIT(*value, cr0, 0) && SAME_BIT(*value, cr0, 31) &&
    WORD_BIT(*value, 4) && WORD_BIT(*value, 5) &&
    SAME_BIT(*value, capabilities->cr0_fixed0, 29) &&
    SAME_BIT(*value, capabilities->cr0_fixed0, 30);
  ensures \result == STATUS_OK ==> EITHER_BIT(*value, cr0, capabilities->cr0_fixed0, 1) &&
    EITHER_BIT(*value, cr0, capabilities->cr0_fixed0, 2) &&
    EITHER_BIT(*value, cr0, capabilities->cr0_fixed0, 3);
  ensures \result == STATUS_OK ==> EITHER_8(*value, cr0, capabilities->cr0_fixed0, 8);
  ensures \result == STATUS_OK ==> EITHER_8(*value, cr0, capabilities->cr0_fixed0, 16);
*/
MUST_CHECK enum status vmx_cr0_load_value(const struct vmx_capabilities *capabilities, uint64_t cr0,
                                          uint64_t *value);
/*@
  requires \valid_read(capabilities) && \valid(value) && \separated(capabilities, value);
  terminates \true;
  assigns *value;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result == STATUS_INVALID ==> *value == \old(*value);
  // A guest may believe that it sets MCE, bit 6; the others are those of vmx_cr4_guest_bits.
  ensures \result == STATUS_INVALID <==>
    (cr4 & (uint64_t)~((0x370fbf & capabilities->cr4_fixed1) | 0x40)) != 0;
  ensures \result == STATUS_OK ==> WORD_BIT(*value, 13) &&
    EITHER_BIT(*value, host_cr4, capabilities->cr4_fixed0, 6);
  ensures \result == STATUS_OK ==> EITHER_4(*value, cr4, capabilities->cr4_fixed0, 0) &&
    EITHER_4(*value, cr4, capabilities->cr4_fixed0, 8) &&
    EITHER_8(*value, cr4, capabilities->cr4_fixed0, 16);
*/
MUST_CHECK enum status vmx_cr4_load_value(const struct vmx_capabilities *capabilities, uint64_t cr4,
                                          uint64_t host_cr4, uint64_t *value);
// EFER with LMA as CR0.PG and LME make it. STATUS_INVALID: bits that guests have no use for.
/*@
  requires \valid(value);
  terminates \true;
  assigns *value;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  ensures \result == STATUS_INVALID ==> *value == \old(*value);
  ensures \result == STATUS_INVALID <==> (efer & (uint64_t)~0xd01) != 0;
  ensures \result == STATUS_OK ==>
    (WORD_BIT(*value, 10) <==> WORD_BIT(efer, 8) && WORD_BIT(cr0, 31));
  ensures \result == STATUS_OK ==> SAME_BIT(*value, efer, 0) && SAME_BIT(*value, efer, 8) &&
    SAME_BIT(*value, efer, 11) && !WORD_BIT(*value, 12);
*/
MUST_CHECK enum status vmx_efer_load_value(uint64_t efer, uint64_t cr0, uint64_t *value);
// STATUS_INVALID: a combination that XSETBV refuses, or components that the host does not save.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result == STATUS_OK || \result == STATUS_INVALID;
  // Bit 0 x87, 1 SSE, 2 AVX, 7:5 AVX-512.
  ensures \result == STATUS_OK <==> (xcr0 & (uint64_t)~host_mask) == 0 && WORD_BIT(xcr0, 0) &&
    (WORD_BIT(xcr0, 2) ==> WORD_BIT(xcr0, 1)) &&
    ((xcr0 & 0xe0) == 0 || ((xcr0 & 0xe0) == 0xe0 && WORD_BIT(xcr0, 2)));
*/
MUST_CHECK enum status vmx_xcr0_check(uint64_t xcr0, uint64_t host_mask);
