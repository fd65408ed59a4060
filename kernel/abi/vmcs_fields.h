// SPDX-License-Identifier: MIT
// Every VMCS field with its encoding, its name and the control without which a processor lacks it
// ("Field Encoding in VMCS"). One list per width: the VMX backend makes one enum per width from
// them, so that an access of the wrong width does not compile; dumps and the entry checker take
// the names from the same rows.
#pragma once

#include <stdint.h>

// When a field exists: always, or when the processor allows a control bit to be 1. The bit is in
// the low byte, the group of controls above it.
#define VMCS_NEED(group, bit) (((group) << 8) | (bit))
enum vmcs_need_group {
    VMCS_NEED_ALWAYS,
    VMCS_NEED_PIN,
    VMCS_NEED_PRIMARY,
    VMCS_NEED_SECONDARY,
    VMCS_NEED_EXIT,
    VMCS_NEED_ENTRY,
    VMCS_NEED_TERTIARY, // the tertiary controls as such
};
#define VMCS_ALWAYS 0

// X(NAME, encoding, text, need)
#define VMCS_FIELDS_16(X)                                                                          \
    X(VPID, 0x0000, "virtual-processor identifier", VMCS_NEED(VMCS_NEED_SECONDARY, 5))             \
    X(POSTED_INTERRUPT_VECTOR, 0x0002, "posted-interrupt notification vector",                     \
      VMCS_NEED(VMCS_NEED_PIN, 7))                                                                 \
    X(EPTP_INDEX, 0x0004, "EPTP index", VMCS_NEED(VMCS_NEED_SECONDARY, 18))                        \
    X(GUEST_ES_SELECTOR, 0x0800, "guest ES selector", VMCS_ALWAYS)                                 \
    X(GUEST_CS_SELECTOR, 0x0802, "guest CS selector", VMCS_ALWAYS)                                 \
    X(GUEST_SS_SELECTOR, 0x0804, "guest SS selector", VMCS_ALWAYS)                                 \
    X(GUEST_DS_SELECTOR, 0x0806, "guest DS selector", VMCS_ALWAYS)                                 \
    X(GUEST_FS_SELECTOR, 0x0808, "guest FS selector", VMCS_ALWAYS)                                 \
    X(GUEST_GS_SELECTOR, 0x080a, "guest GS selector", VMCS_ALWAYS)                                 \
    X(GUEST_LDTR_SELECTOR, 0x080c, "guest LDTR selector", VMCS_ALWAYS)                             \
    X(GUEST_TR_SELECTOR, 0x080e, "guest TR selector", VMCS_ALWAYS)                                 \
    X(GUEST_INTERRUPT_STATUS, 0x0810, "guest interrupt status", VMCS_NEED(VMCS_NEED_SECONDARY, 9)) \
    X(PML_INDEX, 0x0812, "PML index", VMCS_NEED(VMCS_NEED_SECONDARY, 17))                          \
    X(HOST_ES_SELECTOR, 0x0c00, "host ES selector", VMCS_ALWAYS)                                   \
    X(HOST_CS_SELECTOR, 0x0c02, "host CS selector", VMCS_ALWAYS)                                   \
    X(HOST_SS_SELECTOR, 0x0c04, "host SS selector", VMCS_ALWAYS)                                   \
    X(HOST_DS_SELECTOR, 0x0c06, "host DS selector", VMCS_ALWAYS)                                   \
    X(HOST_FS_SELECTOR, 0x0c08, "host FS selector", VMCS_ALWAYS)                                   \
    X(HOST_GS_SELECTOR, 0x0c0a, "host GS selector", VMCS_ALWAYS)                                   \
    X(HOST_TR_SELECTOR, 0x0c0c, "host TR selector", VMCS_ALWAYS)

