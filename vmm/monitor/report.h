// SPDX-License-Identifier: MIT
// Counters of a VM as text.
#pragma once

#include <stddef.h>
#include "kernel/abi/syscall.h"
#include "vmm/monitor/machine.h"

// Writes the statistics into `buffer`, lines end in LF; returns the bytes written, at most `size`.
size_t report_statistics(const struct machine_counts *counts,
                         const struct vm_statistics *statistics, char *buffer, size_t size);
