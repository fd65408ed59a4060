// SPDX-License-Identifier: MIT
// Whether this machine can have VMs, and what its processors say about that: part of what each
// process is told (process_info). Programs put it into words.
#pragma once

#include <stdint.h>

// The capability MSRs, the TRUE variants where the processor has them; see the manual's "VMX
// Capability Reporting Facility". All zero: no VMX.
struct vmx_capabilities {
    uint64_t basic;
    uint64_t pin, primary, secondary, exit, entry; // allowed-0 settings 31:0, allowed-1 63:32
    uint64_t misc;
    uint64_t cr0_fixed0, cr0_fixed1;
    uint64_t cr4_fixed0, cr4_fixed1;
    uint64_t ept_vpid;
};

// What is missing; see vm_support.bits.
enum vm_lack {
    VM_LACKS_NOTHING,
    VM_LACKS_VMX,       // no processor with it
    VM_LACKS_FIRMWARE,  // it is locked off: IA32_FEATURE_CONTROL
    VM_LACKS_PIN,       // control bits that cannot be what they have to be
    VM_LACKS_PRIMARY,   // the same
    VM_LACKS_SECONDARY, // the same
    VM_LACKS_EXIT,      // the same
    VM_LACKS_ENTRY,     // the same
    VM_LACKS_EPT,       // bits of IA32_VMX_EPT_VPID_CAP, of which one would be enough
    VM_LACKS_START,     // it could not be turned on: enum status
};

struct vm_support {
    uint32_t lack; // enum vm_lack; VM_LACKS_NOTHING: VMs can be made
    uint32_t reserved;
    uint64_t bits;
    struct vmx_capabilities capabilities;
};