#define VMCS_FIELDS_64(X)                                                                          \
    X(IO_BITMAP_A, 0x2000, "address of I/O bitmap A", VMCS_NEED(VMCS_NEED_PRIMARY, 25))            \
    X(IO_BITMAP_B, 0x2002, "address of I/O bitmap B", VMCS_NEED(VMCS_NEED_PRIMARY, 25))            \
    X(MSR_BITMAP, 0x2004, "address of MSR bitmaps", VMCS_NEED(VMCS_NEED_PRIMARY, 28))              \
    X(EXIT_MSR_STORE, 0x2006, "VM-exit MSR-store address", VMCS_ALWAYS)                            \
    X(EXIT_MSR_LOAD, 0x2008, "VM-exit MSR-load address", VMCS_ALWAYS)                              \
    X(ENTRY_MSR_LOAD, 0x200a, "VM-entry MSR-load address", VMCS_ALWAYS)                            \
    X(EXECUTIVE_VMCS, 0x200c, "executive-VMCS pointer", VMCS_ALWAYS)                               \
    X(PML_ADDRESS, 0x200e, "PML address", VMCS_NEED(VMCS_NEED_SECONDARY, 17))                      \
    X(TSC_OFFSET, 0x2010, "TSC offset", VMCS_ALWAYS)                                               \
    X(VIRTUAL_APIC_ADDRESS, 0x2012, "virtual-APIC address", VMCS_NEED(VMCS_NEED_PRIMARY, 21))      \
    X(APIC_ACCESS_ADDRESS, 0x2014, "APIC-access address", VMCS_NEED(VMCS_NEED_SECONDARY, 0))       \
    X(POSTED_INTERRUPT_DESCRIPTOR, 0x2016, "posted-interrupt descriptor address",                  \
      VMCS_NEED(VMCS_NEED_PIN, 7))                                                                 \
    X(VM_FUNCTION_CONTROLS, 0x2018, "VM-function controls", VMCS_NEED(VMCS_NEED_SECONDARY, 13))    \
    X(EPT_POINTER, 0x201a, "EPT pointer", VMCS_NEED(VMCS_NEED_SECONDARY, 1))                       \
    X(EOI_EXIT_0, 0x201c, "EOI-exit bitmap 0", VMCS_NEED(VMCS_NEED_SECONDARY, 9))                  \
    X(EOI_EXIT_1, 0x201e, "EOI-exit bitmap 1", VMCS_NEED(VMCS_NEED_SECONDARY, 9))                  \
    X(EOI_EXIT_2, 0x2020, "EOI-exit bitmap 2", VMCS_NEED(VMCS_NEED_SECONDARY, 9))                  \
    X(EOI_EXIT_3, 0x2022, "EOI-exit bitmap 3", VMCS_NEED(VMCS_NEED_SECONDARY, 9))                  \
    X(EPTP_LIST, 0x2024, "EPTP-list address", VMCS_NEED(VMCS_NEED_SECONDARY, 13))                  \
    X(VMREAD_BITMAP, 0x2026, "VMREAD-bitmap address", VMCS_NEED(VMCS_NEED_SECONDARY, 14))          \
    X(VMWRITE_BITMAP, 0x2028, "VMWRITE-bitmap address", VMCS_NEED(VMCS_NEED_SECONDARY, 14))        \
    X(VE_INFORMATION, 0x202a, "virtualization-exception information address",                      \
      VMCS_NEED(VMCS_NEED_SECONDARY, 18))                                                          \
    X(XSS_EXITING_BITMAP, 0x202c, "XSS-exiting bitmap", VMCS_NEED(VMCS_NEED_SECONDARY, 20))        \
    X(ENCLS_EXITING_BITMAP, 0x202e, "ENCLS-exiting bitmap", VMCS_NEED(VMCS_NEED_SECONDARY, 15))    \
    X(SUBPAGE_TABLE, 0x2030, "sub-page-permission-table pointer",                                  \
      VMCS_NEED(VMCS_NEED_SECONDARY, 23))                                                          \
    X(TSC_MULTIPLIER, 0x2032, "TSC multiplier", VMCS_NEED(VMCS_NEED_SECONDARY, 25))                \
    X(TERTIARY_CONTROLS, 0x2034, "tertiary processor-based controls",                              \
      VMCS_NEED(VMCS_NEED_PRIMARY, 17))                                                            \
    X(GUEST_PHYSICAL_ADDRESS, 0x2400, "guest-physical address", VMCS_NEED(VMCS_NEED_SECONDARY, 1)) \
    X(LINK_POINTER, 0x2800, "VMCS link pointer", VMCS_ALWAYS)                                      \
    X(GUEST_DEBUGCTL, 0x2802, "guest IA32_DEBUGCTL", VMCS_ALWAYS)                                  \
    X(GUEST_PAT, 0x2804, "guest IA32_PAT", VMCS_NEED(VMCS_NEED_ENTRY, 14))                         \
    X(GUEST_EFER, 0x2806, "guest IA32_EFER", VMCS_NEED(VMCS_NEED_ENTRY, 15))                       \
    X(GUEST_PERF_GLOBAL_CTRL, 0x2808, "guest IA32_PERF_GLOBAL_CTRL",                               \
      VMCS_NEED(VMCS_NEED_ENTRY, 13))                                                              \
    X(GUEST_PDPTE0, 0x280a, "guest PDPTE0", VMCS_NEED(VMCS_NEED_SECONDARY, 1))                     \
    X(GUEST_PDPTE1, 0x280c, "guest PDPTE1", VMCS_NEED(VMCS_NEED_SECONDARY, 1))                     \
    X(GUEST_PDPTE2, 0x280e, "guest PDPTE2", VMCS_NEED(VMCS_NEED_SECONDARY, 1))                     \
    X(GUEST_PDPTE3, 0x2810, "guest PDPTE3", VMCS_NEED(VMCS_NEED_SECONDARY, 1))                     \
    X(GUEST_BNDCFGS, 0x2812, "guest IA32_BNDCFGS", VMCS_NEED(VMCS_NEED_ENTRY, 16))                 \
    X(GUEST_RTIT_CTL, 0x2814, "guest IA32_RTIT_CTL", VMCS_NEED(VMCS_NEED_ENTRY, 18))               \
    X(GUEST_LBR_CTL, 0x2816, "guest IA32_LBR_CTL", VMCS_NEED(VMCS_NEED_ENTRY, 21))                 \
    X(GUEST_PKRS, 0x2818, "guest IA32_PKRS", VMCS_NEED(VMCS_NEED_ENTRY, 22))                       \
    X(HOST_PAT, 0x2c00, "host IA32_PAT", VMCS_NEED(VMCS_NEED_EXIT, 19))                            \
    X(HOST_EFER, 0x2c02, "host IA32_EFER", VMCS_NEED(VMCS_NEED_EXIT, 21))                          \
    X(HOST_PERF_GLOBAL_CTRL, 0x2c04, "host IA32_PERF_GLOBAL_CTRL", VMCS_NEED(VMCS_NEED_EXIT, 12))  \
    X(HOST_PKRS, 0x2c06, "host IA32_PKRS", VMCS_NEED(VMCS_NEED_EXIT, 29))

