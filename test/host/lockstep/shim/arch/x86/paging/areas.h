// SPDX-License-Identifier: MIT
// areas.h for host tests: the areas lie where a process may map memory, apart from what the C
// library and the sanitizers use. host_machine.c maps what is used of them.
#pragma once

#define DIRECT_MAP_BASE  0x0000200000000000ull
#define DIRECT_MAP_SIZE  (64ull << 30)
#define STACK_AREA_BASE  0x0000210000000000ull
#define STACK_AREA_SIZE  (512ull << 30)
#define DEVICE_AREA_BASE 0x0000220000000000ull
#define DEVICE_AREA_SIZE (512ull << 30)
#define CPU_AREA_BASE    0x0000230000000000ull
#define CPU_AREA_SIZE    (512ull << 30)
#define KERNEL_BASE      0x0000240000000000ull
