// SPDX-License-Identifier: MIT
// The instructions of VMX operation but VMREAD and VMWRITE (access.h). Those that tell of failure
// return false. Called with interrupts off.
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline bool vmx_vmxon(uint64_t physical)
{
    bool failed;

    __asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(physical) : "memory");
    return !failed;
}

/*@
  terminates \true;
  assigns vmcs_current, vmcs_fields[0 .. 0x7fff];
  ensures vmcs_taken(physical) ==> \result;
*/
static inline bool vmx_vmclear(uint64_t physical)
{
    bool failed;

    __asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(physical) : "memory");
    return !failed;
}

/*@
  terminates \true;
  assigns vmcs_current, vmcs_fields[0 .. 0x7fff];
  ensures \result <==> vmcs_taken(physical);
  ensures vmcs_taken(physical) ==> vmcs_current == physical;
*/
static inline bool vmx_vmptrld(uint64_t physical)
{
    bool failed;

    __asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(physical) : "memory");
    return !failed;
}

struct vmx_invalidation {
    uint64_t words[2];
};

static inline void vmx_invept(uint64_t type, uint64_t ept_pointer)
{
    struct vmx_invalidation descriptor = {{ept_pointer, 0}};

    __asm__ volatile("invept %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}

static inline void vmx_invvpid(uint64_t type, uint64_t vpid)
{
    struct vmx_invalidation descriptor = {{vpid, 0}};

    __asm__ volatile("invvpid %0, %1" : : "m"(descriptor), "r"(type) : "cc", "memory");
}
