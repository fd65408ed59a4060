// SPDX-License-Identifier: MIT
// Kernel stacks of threads: four pages charged to a container, mapped into a slot of the stack area
// with a guard below. The page tables of the stack area are the kernel's own. Has its own lock.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define STACK_MAXIMUM 1024u // threads at a time

// Makes a stack and returns its slot and lowest address. STATUS_QUOTA, STATUS_NO_MEMORY.
MUST_CHECK enum status stack_create(uint32_t container, uint32_t *slot, uint64_t *address);

// Unmaps it and frees its pages. Nobody may run on it.
void stack_destroy(uint32_t container, uint32_t slot);
