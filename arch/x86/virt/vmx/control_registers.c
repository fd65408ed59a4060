// SPDX-License-Identifier: MIT
// Turns the control registers that a guest sees into what the hardware is loaded with, and checks
// what a monitor asks for. Pure; called by state.c and setup.c and by host tests. Rules: "Control
// Registers", "Restrictions on VMX Operation", "XSETBV".
#include "arch/x86/virt/vmx/control_registers.h"

// Bits of CR4 whose meaning is the guest's own business. The others (VMXE, SMXE, MCE, and features
// whose state nobody switches) exit to the monitor.
#define CR4_GUEST_BITS                                                                             \
    (CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCE | CR4_OSFXSR |   \
     CR4_OSXMMEXCPT | CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_SMEP | CR4_SMAP)

#define EFER_GUEST_BITS (EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)

uint64_t vmx_cr4_guest_bits(const struct vmx_capabilities *capabilities)
{
    return CR4_GUEST_BITS & capabilities->cr4_fixed1;
}

enum status vmx_cr0_load_value(const struct vmx_capabilities *capabilities, uint64_t cr0,
                               uint64_t *value)
{
    // Unrestricted guests are free of these two fixed bits ("VMX-Fixed Bits in CR0").
    uint64_t fixed0 = capabilities->cr0_fixed0 & ~(CR0_PE | CR0_PG);

    if ((cr0 & ~capabilities->cr0_fixed1) != 0 || ((cr0 & CR0_PG) != 0 && (cr0 & CR0_PE) == 0) ||
        ((cr0 & CR0_NW) != 0 && (cr0 & CR0_CD) == 0)) {
        return STATUS_INVALID;
    }
    *value = (cr0 & ~(CR0_CD | CR0_NW)) | fixed0 | CR0_NE | CR0_ET;
    return STATUS_OK;
}

enum status vmx_cr4_load_value(const struct vmx_capabilities *capabilities, uint64_t cr4,
                               uint64_t host_cr4, uint64_t *value)
{
    if ((cr4 & ~(vmx_cr4_guest_bits(capabilities) | CR4_MCE)) != 0) {
        return STATUS_INVALID;
    }
    *value = (cr4 & ~CR4_MCE) | (host_cr4 & CR4_MCE) | capabilities->cr4_fixed0 | CR4_VMXE;
    return STATUS_OK;
}

enum status vmx_efer_load_value(uint64_t efer, uint64_t cr0, uint64_t *value)
{
    bool active = (efer & EFER_LME) != 0 && (cr0 & CR0_PG) != 0;

    if ((efer & ~EFER_GUEST_BITS) != 0) {
        return STATUS_INVALID;
    }
    *value = (efer & ~EFER_LMA) | (active ? EFER_LMA : 0);
    return STATUS_OK;
}

enum status vmx_xcr0_check(uint64_t xcr0, uint64_t host_mask)
{
    bool avx512_partly = (xcr0 & XCR0_AVX512) != 0 && (xcr0 & XCR0_AVX512) != XCR0_AVX512;

    if ((xcr0 & ~host_mask) != 0 || (xcr0 & XCR0_X87) == 0 || avx512_partly ||
        ((xcr0 & XCR0_AVX) != 0 && (xcr0 & XCR0_SSE) == 0) ||
        ((xcr0 & XCR0_AVX512) != 0 && (xcr0 & XCR0_AVX) == 0)) {
        return STATUS_INVALID;
    }
    return STATUS_OK;
}
