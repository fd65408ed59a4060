// SPDX-License-Identifier: MIT
// Extended processor state (x87, SSE, AVX, AVX-512) of guests and user programs.
//
// The kernel itself never uses it. Each CPU has at most one *owner*: the area whose contents are in
// the registers. CR0.TS is set whenever ring-3 code other than the owner's may run, so its first
// use traps. An area belongs to a thread or vCPU of one CPU; no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"

#define FPU_AREA_ALIGNMENT 64u
#define FPU_AREA_SIZE      4096u // a page; the standard format up to AVX-512 takes 2688 bytes

// The XCR0 value the host runs with; a guest's XCR0 is a subset. 0 without XSAVE. The owner of the
// registers may set another value: claiming and releasing put this one back first.
/*@
  axiomatic fpu { logic uint64_t fpu_mask_found; }
*/
/*@
  terminates \true;
  assigns \nothing;
  ensures \result == fpu_mask_found;
*/
uint64_t fpu_mask(void);

// Puts the reset state ("Processor State Following Power-up": FCW 0x37f or 0x40, MXCSR 0x1f80) into
// an area: FCW as given, everything else initial.
/*@
  requires \valid((char *)area + (0 .. FPU_AREA_SIZE - 1));
  terminates \true;
  assigns ((char *)area)[0 .. FPU_AREA_SIZE - 1];
*/
void fpu_area_initialize(void *area, uint16_t fcw);

// Makes `area` the owner on this CPU: saves the previous owner's registers, loads these, clears
// CR0.TS. One compare when it is the owner already (CR0.TS is cleared then too).
/*@
  requires \valid(&running_cpu->fpu_owner);
  terminates \true;
  assigns running_cpu->fpu_owner, cpu_cr0, cpu_xcr0;
  ensures running_cpu->fpu_owner == area && (cpu_cr0 & 8) == 0;
*/
void fpu_claim(void *area);

// Writes the registers back to `area` if it is this CPU's owner, and leaves no owner (CR0.TS set).
// Call before an area is freed, copied or read.
/*@
  requires \valid(&running_cpu->fpu_owner);
  terminates \true;
  assigns running_cpu->fpu_owner, cpu_cr0, cpu_xcr0;
  ensures \old(running_cpu->fpu_owner) == area ==> running_cpu->fpu_owner == \null &&
    (cpu_cr0 & 8) != 0;
  ensures \old(running_cpu->fpu_owner) != area ==> cpu_cr0 == \old(cpu_cr0) &&
    cpu_xcr0 == \old(cpu_xcr0) && running_cpu->fpu_owner == \old(running_cpu->fpu_owner);
*/
void fpu_release(void *area);

// Sets CR0.TS so that the next use in ring 3 traps; the registers and the owner stay.
/*@
  terminates \true;
  assigns cpu_cr0;
  ensures (cpu_cr0 & 8) != 0;
*/
void fpu_guard(void);

// Boot: decides mask and size from CPUID. Then, per CPU: CR4 bits, XCR0, a clean state, no owner.
void fpu_discover(void);
void fpu_initialize_cpu(void);
