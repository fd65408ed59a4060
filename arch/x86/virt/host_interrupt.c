// SPDX-License-Identifier: MIT
// Enters the host's handlers for what ended a guest's run. Called by kernel/vm; no lock.
#include "arch/x86/virt/host_interrupt.h"

#include "arch/x86/cpu/cpu.h"
#include "kernel/lib/compiler.h"

void host_interrupt_enter(uint64_t handler); // host_interrupt.asm

// "64-Bit Mode IDT Gate Descriptor"
struct interrupt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(struct interrupt_gate) == 16, "the processor defines the gate");

void host_interrupt(uint32_t vector)
{
    const struct interrupt_gate *gate = (const struct interrupt_gate *)cpu_idt_base() + vector;

    host_interrupt_enter((uint64_t)gate->offset_high << 32 | (uint32_t)gate->offset_middle << 16 |
                         gate->offset_low);
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
