// SPDX-License-Identifier: MIT
// What operations of the local APIC cost. See apic.h.
#include "guests/bench_exits/apic.h"

#include "guests/library/machine.h"
#include "guests/library/traps.h"
#include "kernel/lib/processor.h"

#define MSR_SPURIOUS     0x80fu
#define MSR_EOI          0x80bu
#define MSR_LVT_TIMER    0x832u
#define MSR_SELF_IPI     0x83fu
#define BASE_X2APIC      (3u << 10) // enabled, in x2APIC mode
#define SPURIOUS_ENABLE  (1u << 8)
#define TIMER_DEADLINE   (2u << 17)
#define VECTOR_SELF      0x30u
#define VECTOR_TIMER     0x31u
#define VECTOR_SPURIOUS  0x3fu
#define FEATURE_X2APIC   (1u << 21)
#define FEATURE_DEADLINE (1u << 24)
#define HALT_TICKS       10000u // from setting the timer to its deadline

static volatile uint64_t woken; // TSC in the timer's handler

// The handlers are as short as they can be: what is measured is the way to them.
void apic_self_handler(void);
void apic_timer_handler(void);
__asm__("apic_self_handler:\n\t"
        "push %rax\n\tpush %rcx\n\tpush %rdx\n\t"
        "mov $0x80b, %ecx\n\txor %eax, %eax\n\txor %edx, %edx\n\twrmsr\n\t"
        "pop %rdx\n\tpop %rcx\n\tpop %rax\n\tiretq\n"
        "apic_timer_handler:\n\t"
        "push %rax\n\tpush %rcx\n\tpush %rdx\n\t"
        "rdtsc\n\tshl $32, %rdx\n\tor %rdx, %rax\n\tmov %rax, woken(%rip)\n\t"
        "mov $0x80b, %ecx\n\txor %eax, %eax\n\txor %edx, %edx\n\twrmsr\n\t"
        "pop %rdx\n\tpop %rcx\n\tpop %rax\n\tiretq\n");

static void set_handler(unsigned vector, void (*handler)(void))
{
    uintptr_t address = (uintptr_t)handler;

    trap_gates[vector].offset_low = (uint16_t)address;
    trap_gates[vector].offset_middle = (uint16_t)(address >> 16);
    trap_gates[vector].offset_high = (uint32_t)(address >> 32);
}

bool apic_start(void)
{
    uint32_t features = cpuid(1, 0).ecx;

    if ((features & FEATURE_X2APIC) == 0 || (features & FEATURE_DEADLINE) == 0) {
        return false;
    }
    set_handler(VECTOR_SELF, apic_self_handler);
    set_handler(VECTOR_TIMER, apic_timer_handler);
    msr_write(MSR_APIC_BASE, msr_read(MSR_APIC_BASE) | BASE_X2APIC);
    msr_write(MSR_SPURIOUS, SPURIOUS_ENABLE | VECTOR_SPURIOUS);
    msr_write(MSR_LVT_TIMER, TIMER_DEADLINE | VECTOR_TIMER);
    return true;
}

// RDTSC overwrites EDX:EAX, which WRMSR takes: the first reading waits in RSI.
static inline uint32_t time_wrmsr(uint32_t number, uint64_t value)
{
    uint32_t ticks;

    __asm__ volatile("rdtsc\n\t"
                     "mov %%eax, %%esi\n\t"
                     "mov %%ebx, %%eax\n\t"
                     "mov %%edi, %%edx\n\t"
                     "wrmsr\n\t"
                     "rdtsc\n\t"
                     "sub %%esi, %%eax"
                     : "=&a"(ticks)
                     : "c"(number), "b"((uint32_t)value), "D"((uint32_t)(value >> 32))
                     : "rdx", "rsi", "memory", "cc");
    return ticks;
}

uint32_t measure_x2apic_eoi(void)
{
    return time_wrmsr(MSR_EOI, 0);
}

uint32_t measure_x2apic_self_ipi(void)
{
    uint32_t ticks;

    __asm__ volatile("sti");
    ticks = time_wrmsr(MSR_SELF_IPI, VECTOR_SELF);
    __asm__ volatile("cli");
    return ticks;
}

uint32_t measure_tsc_deadline(void)
{
    uint32_t ticks = time_wrmsr(MSR_TSC_DEADLINE, tsc_read() + (1ull << 40));

    msr_write(MSR_TSC_DEADLINE, 0);
    return ticks;
}

uint32_t measure_halt_wake(void)
{
    uint64_t deadline = tsc_read() + HALT_TICKS;

    woken = 0;
    msr_write(MSR_TSC_DEADLINE, deadline);
    while (woken == 0) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    return (uint32_t)(woken - deadline);
}