#define VMCS_FIELDS_32(X)                                                                          \
    X(PIN_CONTROLS, 0x4000, "pin-based controls", VMCS_ALWAYS)                                     \
    X(PRIMARY_CONTROLS, 0x4002, "primary processor-based controls", VMCS_ALWAYS)                   \
    X(EXCEPTION_BITMAP, 0x4004, "exception bitmap", VMCS_ALWAYS)                                   \
    X(PAGE_FAULT_MASK, 0x4006, "page-fault error-code mask", VMCS_ALWAYS)                          \
    X(PAGE_FAULT_MATCH, 0x4008, "page-fault error-code match", VMCS_ALWAYS)                        \
    X(CR3_TARGET_COUNT, 0x400a, "CR3-target count", VMCS_ALWAYS)                                   \
    X(EXIT_CONTROLS, 0x400c, "VM-exit controls", VMCS_ALWAYS)                                      \
    X(EXIT_MSR_STORE_COUNT, 0x400e, "VM-exit MSR-store count", VMCS_ALWAYS)                        \
    X(EXIT_MSR_LOAD_COUNT, 0x4010, "VM-exit MSR-load count", VMCS_ALWAYS)                          \
    X(ENTRY_CONTROLS, 0x4012, "VM-entry controls", VMCS_ALWAYS)                                    \
    X(ENTRY_MSR_LOAD_COUNT, 0x4014, "VM-entry MSR-load count", VMCS_ALWAYS)                        \
    X(ENTRY_INTERRUPTION, 0x4016, "VM-entry interruption information", VMCS_ALWAYS)                \
    X(ENTRY_ERROR_CODE, 0x4018, "VM-entry exception error code", VMCS_ALWAYS)                      \
    X(ENTRY_INSTRUCTION_LENGTH, 0x401a, "VM-entry instruction length", VMCS_ALWAYS)                \
    X(TPR_THRESHOLD, 0x401c, "TPR threshold", VMCS_NEED(VMCS_NEED_PRIMARY, 21))                    \
    X(SECONDARY_CONTROLS, 0x401e, "secondary processor-based controls",                            \
      VMCS_NEED(VMCS_NEED_PRIMARY, 31))                                                            \
    X(PLE_GAP, 0x4020, "PLE_Gap", VMCS_NEED(VMCS_NEED_SECONDARY, 10))                              \
    X(PLE_WINDOW, 0x4022, "PLE_Window", VMCS_NEED(VMCS_NEED_SECONDARY, 10))                        \
    X(INSTRUCTION_ERROR, 0x4400, "VM-instruction error", VMCS_ALWAYS)                              \
    X(EXIT_REASON, 0x4402, "exit reason", VMCS_ALWAYS)                                             \
    X(EXIT_INTERRUPTION, 0x4404, "VM-exit interruption information", VMCS_ALWAYS)                  \
    X(EXIT_ERROR_CODE, 0x4406, "VM-exit interruption error code", VMCS_ALWAYS)                     \
    X(VECTORING, 0x4408, "IDT-vectoring information", VMCS_ALWAYS)                                 \
    X(VECTORING_ERROR_CODE, 0x440a, "IDT-vectoring error code", VMCS_ALWAYS)                       \
    X(EXIT_INSTRUCTION_LENGTH, 0x440c, "VM-exit instruction length", VMCS_ALWAYS)                  \
    X(EXIT_INSTRUCTION_INFORMATION, 0x440e, "VM-exit instruction information", VMCS_ALWAYS)        \
    X(GUEST_ES_LIMIT, 0x4800, "guest ES limit", VMCS_ALWAYS)                                       \
    X(GUEST_CS_LIMIT, 0x4802, "guest CS limit", VMCS_ALWAYS)                                       \
    X(GUEST_SS_LIMIT, 0x4804, "guest SS limit", VMCS_ALWAYS)                                       \
    X(GUEST_DS_LIMIT, 0x4806, "guest DS limit", VMCS_ALWAYS)                                       \
    X(GUEST_FS_LIMIT, 0x4808, "guest FS limit", VMCS_ALWAYS)                                       \
    X(GUEST_GS_LIMIT, 0x480a, "guest GS limit", VMCS_ALWAYS)                                       \
    X(GUEST_LDTR_LIMIT, 0x480c, "guest LDTR limit", VMCS_ALWAYS)                                   \
    X(GUEST_TR_LIMIT, 0x480e, "guest TR limit", VMCS_ALWAYS)                                       \
    X(GUEST_GDTR_LIMIT, 0x4810, "guest GDTR limit", VMCS_ALWAYS)                                   \
    X(GUEST_IDTR_LIMIT, 0x4812, "guest IDTR limit", VMCS_ALWAYS)                                   \
    X(GUEST_ES_RIGHTS, 0x4814, "guest ES access rights", VMCS_ALWAYS)                              \
    X(GUEST_CS_RIGHTS, 0x4816, "guest CS access rights", VMCS_ALWAYS)                              \
    X(GUEST_SS_RIGHTS, 0x4818, "guest SS access rights", VMCS_ALWAYS)                              \
    X(GUEST_DS_RIGHTS, 0x481a, "guest DS access rights", VMCS_ALWAYS)                              \
    X(GUEST_FS_RIGHTS, 0x481c, "guest FS access rights", VMCS_ALWAYS)                              \
    X(GUEST_GS_RIGHTS, 0x481e, "guest GS access rights", VMCS_ALWAYS)                              \
    X(GUEST_LDTR_RIGHTS, 0x4820, "guest LDTR access rights", VMCS_ALWAYS)                          \
    X(GUEST_TR_RIGHTS, 0x4822, "guest TR access rights", VMCS_ALWAYS)                              \
    X(GUEST_INTERRUPTIBILITY, 0x4824, "guest interruptibility state", VMCS_ALWAYS)                 \
    X(GUEST_ACTIVITY, 0x4826, "guest activity state", VMCS_ALWAYS)                                 \
    X(GUEST_SMBASE, 0x4828, "guest SMBASE", VMCS_ALWAYS)                                           \
    X(GUEST_SYSENTER_CS, 0x482a, "guest IA32_SYSENTER_CS", VMCS_ALWAYS)                            \
    X(PREEMPTION_TIMER, 0x482e, "VMX-preemption timer value", VMCS_NEED(VMCS_NEED_PIN, 6))         \
    X(HOST_SYSENTER_CS, 0x4c00, "host IA32_SYSENTER_CS", VMCS_ALWAYS)

