// SPDX-License-Identifier: MIT
// Kernel stacks of threads: four pages charged to a container, mapped into a slot of the stack area
// with a guard below. The page tables of the stack area are the kernel's own. Has its own lock.
#pragma once

#include <stdint.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define STACK_MAXIMUM 16384u // threads at a time
#define STACK_PAGES   (KERNEL_STACK_SIZE / PAGE_SIZE)
static_assert(STACK_PAGES == 4, "kernel_space_map_stack takes four pages");

struct stack {
    uint32_t slot;            // of the stack area; 0: none
    hpa_t pages[STACK_PAGES]; // lowest first; 0: none
};

// Makes a stack. STATUS_QUOTA, STATUS_NO_MEMORY.
MUST_CHECK enum status stack_create(uint32_t container, struct stack *stack);

// Unmaps the stack and frees its pages; nothing happens if there is none. Nobody may run on it.
void stack_destroy(uint32_t container, struct stack *stack);
