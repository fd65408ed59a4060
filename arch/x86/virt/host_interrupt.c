// SPDX-License-Identifier: MIT
// Enters the host's handlers for what ended a guest's run. Called by kernel/vm; no lock.
#include "arch/x86/virt/host_interrupt.h"

#include "arch/x86/cpu/idt.h"

void host_interrupt_enter(uint64_t handler); // host_interrupt.asm

void host_interrupt(uint32_t vector)
{
    host_interrupt_enter(trap_entry_points[vector]);
}

// Their gates use stacks of their own, which only the processor switches to.
void host_nmi(void)
{
    __asm__ volatile("int $2" ::: "memory");
}

void host_machine_check(void)
{
    __asm__ volatile("int $18" ::: "memory");
}
