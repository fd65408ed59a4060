// SPDX-License-Identifier: MIT
// Where the parts of the kernel image lie: symbols of the linker script, all page aligned.
#pragma once

#include <stdint.h>
#include "arch/x86/paging/layout.h"

extern char image_start[], image_end[]; // everything, the boot part included
extern char text_start[], text_end[];
extern char rodata_start[], rodata_end[];
extern char data_start[], data_end[];       // with .bss
extern char boot_stack[], boot_stack_end[]; // the boot CPU's stack until its real one is mapped

// The physical address of something in the image (code, data, .bss).
static inline hpa_t image_physical(const void *address)
{
    return hpa((uint64_t)address - KERNEL_BASE);
}
