// SPDX-License-Identifier: MIT
// Text about the VM: the registers at a stop, and the exit statistics.
#pragma once

#include <stddef.h>
#include "kernel/abi/syscall.h"
#include "vmm/monitor/machine.h"

// Logs the exit, the registers and the code bytes. Every group of the page must be valid.
void report_stop(struct machine *machine);

// Writes the statistics into `buffer`, lines end in LF; returns the bytes written, at most `size`.
size_t report_statistics(const struct machine_counts *counts,
                         const struct vm_statistics *statistics, char *buffer, size_t size);
