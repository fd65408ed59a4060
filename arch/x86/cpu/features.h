// SPDX-License-Identifier: MIT
// What the boot processor can do, read once from CPUID ("CPUID - CPU Identification").
// Written by arch at boot before kernel_main; constant afterwards, so no lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cpu_features {
    char vendor[13]; // CPUID leaf 0, NUL-terminated
    char brand[49];  // CPUID leaves 0x80000002..4, NUL-terminated, may be empty
    uint32_t maximum_leaf;
    uint8_t physical_bits; // MAXPHYADDR
    bool nx;
    bool huge_pages; // 1 GiB pages
    bool smep;
    bool smap;
    bool umip;
    bool sysenter; // in 64-bit mode; elsewhere it is an invalid opcode there
    bool rdtscp;   // and so MSR_TSC_AUX
    bool xsave;
    bool x2apic;
    bool apic;
    bool tsc_deadline;
    bool vmx;
};

/*@ axiomatic features { logic struct cpu_features *features_found; } */

// The features of the boot processor. Never null.
/*@
  terminates \true;
  assigns \nothing;
  ensures \valid_read(\result) && \result == features_found;
*/
const struct cpu_features *cpu_features(void);

// Fills the structure above; called once by arch at boot.
void cpu_features_discover(void);
