// SPDX-License-Identifier: MIT
// The local APIC while the virtual-APIC page shows its registers: "Virtualizing MSR-Based APIC
// Accesses" and "EOI Virtualization" of the manual. See local_apic.h. Interrupts are injected as
// without the page, so the processor is never asked to deliver one: Bochs does that with RFLAGS.IF
// clear when an interrupt of the host arrives then. Between two runs of the guest the page belongs
// to the processor's own thread; others only leave interrupts in `irr`.
#include "vmm/devices/local_apic.h"

#include "kernel/lib/string.h"

#define PAGE_BYTES 4096u

// A register of the page: 16 bytes apart, 32 bits wide.
static uint32_t *in_page(const struct local_apic *apic, size_t reg)
{
    return &apic->page[reg * 4];
}

static void give_up(struct local_apic *apic)
{
    memset(&apic->isr, 0, sizeof(apic->isr));
    for (uint32_t i = 0; i < 8; i++) {
        apic->isr.word[i] = *in_page(apic, APIC_ISR + i);
        apic->isr.summary |= (uint32_t)(apic->isr.word[i] != 0) << i;
    }
}

// In x2APIC mode the command register is one of 64 bits.
static void mirror_command(struct local_apic *apic)
{
    in_page(apic, APIC_ICR)[0] = apic->icr_low;
    in_page(apic, APIC_ICR)[1] = apic->icr_high;
}

static void mirror_all(struct local_apic *apic)
{
    static const uint8_t registers[] = {
        APIC_ID,       APIC_VERSION, APIC_TPR,           APIC_LDR,
        APIC_SPURIOUS, APIC_ESR,     APIC_INITIAL_COUNT, APIC_DIVIDE,
    };

    for (unsigned i = 0; i < ARRAY_COUNT(registers); i++)
        *in_page(apic, registers[i]) = local_apic_register(apic, registers[i]);
    for (unsigned i = 0; i < LVT_COUNT; i++)
        *in_page(apic, APIC_LVT + i) = apic->lvt[i];
    mirror_command(apic);
}

void local_apic_mirror(struct local_apic *apic, uint32_t reg)
{
    if (reg == APIC_ICR)
        mirror_command(apic);
    else
        mirror_all(apic);
}

static void take_over(struct local_apic *apic)
{
    memset(apic->page, 0, PAGE_BYTES);
    for (uint32_t i = 0; i < 8; i++)
        *in_page(apic, APIC_ISR + i) = apic->isr.word[i];
    mirror_all(apic);
}

void local_apic_choose_mode(struct local_apic *apic)
{
    bool wanted = apic->page && local_apic_is_x2apic(apic);

    if (apic->is_virtual && !wanted)
        give_up(apic);
    else if (wanted && !apic->is_virtual)
        take_over(apic);
    apic->is_virtual = wanted;
    local_apic_update(apic);
}

uint32_t local_apic_page_served(const struct local_apic *apic)
{
    uint32_t any = 0;

    // On the way of every interrupt; mostly none is in service.
#pragma GCC unroll 8
    for (uint32_t i = 0; i < 8; i++)
        any |= *in_page(apic, APIC_ISR + i);
    if (LIKELY(any == 0))
        return 0;
    for (uint32_t i = 8; i-- > 0;) {
        uint32_t word = *in_page(apic, APIC_ISR + i);
        if (word != 0)
            return i * 32 + highest_bit(word);
    }
    return 0;
}

void local_apic_page_serve(struct local_apic *apic, uint32_t vector)
{
    *in_page(apic, APIC_ISR + vector / 32) |= 1u << (vector & 31);
}
