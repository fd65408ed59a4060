// SPDX-License-Identifier: MIT
// Architectural bits and numbers that ring 0 and the monitor speak of, named and numbered as the
// manual does.
#pragma once

// "Control Registers"
#define CR0_PE (1ull << 0)
#define CR0_MP (1ull << 1)
#define CR0_EM (1ull << 2)
#define CR0_TS (1ull << 3)
#define CR0_ET (1ull << 4)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_AM (1ull << 18)
#define CR0_NW (1ull << 29)
#define CR0_CD (1ull << 30)
#define CR0_PG (1ull << 31)

#define CR4_VME        (1ull << 0)
#define CR4_PVI        (1ull << 1)
#define CR4_TSD        (1ull << 2)
#define CR4_DE         (1ull << 3)
#define CR4_PSE        (1ull << 4)
#define CR4_PAE        (1ull << 5)
#define CR4_MCE        (1ull << 6)
#define CR4_PGE        (1ull << 7)
#define CR4_PCE        (1ull << 8)
#define CR4_OSFXSR     (1ull << 9)
#define CR4_OSXMMEXCPT (1ull << 10)
#define CR4_UMIP       (1ull << 11)
#define CR4_LA57       (1ull << 12)
#define CR4_VMXE       (1ull << 13)
#define CR4_SMXE       (1ull << 14)
#define CR4_FSGSBASE   (1ull << 16)
#define CR4_PCIDE      (1ull << 17)
#define CR4_OSXSAVE    (1ull << 18)
#define CR4_SMEP       (1ull << 20)
#define CR4_SMAP       (1ull << 21)
#define CR4_PKE        (1ull << 22)

#define EFER_SCE  (1ull << 0)
#define EFER_LME  (1ull << 8)
#define EFER_LMA  (1ull << 10)
#define EFER_NXE  (1ull << 11)
#define EFER_SVME (1ull << 12)

#define RFLAGS_CF       (1ull << 0)
#define RFLAGS_RESERVED (1ull << 1) // always 1
#define RFLAGS_PF       (1ull << 2)
#define RFLAGS_AF       (1ull << 4)
#define RFLAGS_ZF       (1ull << 6)
#define RFLAGS_SF       (1ull << 7)
#define RFLAGS_TF       (1ull << 8)
#define RFLAGS_IF       (1ull << 9)
#define RFLAGS_DF       (1ull << 10)
#define RFLAGS_OF       (1ull << 11)
#define RFLAGS_IOPL     (3ull << 12)
#define RFLAGS_NT       (1ull << 14)
#define RFLAGS_RF       (1ull << 16)
#define RFLAGS_VM       (1ull << 17)
#define RFLAGS_AC       (1ull << 18)

#define XCR0_X87    (1ull << 0)
#define XCR0_SSE    (1ull << 1)
#define XCR0_AVX    (1ull << 2)
#define XCR0_AVX512 (7ull << 5)

// "Debug Registers"
#define DR6_BREAKPOINTS 0xfull       // B0 to B3
#define DR6_BD          (1ull << 13) // an access to a debug register, with DR7_GD
#define DR6_BS          (1ull << 14) // a single step
#define DR6_BT          (1ull << 15) // a task switch
#define DR6_RTM         (1ull << 16) // reads as one outside of transactions
#define DR7_LOCAL       0x155ull     // L0 to L3, LE
#define DR7_GD          (1ull << 13)

// "PDPTE Registers": of the four entries of PAE paging. Besides these, bits beyond the physical
// address are reserved.
#define PDPTE_PRESENT  (1ull << 0)
#define PDPTE_RESERVED 0x1e6ull

// "Model-Specific Registers"
enum msr {
    MSR_TSC = 0x10,
    MSR_PLATFORM_ID = 0x17,
    MSR_APIC_BASE = 0x1b,
    MSR_EBL_CR_POWERON = 0x2a,
    MSR_FEATURE_CONTROL = 0x3a,
    MSR_TSC_ADJUST = 0x3b,
    MSR_BIOS_SIGN_ID = 0x8b,
    MSR_FSB_FREQ = 0xcd,
    MSR_PLATFORM_INFO = 0xce,
    MSR_MTRR_CAPABILITY = 0xfe,
    MSR_SYSENTER_CS = 0x174,
    MSR_SYSENTER_ESP = 0x175,
    MSR_SYSENTER_EIP = 0x176,
    MSR_MCG_CAP = 0x179,
    MSR_MCG_STATUS = 0x17a,
    MSR_MISC_ENABLE = 0x1a0,
    MSR_DEBUGCTL = 0x1d9,
    MSR_MTRR_VARIABLE = 0x200,
    MSR_MTRR_FIX_64K = 0x250,
    MSR_MTRR_FIX_16K = 0x258,
    MSR_MTRR_FIX_4K = 0x268,
    MSR_PAT = 0x277,
    MSR_MTRR_DEFAULT = 0x2ff,
    MSR_VMX_BASIC = 0x480,
    MSR_VMX_PINBASED_CONTROLS = 0x481,
    MSR_VMX_PROCBASED_CONTROLS = 0x482,
    MSR_VMX_EXIT_CONTROLS = 0x483,
    MSR_VMX_ENTRY_CONTROLS = 0x484,
    MSR_VMX_MISC = 0x485,
    MSR_VMX_CR0_FIXED0 = 0x486,
    MSR_VMX_CR0_FIXED1 = 0x487,
    MSR_VMX_CR4_FIXED0 = 0x488,
    MSR_VMX_CR4_FIXED1 = 0x489,
    MSR_VMX_VMCS_ENUM = 0x48a,
    MSR_VMX_PROCBASED_CONTROLS2 = 0x48b,
    MSR_VMX_EPT_VPID_CAPABILITY = 0x48c,
    MSR_VMX_TRUE_PINBASED_CONTROLS = 0x48d,
    MSR_VMX_TRUE_PROCBASED_CONTROLS = 0x48e,
    MSR_VMX_TRUE_EXIT_CONTROLS = 0x48f,
    MSR_VMX_TRUE_ENTRY_CONTROLS = 0x490,
    MSR_VMX_VMFUNC = 0x491,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC_FIRST = 0x800,
    MSR_XSS = 0xda0,
    MSR_EFER = 0xc0000080,
    MSR_STAR = 0xc0000081,
    MSR_LSTAR = 0xc0000082,
    MSR_CSTAR = 0xc0000083,
    MSR_SFMASK = 0xc0000084,
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
    MSR_KERNEL_GS_BASE = 0xc0000102,
    MSR_TSC_AUX = 0xc0000103,
};

#define APIC_BASE_BSP     (1ull << 8)
#define APIC_BASE_X2APIC  (1ull << 10)
#define APIC_BASE_ENABLE  (1ull << 11)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull
