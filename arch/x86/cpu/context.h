// SPDX-License-Identifier: MIT
// Switching between kernel stacks, entering ring 3, and the system-call table.
// Called by the kernel's scheduler and process code with interrupts off. No lock.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"

// Saves the callee-saved registers on the current stack, stores RSP to *save and continues on the
// stack `load`, which an earlier switch_context or context_prepare left. Returns when something
// switches back.
void switch_context(uint64_t *save, uint64_t load);

// Makes a fresh kernel stack ready for its first switch_context. `start` is kernel_stack_start() of
// the stack (the caller fills its kernel_stack_top). `entry(argument)` runs with interrupts off and
// must never return. Returns the value for `load`.
uint64_t context_prepare(uint64_t start, void (*entry)(void *), void *argument);

// Leaves the kernel for ring 3 for the first time: RIP, RSP and RDI as given, other general
// registers zero, interrupts on. The kernel stack restarts empty at the next entry. Both addresses
// must be below USER_LIMIT (paging/layout.h); the caller has set CR3 and cpu_set_kernel_stack.
NORETURN void user_enter(uint64_t rip, uint64_t rsp, uint64_t rdi);

// A system call. Arguments as in kernel/abi/syscall.h, result in RAX. Begins in MODE_KERNEL, leaves
// MODE_USER behind. On entry the bottom of the
// thread's kernel stack holds a struct system_call_frame.
typedef int64_t (*system_call_function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

// What SYSENTER entry keeps of the caller, at kernel_stack_start() - sizeof.
struct system_call_frame {
    uint64_t rip; // user address to return to
    uint64_t rsp;
};
static_assert(sizeof(struct system_call_frame) == 16, "system_call.asm builds it");

// Installs the table: number n calls table[n]; numbers from `count` on, and the time before this
// call, give -STATUS_INVALID. No entry is null; the table lives for ever.
void system_call_install(const system_call_function *table, uint32_t count);
