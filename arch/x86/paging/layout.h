// SPDX-License-Identifier: MIT
// The host's virtual address space. All address spaces share the upper half: its top-level entries
// exist from boot on and never change, so a copy of them is always current.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/areas.h"
#include "kernel/lib/address.h"

#define USER_LIMIT 0x0000800000000000ull // first address that is not the user's

// Kernel stacks: slots of 32 KiB, the lower half a guard that is never mapped.
#define STACK_SLOT_SIZE  32768ull
#define STACK_SLOT_COUNT 65536u // what the stack area offers
// Slots of CPU n: n * STACK_SLOTS_PER_CPU is its boot (idle) stack, + ist index its IST stacks.
#define STACK_SLOTS_PER_CPU 8u
// Threads use the slots from here on.
#define STACK_SLOT_FIRST_THREAD (64u * STACK_SLOTS_PER_CPU)

// Per-CPU data of CPU n at CPU_AREA_BASE + n * CPU_SLOT_SIZE: a GDT page followed by unmapped space
// (the limit is 64 KiB after a VM exit), then struct cpu.
#define CPU_SLOT_SIZE   (1ull << 20)
#define CPU_SLOT_STRUCT 0x10000ull

// The lowest address of the stack in a slot.
static inline uint64_t stack_slot_address(uint32_t slot)
{
    return STACK_AREA_BASE + slot * STACK_SLOT_SIZE + STACK_SLOT_SIZE / 2;
}

// Where RAM at `physical` is seen. Only for memory that boot_information lists as RAM.
static inline void *direct_map(hpa_t physical)
{
    return (void *)(physical.value + DIRECT_MAP_BASE);
}

// The inverse of direct_map, for addresses inside the direct map.
static inline hpa_t direct_map_physical(const void *address)
{
    return hpa((uint64_t)address - DIRECT_MAP_BASE);
}

// True for [address, address + size) inside the user half; also for size 0 at a user address.
/*@
  terminates \true;
  assigns \nothing;
  ensures \result <==> address + size <= USER_LIMIT;
*/
static inline bool user_range(uint64_t address, uint64_t size)
{
    return range_fits(address, size, USER_LIMIT);
}
