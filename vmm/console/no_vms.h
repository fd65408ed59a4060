// SPDX-License-Identifier: MIT
// Why this machine can have no VMs, and what to do about it, in words. Pure; called by the console
// process and by host tests.
#pragma once

#include <stddef.h>
#include "kernel/abi/vm_support.h"

// Writes a sentence or two about what `support` lacks. `hypervisor` is the signature of the one
// that this machine runs under; "": none.
void no_vms_explain(const struct vm_support *support, const char *hypervisor, char *text,
                    size_t size);
