// SPDX-License-Identifier: MIT
// Non-maskable interrupts, sent by the processor to itself: "Nonmaskable Interrupt (NMI)",
// "Handling Multiple NMIs"; and fixed interrupts from the same place.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

#define LOCAL_APIC    0xfee00000ull
#define REGISTER_ID   0x20
#define REGISTER_EOI  0xb0
#define REGISTER_SVR  0xf0
#define REGISTER_ICR  0x300
#define REGISTER_ICR2 0x310
#define APIC_BASE     0x1bu
#define APIC_X2APIC   (1ull << 10)
#define X2APIC_EOI    0x80bu
#define SELF_IPI      0x83fu
#define APIC_ENABLE   (1ull << 11)

#define ICR_NMI   0x4400u
#define ICR_FIXED 0x4000u
#define VECTOR    0x31u
#define LOWER     0x2eu // of a lower class

#define HANDLER_ROUNDS 100u

static volatile unsigned nmis, depth, deepest, fixed;

static volatile uint32_t *apic(unsigned offset)
{
    return (volatile uint32_t *)(uintptr_t)(LOCAL_APIC + offset);
}

static void send_to_self(uint32_t command)
{
    *apic(REGISTER_ICR2) = *apic(REGISTER_ID) & 0xff000000;
    *apic(REGISTER_ICR) = command;
}

static void spend_time(void)
{
    for (volatile unsigned i = 0; i < 1000; i++) {
    }
}

// The second NMI is sent while the first is handled: it must wait for the IRET. And the handlers
// take longer than a slice of the host's: other guests that run then are not blocked by it.
static void take_nmi(struct trap_frame *frame)
{
    (void)frame;
    nmis++;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    if (nmis == 1) {
        send_to_self(ICR_NMI);
    }
    for (unsigned i = 0; i < HANDLER_ROUNDS; i++) {
        spend_time();
    }
    depth--;
}

static void take_fixed(struct trap_frame *frame)
{
    (void)frame;
    fixed++;
    *apic(REGISTER_EOI) = 0;
}

static volatile unsigned lower, lower_at_end;

static void take_lower(struct trap_frame *frame)
{
    (void)frame;
    lower++;
    msr_write(X2APIC_EOI, 0);
}

static void take_higher(struct trap_frame *frame)
{
    (void)frame;
    msr_write(SELF_IPI, LOWER);
    __asm__ volatile("sti; nop; nop; cli");
    lower_at_end = lower;
    msr_write(X2APIC_EOI, 0);
}

// "Interrupt, Task, and Processor Priority".
static void check_priority(void)
{
    trap_set_hook(VECTOR, take_higher);
    trap_set_hook(LOWER, take_lower);
    msr_write(SELF_IPI, VECTOR);
    __asm__ volatile("sti; nop; nop; cli");
    check("lower class waits for the end of a higher", lower_at_end, 0);
    check("lower class after the end of a higher", lower, 1);
    trap_set_hook(VECTOR, 0);
    trap_set_hook(LOWER, 0);
}

// "Self IPI Register": a vector below 16 is an error of the APIC's own, no exception.
static void check_x2apic(void)
{
    if (suite_is_native() || (cpuid(1, 0).ecx >> 21 & 1) == 0) {
        skip("self-IPIs", "in x2APIC mode in a VM only");
        return;
    }
    msr_write(APIC_BASE, msr_read(APIC_BASE) | APIC_ENABLE | APIC_X2APIC);
    check_priority();
    check("self-IPI with an illegal vector",
          TRY("wrmsr",
              :
              : "c"(SELF_IPI), "a"(5), "d"(0)
              : "memory"),
          TRAP_NONE);
}

void subject_nmi(void)
{
    if ((cpuid(1, 0).edx >> 9 & 1) == 0) {
        skip("nmi", "this machine has no local APIC");
        return;
    }
    msr_write(APIC_BASE, msr_read(APIC_BASE) | APIC_ENABLE);
    *apic(REGISTER_SVR) = 0x1ff;
    trap_set_hook(VECTOR_NMI, take_nmi);
    trap_set_hook(VECTOR, take_fixed);
    send_to_self(ICR_NMI);
    spend_time();
    check("nmi with interrupts off", nmis, 2);
    check("nmi waits for iret", deepest, 1);
    nmis = 1; // no more from the handler
    __asm__ volatile("sti");
    send_to_self(ICR_NMI);
    spend_time();
    __asm__ volatile("cli");
    check("nmi with interrupts on", nmis, 2);
    send_to_self(ICR_FIXED | VECTOR);
    spend_time();
    check("fixed interrupt waits for sti", fixed, 0);
    __asm__ volatile("sti; nop; nop; cli");
    check("fixed interrupt after sti", fixed, 1);
    trap_set_hook(VECTOR_NMI, 0);
    trap_set_hook(VECTOR, 0);
    check_x2apic();
}
