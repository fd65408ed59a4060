// SPDX-License-Identifier: MIT
// The CPUID policy: what the guest's processor is. The host's own answers are filtered through a
// table of masks, so that only what the backend and the monitor implement shows. The result is
// registered with the kernel, which answers CPUID without the monitor.
#pragma once

#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "vmm/monitor/machine.h"
#include "vmm/runtime/cpuid.h"

// Asks a processor; host tests pass one of their own.
typedef struct cpuid_words cpuid_source(uint32_t leaf, uint32_t subleaf);

// Fills `entries` (VM_CPUID_MAXIMUM of them) and returns how many. `features` must be filled;
// features->leaf_one is filled here.
uint32_t cpuid_build(cpuid_source *source, struct machine_features *features,
                     struct vm_cpuid_entry *entries);

// TSC ticks in one of the core crystal clock, as leaf 15H states them.
uint32_t cpuid_ticks_per_crystal(uint64_t tsc_hz);

// What the guest may use, from the same answers. Which state components there are is asked of
// CPUID, not of XCR0: in ring 3 that register may still hold what another VM's guest put there.
void cpuid_features(cpuid_source *source, uint64_t tsc_hz, struct machine_features *features);