#define VMCS_FIELDS_NATURAL(X)                                                                     \
    X(CR0_MASK, 0x6000, "CR0 guest/host mask", VMCS_ALWAYS)                                        \
    X(CR4_MASK, 0x6002, "CR4 guest/host mask", VMCS_ALWAYS)                                        \
    X(CR0_SHADOW, 0x6004, "CR0 read shadow", VMCS_ALWAYS)                                          \
    X(CR4_SHADOW, 0x6006, "CR4 read shadow", VMCS_ALWAYS)                                          \
    X(CR3_TARGET_0, 0x6008, "CR3-target value 0", VMCS_ALWAYS)                                     \
    X(CR3_TARGET_1, 0x600a, "CR3-target value 1", VMCS_ALWAYS)                                     \
    X(CR3_TARGET_2, 0x600c, "CR3-target value 2", VMCS_ALWAYS)                                     \
    X(CR3_TARGET_3, 0x600e, "CR3-target value 3", VMCS_ALWAYS)                                     \
    X(EXIT_QUALIFICATION, 0x6400, "exit qualification", VMCS_ALWAYS)                               \
    X(IO_RCX, 0x6402, "I/O RCX", VMCS_ALWAYS)                                                      \
    X(IO_RSI, 0x6404, "I/O RSI", VMCS_ALWAYS)                                                      \
    X(IO_RDI, 0x6406, "I/O RDI", VMCS_ALWAYS)                                                      \
    X(IO_RIP, 0x6408, "I/O RIP", VMCS_ALWAYS)                                                      \
    X(GUEST_LINEAR_ADDRESS, 0x640a, "guest-linear address", VMCS_ALWAYS)                           \
    X(GUEST_CR0, 0x6800, "guest CR0", VMCS_ALWAYS)                                                 \
    X(GUEST_CR3, 0x6802, "guest CR3", VMCS_ALWAYS)                                                 \
    X(GUEST_CR4, 0x6804, "guest CR4", VMCS_ALWAYS)                                                 \
    X(GUEST_ES_BASE, 0x6806, "guest ES base", VMCS_ALWAYS)                                         \
    X(GUEST_CS_BASE, 0x6808, "guest CS base", VMCS_ALWAYS)                                         \
    X(GUEST_SS_BASE, 0x680a, "guest SS base", VMCS_ALWAYS)                                         \
    X(GUEST_DS_BASE, 0x680c, "guest DS base", VMCS_ALWAYS)                                         \
    X(GUEST_FS_BASE, 0x680e, "guest FS base", VMCS_ALWAYS)                                         \
    X(GUEST_GS_BASE, 0x6810, "guest GS base", VMCS_ALWAYS)                                         \
    X(GUEST_LDTR_BASE, 0x6812, "guest LDTR base", VMCS_ALWAYS)                                     \
    X(GUEST_TR_BASE, 0x6814, "guest TR base", VMCS_ALWAYS)                                         \
    X(GUEST_GDTR_BASE, 0x6816, "guest GDTR base", VMCS_ALWAYS)                                     \
    X(GUEST_IDTR_BASE, 0x6818, "guest IDTR base", VMCS_ALWAYS)                                     \
    X(GUEST_DR7, 0x681a, "guest DR7", VMCS_ALWAYS)                                                 \
    X(GUEST_RSP, 0x681c, "guest RSP", VMCS_ALWAYS)                                                 \
    X(GUEST_RIP, 0x681e, "guest RIP", VMCS_ALWAYS)                                                 \
    X(GUEST_RFLAGS, 0x6820, "guest RFLAGS", VMCS_ALWAYS)                                           \
    X(GUEST_PENDING_DEBUG, 0x6822, "guest pending debug exceptions", VMCS_ALWAYS)                  \
    X(GUEST_SYSENTER_ESP, 0x6824, "guest IA32_SYSENTER_ESP", VMCS_ALWAYS)                          \
    X(GUEST_SYSENTER_EIP, 0x6826, "guest IA32_SYSENTER_EIP", VMCS_ALWAYS)                          \
    X(GUEST_S_CET, 0x6828, "guest IA32_S_CET", VMCS_NEED(VMCS_NEED_ENTRY, 20))                     \
    X(GUEST_SSP, 0x682a, "guest SSP", VMCS_NEED(VMCS_NEED_ENTRY, 20))                              \
    X(GUEST_INTERRUPT_SSP_TABLE, 0x682c, "guest IA32_INTERRUPT_SSP_TABLE_ADDR",                    \
      VMCS_NEED(VMCS_NEED_ENTRY, 20))                                                              \
    X(HOST_CR0, 0x6c00, "host CR0", VMCS_ALWAYS)                                                   \
    X(HOST_CR3, 0x6c02, "host CR3", VMCS_ALWAYS)                                                   \
    X(HOST_CR4, 0x6c04, "host CR4", VMCS_ALWAYS)                                                   \
    X(HOST_FS_BASE, 0x6c06, "host FS base", VMCS_ALWAYS)                                           \
    X(HOST_GS_BASE, 0x6c08, "host GS base", VMCS_ALWAYS)                                           \
    X(HOST_TR_BASE, 0x6c0a, "host TR base", VMCS_ALWAYS)                                           \
    X(HOST_GDTR_BASE, 0x6c0c, "host GDTR base", VMCS_ALWAYS)                                       \
    X(HOST_IDTR_BASE, 0x6c0e, "host IDTR base", VMCS_ALWAYS)                                       \
    X(HOST_SYSENTER_ESP, 0x6c10, "host IA32_SYSENTER_ESP", VMCS_ALWAYS)                            \
    X(HOST_SYSENTER_EIP, 0x6c12, "host IA32_SYSENTER_EIP", VMCS_ALWAYS)                            \
    X(HOST_RSP, 0x6c14, "host RSP", VMCS_ALWAYS)                                                   \
    X(HOST_RIP, 0x6c16, "host RIP", VMCS_ALWAYS)                                                   \
    X(HOST_S_CET, 0x6c18, "host IA32_S_CET", VMCS_NEED(VMCS_NEED_EXIT, 28))                        \
    X(HOST_SSP, 0x6c1a, "host SSP", VMCS_NEED(VMCS_NEED_EXIT, 28))                                 \
    X(HOST_INTERRUPT_SSP_TABLE, 0x6c1c, "host IA32_INTERRUPT_SSP_TABLE_ADDR",                      \
      VMCS_NEED(VMCS_NEED_EXIT, 28))

#define VMCS_FIELDS(X) VMCS_FIELDS_16(X) VMCS_FIELDS_64(X) VMCS_FIELDS_32(X) VMCS_FIELDS_NATURAL(X)
