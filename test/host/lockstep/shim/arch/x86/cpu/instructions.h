// SPDX-License-Identifier: MIT
// instructions.h for host tests: what the processor would do, done to a simulated one
// (host_processor.c). Each simulated CPU has registers of its own; which CPU runs is told by the
// stack, as in the kernel, or by host_processor_choose where there are no kernel stacks.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf);

#define HOST_REGISTER(name)                                                                        \
    uint64_t name##_read(void);                                                                    \
    void name##_write(uint64_t value);
HOST_REGISTER(cr0)
HOST_REGISTER(cr2)
HOST_REGISTER(cr3)
HOST_REGISTER(cr4)
HOST_REGISTER(dr0)
HOST_REGISTER(dr1)
HOST_REGISTER(dr2)
HOST_REGISTER(dr3)
HOST_REGISTER(dr6)
HOST_REGISTER(dr7)
HOST_REGISTER(xcr0)
#undef HOST_REGISTER

uint64_t msr_read(uint32_t index);
void msr_write(uint32_t index, uint64_t value);
uint8_t port_read8(uint16_t port);
void port_write8(uint16_t port, uint8_t value);
void port_write_string(uint16_t port, const uint8_t *bytes, uint64_t count);
uint32_t port_read32(uint16_t port);
void port_write32(uint16_t port, uint32_t value);
uint64_t tsc_read(void);
void tlb_invalidate_page(uint64_t address);
void interrupts_enable(void);
void interrupts_disable(void);
uint64_t rflags_read(void);
void interrupt_window(void);
void wait_for_interrupt(void);
void cpu_relax(void);
void task_switched_clear(void);
NORETURN void halt_forever(void);
