// SPDX-License-Identifier: MIT
// Single instructions as inline functions, for registers.h, which everybody includes. Functions
// that touch memory mappings or flags carry a memory clobber so that the compiler keeps their
// order. Host tests of code that uses them have an instructions.h of their own.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(subleaf));
    return r;
}

#define CONTROL_REGISTER(name)                                                                     \
    static inline uint64_t name##_read(void)                                                       \
    {                                                                                              \
        uint64_t value;                                                                            \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value)::"memory");                           \
        return value;                                                                              \
    }                                                                                              \
    static inline void name##_write(uint64_t value)                                                \
    {                                                                                              \
        __asm__ volatile("mov %0, %%" #name ::"r"(value) : "memory");                              \
    }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr0)
CONTROL_REGISTER(dr1)
CONTROL_REGISTER(dr2)
CONTROL_REGISTER(dr3)
CONTROL_REGISTER(dr6)
CONTROL_REGISTER(dr7)

// The index must be an MSR that this processor has: anything else is a kernel exception. Indices
// chosen by a guest or a user program never come here.
static inline uint64_t msr_read(uint32_t index)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

// What contracts know of the ports: how often one was read, what the last read gave, and all that
// was written, in order.
//@ ghost int port_state;
//@ ghost uint8_t port_seen;
/*@
  axiomatic ports {
    logic integer port_reads{L} reads port_state;
    logic \list<integer> port_writes{L} reads port_state;
  }
  // The byte written to the port.
  logic integer port_write(integer port, integer byte) = port * 256 + byte;
*/

/*@
  terminates \true;
  assigns port_state, port_seen;
  ensures port_reads == \old(port_reads) + 1 && port_writes == \old(port_writes);
  ensures \result == port_seen;
*/
static inline uint8_t port_read8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

/*@
  terminates \true;
  assigns port_state;
  ensures port_reads == \old(port_reads);
  ensures port_writes == (\old(port_writes) ^ [| port_write(port, value) |]);
*/
static inline void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline void port_write_string(uint16_t port, const uint8_t *bytes, uint64_t count)
{
    __asm__ volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(port) : "memory");
}

static inline uint32_t port_read32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

static inline uint64_t tsc_read(void)
{
    uint64_t low, high; // RDTSC clears the upper halves
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return high << 32 | low;
}

static inline uint64_t xcr0_read(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static inline void xcr0_write(uint64_t value)
{
    __asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline void tlb_invalidate_page(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}

static inline void interrupts_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}

static inline void interrupts_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline uint64_t rflags_read(void)
{
    uint64_t value;
    __asm__ volatile("pushfq; popq %0" : "=r"(value)::"memory");
    return value;
}

// Takes whatever interrupts are pending, for long loops in the kernel. Called and left with
// interrupts off.
static inline void interrupt_window(void)
{
    __asm__ volatile("sti; nop; cli" ::: "memory");
}

// Sleeps until an interrupt has been handled. Called and left with interrupts off; an interrupt
// that is already pending is taken at once, so none is lost.
static inline void wait_for_interrupt(void)
{
    __asm__ volatile("sti; hlt; cli" ::: "memory");
}

static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}

static inline void task_switched_clear(void)
{
    __asm__ volatile("clts" ::: "memory");
}

static inline NORETURN void halt_forever(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt" ::: "memory");
    }
}
