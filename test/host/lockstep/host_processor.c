// SPDX-License-Identifier: MIT
// The simulated processors (host_processor.h).
#include "test/host/lockstep/host_processor.h"
#include <stdlib.h>

struct host_processor host_processors[HOST_CPUS];
uint32_t host_cpu;
uint64_t host_tsc = 1000;
struct host_hooks host_hooks;

#define HOST_ACCESSORS(name, index)                                                                \
    uint64_t name##_read(void)                                                                     \
    {                                                                                              \
        return host_processors[host_cpu].registers[index];                                         \
    }                                                                                              \
    void name##_write(uint64_t value)                                                              \
    {                                                                                              \
        host_processors[host_cpu].registers[index] = value;                                        \
    }

HOST_ACCESSORS(cr0, HOST_CR0)
HOST_ACCESSORS(cr2, HOST_CR2)
HOST_ACCESSORS(cr4, HOST_CR4)
HOST_ACCESSORS(dr0, HOST_DR0)
HOST_ACCESSORS(dr1, HOST_DR1)
HOST_ACCESSORS(dr2, HOST_DR2)
HOST_ACCESSORS(dr3, HOST_DR3)
HOST_ACCESSORS(dr6, HOST_DR6)
HOST_ACCESSORS(dr7, HOST_DR7)
HOST_ACCESSORS(xcr0, HOST_XCR0)

uint64_t cr3_read(void)
{
    return host_processors[host_cpu].registers[HOST_CR3];
}

void cr3_write(uint64_t value)
{
    host_processors[host_cpu].registers[HOST_CR3] = value;
    host_processors[host_cpu].invalidations++;
}

struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    (void)leaf;
    (void)subleaf;
    return (struct cpuid_result){0};
}

uint64_t msr_read(uint32_t index)
{
    return host_hooks.msr_read != NULL ? host_hooks.msr_read(index) : 0;
}

void msr_write(uint32_t index, uint64_t value)
{
    if (host_hooks.msr_write != NULL) {
        host_hooks.msr_write(index, value);
    }
}

uint8_t port_read8(uint16_t port)
{
    return host_hooks.port_read != NULL ? host_hooks.port_read(port) : 0xff;
}

void port_write8(uint16_t port, uint8_t value)
{
    if (host_hooks.port_write != NULL) {
        host_hooks.port_write(port, value);
    }
}

void port_write_string(uint16_t port, const uint8_t *bytes, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        port_write8(port, bytes[i]);
    }
}

uint32_t port_read32(uint16_t port)
{
    (void)port;
    return UINT32_MAX;
}

void port_write32(uint16_t port, uint32_t value)
{
    (void)port;
    (void)value;
}

uint64_t tsc_read(void)
{
    return host_tsc++;
}

void tlb_invalidate_page(uint64_t address)
{
    (void)address;
    host_processors[host_cpu].invalidations++;
}

void interrupts_enable(void)
{
    host_processors[host_cpu].interrupts = true;
}

void interrupts_disable(void)
{
    host_processors[host_cpu].interrupts = false;
}

uint64_t rflags_read(void)
{
    return RFLAGS_RESERVED | (host_processors[host_cpu].interrupts ? RFLAGS_IF : 0);
}

void interrupt_window(void)
{
    if (host_hooks.interrupt_window != NULL) {
        host_hooks.interrupt_window();
    }
}

void wait_for_interrupt(void)
{
    if (host_hooks.wait_for_interrupt != NULL) {
        host_hooks.wait_for_interrupt();
    }
}

void cpu_relax(void)
{
}

void task_switched_clear(void)
{
    cr0_write(cr0_read() & ~CR0_TS);
}

__attribute__((weak)) void halt_forever(void)
{
    abort();
}
