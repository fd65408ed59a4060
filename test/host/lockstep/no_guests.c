// SPDX-License-Identifier: MIT
// For tests without virtualisation: what processes ask of kernel/vm.
#include "kernel/vm/system_calls.h"
#include "kernel/vm/vm.h"

enum status virt_support(void)
{
    return STATUS_UNSUPPORTED;
}

const char *virt_support_reason(void)
{
    return "a host test";
}

enum status vcpu_release(struct vcpu *vcpu)
{
    (void)vcpu;
    return STATUS_OK;
}

#define NO_CALL(number, handler)                                                                   \
    int64_t handler(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)                    \
    {                                                                                              \
        return a + b + c + d + e != 0 ? -(int64_t)STATUS_UNSUPPORTED : -(int64_t)STATUS_INVALID;   \
    }
VM_SYSTEM_CALLS(NO_CALL)
