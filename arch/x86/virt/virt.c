// SPDX-License-Identifier: MIT
// Chooses the virtualisation backend of this processor. Called once at boot.
#include "arch/x86/virt/virt.h"

#include "arch/x86/virt/vmx/backend.h"

enum status virt_probe(const struct virt_ops **ops, char *reason, size_t size)
{
    enum status status = vmx_probe(reason, size);

    *ops = status == STATUS_OK ? &vmx_ops : 0;
    return status;
}
