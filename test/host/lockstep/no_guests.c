// SPDX-License-Identifier: MIT
// For tests without virtualisation: what processes ask of kernel/vm.
#include "kernel/core/system_calls.h"
#include "kernel/lib/status.h"
#include "kernel/vm/vm.h"

const struct vm_support *virt_support(void)
{
    static const struct vm_support none = {.lack = VM_LACKS_VMX};

    return &none;
}

enum status vcpu_release(struct vcpu *vcpu)
{
    (void)vcpu;
    return STATUS_OK;
}

#define NO_VM(name)                                                                                \
    HANDLE_CALL(name)                                                                              \
    {                                                                                              \
        return -(int64_t)STATUS_UNSUPPORTED;                                                       \
    }
#define NO_ANY(name)                                                                               \
    SYSTEM_CALL(name)                                                                              \
    {                                                                                              \
        return -(int64_t)STATUS_UNSUPPORTED;                                                       \
    }
#define NO_CALL(number, handler, subject) NO_##subject(handler)
VM_SYSTEM_CALLS(NO_CALL)
