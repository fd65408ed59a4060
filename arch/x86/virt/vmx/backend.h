// SPDX-License-Identifier: MIT
// What the rest of virt/ sees of the VMX backend.
#pragma once

#include "arch/x86/virt/virt.h"

extern const struct virt_ops vmx_ops;

// Finds out whether VMX can run our guests here. As virt_probe.
MUST_CHECK enum status vmx_probe(char *reason, size_t size);
