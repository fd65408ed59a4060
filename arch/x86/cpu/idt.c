// SPDX-License-Identifier: MIT
// Builds the IDT from the table of entry points in trap_entry.asm ("64-Bit IDT Gate Descriptors").
#include "arch/x86/cpu/idt.h"
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "kernel/lib/compiler.h"

struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type; // present, DPL, 64-bit interrupt gate
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(struct gate) == 16, "the processor defines gates");
static_assert(offsetof(struct gate, offset_high) == 8, "the processor defines gates");

#define GATE_INTERRUPT 0x8e
#define GATE_USER      0x60 // DPL 3: ring 3 may use INT n

static struct gate idt[VECTOR_COUNT] ALIGNED(4096);

void idt_build(void)
{
    for (unsigned vector = 0; vector < VECTOR_COUNT; vector++) {
        uint64_t entry = trap_entry_points[vector];
        bool user = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)entry,
            .selector = SELECTOR_KERNEL_CODE,
            .type = user ? GATE_INTERRUPT | GATE_USER : GATE_INTERRUPT,
            .offset_middle = (uint16_t)(entry >> 16),
            .offset_high = (uint32_t)(entry >> 32),
        };
    }
}

void idt_use_stacks(void)
{
    idt[VECTOR_NMI].ist = IST_NMI;
    idt[VECTOR_DOUBLE_FAULT].ist = IST_DOUBLE_FAULT;
    idt[VECTOR_MACHINE_CHECK].ist = IST_MACHINE_CHECK;
    idt[VECTOR_DEBUG].ist = IST_DEBUG;
}

void idt_load(void)
{
    struct table_pointer pointer = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" ::"m"(pointer));
}

uint64_t cpu_idt_base(void)
{
    return (uint64_t)idt;
}
