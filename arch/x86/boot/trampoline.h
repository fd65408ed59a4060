// SPDX-License-Identifier: MIT
// What trampoline.asm and the kernel, which starts the other processors one by one, share.
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// The real-mode code, to be copied to a page below 1 MiB.
extern const char processor_trampoline[], processor_trampoline_end[];

// kernel_stack_start() of the stack, its record filled in, for the processor that comes next; it
// takes it with an exchange for 0.
extern _Atomic uint64_t processor_stack;

// The kernel's CR3; set before the first one starts.
extern uint64_t processor_root;

// The kernel provides this: where a processor begins, with interrupts off, on its own stack, with
// the kernel's page tables; cpu_initialize is still to be called. Must not return.
NORETURN void processor_main(void);
