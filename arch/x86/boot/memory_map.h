// SPDX-License-Identifier: MIT
// Makes the machine's memory map out of the loader's: sorted, page aligned, without overlaps, with
// what is in use carved out. Pure; used by arch_main.c; host-tested.
#pragma once

#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/boot/multiboot2.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Fills information->memory from `loader`, the image at [kernel_start, kernel_end) and
// information->modules. Where regions overlap the less usable kind wins; a partly covered page
// counts as covered unless free. STATUS_NO_MEMORY: too many regions.
MUST_CHECK enum status memory_map_build(struct boot_information *information,
                                        const struct multiboot2_memory *loader,
                                        uint64_t kernel_start, uint64_t kernel_end);

// Gives [start, end), page aligned and inside one region, another kind; joins it to equal
// neighbours. STATUS_NOT_FOUND: not inside one region; STATUS_NO_MEMORY: no slot left.
MUST_CHECK enum status memory_map_set(struct boot_information *information, uint64_t start,
                                      uint64_t end, enum boot_memory_kind kind);
