// SPDX-License-Identifier: MIT
// Where the areas of the kernel's half of every address space lie, for layout.h, which everybody
// includes. Host tests, whose process has no such half, have an areas.h of their own.
#pragma once

#define DIRECT_MAP_BASE  0xffff800000000000ull // all RAM, NX; kernel image read-only or absent
#define DIRECT_MAP_SIZE  (64ull << 40)
#define STACK_AREA_BASE  0xffffc00000000000ull // kernel stacks
#define STACK_AREA_SIZE  (512ull << 30)
#define DEVICE_AREA_BASE 0xffffd00000000000ull // memory-mapped devices, uncached
#define DEVICE_AREA_SIZE (512ull << 30)
#define CPU_AREA_BASE    0xffffe00000000000ull // per-CPU data
#define CPU_AREA_SIZE    (512ull << 30)
#define KERNEL_BASE      0xffffffff80000000ull // the image: physical address + KERNEL_BASE
