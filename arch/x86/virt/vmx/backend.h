// SPDX-License-Identifier: MIT
// What the rest of virt/ sees of the VMX backend.
#pragma once

#include "arch/x86/virt/virt.h"

extern const struct virt_ops vmx_ops;

// Finds out whether VMX can run our guests here, and says in `support` what is missing.
MUST_CHECK bool vmx_probe(struct vm_support *support);
