// SPDX-License-Identifier: MIT
// Chooses the virtualisation backend of this processor. Called once at boot.
#include "arch/x86/virt/virt.h"

#include "arch/x86/virt/vmx/backend.h"

const struct virt_ops *virt_probe(struct vm_support *support)
{
    return vmx_probe(support) ? &vmx_ops : NULL;
}
