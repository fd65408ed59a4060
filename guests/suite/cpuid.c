// SPDX-License-Identifier: MIT
// CPUID: "CPUID—CPU Identification", and the leaves by which a guest knows where it is.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

// The upper halves of all four registers are cleared.
static void check_upper_halves(void)
{
    uint64_t rax = 0xffffffff00000000, rbx = ~0ull, rcx = 0xffffffff00000000, rdx = ~0ull;

    __asm__ volatile("cpuid" : "+a"(rax), "+b"(rbx), "+c"(rcx), "+d"(rdx));
    check("cpuid clears upper halves", (rax | rbx | rcx | rdx) >> 32, 0);
}

static void check_osxsave(void)
{
    uint64_t cr4 = cr4_read();

    if ((cpuid(1, 0).ecx >> 26 & 1) == 0) {
        skip("cpuid osxsave follows cr4", "the processor has no XSAVE");
        return;
    }
    cr4_write(cr4 & ~CR4_OSXSAVE);
    check("cpuid osxsave is clear", cpuid(1, 0).ecx >> 27 & 1, 0);
    cr4_write(cr4 | CR4_OSXSAVE);
    check("cpuid osxsave is set", cpuid(1, 0).ecx >> 27 & 1, 1);
    cr4_write(cr4);
}

// Software that asks for a leaf above the last one gets the data of the last; a hypervisor that
// hides leaves gives zero instead.
static void check_hypervisor(void)
{
    struct cpuid_result timing = cpuid(0x40000010, 0), crystal = cpuid(0x15, 0);

    check("cpuid hypervisor bit", cpuid(1, 0).ecx >> 31, 1);
    check("cpuid hypervisor signature", cpuid(0x40000000, 0).ebx, 0x65746147); // "Gate"
    check("cpuid hypervisor's last leaf", cpuid(0x40000000, 0).eax, 0x40000010);
    check("cpuid frequency leaf agrees with crystal leaf",
          (uint64_t)crystal.ecx * crystal.ebx / crystal.eax / 1000, timing.eax);
    check("cpuid vmx is hidden", cpuid(1, 0).ecx >> 5 & 1, 0);
    check("cpuid monitor is hidden", cpuid(1, 0).ecx >> 3 & 1, 0);
    check("cpuid performance counters are hidden", cpuid(10, 0).eax & 0xff, 0);
}

void subject_cpuid(void)
{
    check_upper_halves();
    check("cpuid sub-leaf 1 of leaf 4 is a cache", cpuid(4, 1).eax >> 5 & 7, 1);
    check("cpuid sub-leaf 8 of leaf 4 is none", cpuid(4, 8).eax & 0x1f, 0);
    check("cpuid state components of leaf 13", cpuid(13, 0).eax & 3,
          (cpuid(1, 0).ecx >> 26 & 1) != 0 ? 3 : 0);
    check_osxsave();
    check("cpuid long mode", cpuid(0x80000001, 0).edx >> 29 & 1, 1);
    if (!suite_is_native()) {
        check_hypervisor();
    }
}
