// SPDX-License-Identifier: MIT
// Reads CPUID into struct cpu_features; see features.h.
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/lib/string.h"

static struct cpu_features features;

const struct cpu_features *cpu_features(void)
{
    return &features;
}

static bool bit(uint32_t word, unsigned number)
{
    return (word >> number & 1) != 0;
}

static void discover_names(void)
{
    struct cpuid_result r = cpuid(0, 0);
    features.maximum_leaf = r.eax;
    memcpy(features.vendor, &r.ebx, 4);
    memcpy(features.vendor + 4, &r.edx, 4);
    memcpy(features.vendor + 8, &r.ecx, 4);
    for (uint32_t i = 0; i < 3; i++) {
        r = cpuid(0x80000002u + i, 0);
        memcpy(features.brand + (size_t)i * 16, &r, 16);
    }
}

static void discover_basic(void)
{
    struct cpuid_result one = cpuid(1, 0);
    features.apic = bit(one.edx, 9);
    // Other vendors' processors have SYSENTER outside 64-bit mode only.
    features.sysenter = bit(one.edx, 11) && strcmp(features.vendor, "GenuineIntel") == 0;
    features.vmx = bit(one.ecx, 5);
    features.x2apic = bit(one.ecx, 21);
    features.tsc_deadline = bit(one.ecx, 24);
    features.xsave = bit(one.ecx, 26);
    struct cpuid_result seven = features.maximum_leaf >= 7 ? cpuid(7, 0) : (struct cpuid_result){0};
    features.smep = bit(seven.ebx, 7);
    features.smap = bit(seven.ebx, 20);
    features.umip = bit(seven.ecx, 2);
}

// Every 64-bit processor has these leaves.
static void discover_extended(void)
{
    struct cpuid_result one = cpuid(0x80000001u, 0);
    features.nx = bit(one.edx, 20);
    features.huge_pages = bit(one.edx, 26);
    features.rdtscp = bit(one.edx, 27);
    features.physical_bits = (uint8_t)cpuid(0x80000008u, 0).eax;
}

void cpu_features_discover(void)
{
    discover_names();
    discover_basic();
    discover_extended();
}
