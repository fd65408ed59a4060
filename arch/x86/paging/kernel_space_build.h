// SPDX-License-Identifier: MIT
// Construction of the kernel's address space, for those who start CPUs: arch's boot code, and the
// kernel for all but the first.
#pragma once

#include "arch/x86/boot/boot_information.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Builds the image's mapping (W^X), the direct map and the empty areas. RAM so far is seen at
// DIRECT_MAP_BASE below 4 GiB. Errors: those of page_table_map.
MUST_CHECK enum status kernel_space_build(const struct boot_information *boot,
                                          const struct page_source *source);

// Maps GDT page, struct cpu and the stacks of a CPU, from pages of `source`. Contents are not
// cleared. Errors as above.
MUST_CHECK enum status kernel_space_map_cpu(uint32_t id, const struct page_source *source);
