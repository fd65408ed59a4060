// SPDX-License-Identifier: MIT
// Makes the machine's memory map region by region: sorted, page aligned, without overlaps, with
// what is in use carved out. Pure; used by the boot code; host-tested.
#pragma once

#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Adds [start, end), page aligned, to information->memory; an empty range changes nothing. Where
// regions overlap the later kind of enum boot_memory_kind wins. STATUS_NO_MEMORY: too many regions.
MUST_CHECK enum status memory_map_add(struct boot_information *information, uint64_t start,
                                      uint64_t end, enum boot_memory_kind kind);

// The same for `size` bytes at `start`, aligned anyhow, whose end does not wrap. A partly covered
// page counts as covered unless BOOT_MEMORY_FREE; of that, what lies below 1 MiB becomes
// BOOT_MEMORY_LOW.
/*@
  requires \valid(information) && information->memory_count <= BOOT_MEMORY_MAXIMUM;
  requires start + size <= UINT64_MAX;
  terminates \true;
  assigns information->memory_count, information->memory[0 .. BOOT_MEMORY_MAXIMUM - 1];
  ensures information->memory_count <= BOOT_MEMORY_MAXIMUM;
  ensures \result == STATUS_OK || \result == STATUS_NO_MEMORY;
*/
MUST_CHECK enum status memory_map_add_bytes(struct boot_information *information, uint64_t start,
                                            uint64_t size, enum boot_memory_kind kind);
