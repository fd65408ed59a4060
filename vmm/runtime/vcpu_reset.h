// SPDX-License-Identifier: MIT
// The state of a processor after a reset, for a new vCPU.
#pragma once

#include "kernel/abi/vcpu.h"

// Fills all groups of the page, to be loaded at the next entry. Its TSC is zero now.
void vcpu_reset(struct vcpu_page *page);
