// SPDX-License-Identifier: MIT
// The local APIC while the processor keeps its registers in the virtual-APIC page: "Virtual-APIC
// Page" and "Virtual-Interrupt Delivery" of the manual. See local_apic.h. Between two runs of the
// guest the page belongs to the processor's own thread; others only leave interrupts in `irr`.
#include "vmm/devices/local_apic.h"

#include "kernel/lib/string.h"

#define PAGE_BYTES 4096u

// A register of the page: 16 bytes apart, 32 bits wide.
static uint32_t *in_page(const struct local_apic *apic, size_t reg)
{
    return &apic->page[reg * 4];
}

// The highest vector of a set of eight registers; 0: none.
static uint32_t highest_in_page(const struct local_apic *apic, uint32_t first)
{
    for (uint32_t i = 8; i-- > 0;) {
        uint32_t word = *in_page(apic, first + i);
        if (word != 0)
            return i * 32 + 31u - (uint32_t)__builtin_clz(word);
    }
    return 0;
}

static void set_in_page(struct local_apic *apic, uint32_t first, const struct vector_set *set)
{
    for (uint32_t i = 0; i < 8; i++)
        *in_page(apic, first + i) = set->word[i];
}

static void set_from_page(struct vector_set *set, const struct local_apic *apic, uint32_t first)
{
    memset(set, 0, sizeof(*set));
    for (uint32_t i = 0; i < 8; i++) {
        set->word[i] = *in_page(apic, first + i);
        set->summary |= (uint32_t)(set->word[i] != 0) << i;
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
    static const uint8_t registers[] = {APIC_ID,  APIC_VERSION,       APIC_LDR,   APIC_SPURIOUS,
                                        APIC_ESR, APIC_INITIAL_COUNT, APIC_DIVIDE};

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
    set_in_page(apic, APIC_IRR, &apic->irr);
    set_in_page(apic, APIC_ISR, &apic->isr);
    set_in_page(apic, APIC_TMR, &apic->tmr);
    memset(&apic->irr, 0, sizeof(apic->irr));
    *in_page(apic, APIC_TPR) = apic->tpr;
    mirror_all(apic);
    apic->attention &= ~APIC_ATTENTION_VECTOR;
}

static void give_up(struct local_apic *apic)
{
    struct vector_set posted = apic->irr;

    set_from_page(&apic->irr, apic, APIC_IRR);
    set_from_page(&apic->isr, apic, APIC_ISR);
    for (uint32_t i = 0; i < 8; i++)
        apic->irr.word[i] |= posted.word[i];
    apic->irr.summary |= posted.summary;
    apic->tpr = *in_page(apic, APIC_TPR);
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

void local_apic_post(struct local_apic *apic)
{
    for (uint32_t left = apic->irr.summary; left != 0; left &= left - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(left);
        *in_page(apic, APIC_IRR + i) |= apic->irr.word[i];
        apic->irr.word[i] = 0;
    }
    apic->irr.summary = 0;
    set_in_page(apic, APIC_TMR, &apic->tmr);
    apic->attention &= ~APIC_ATTENTION_VECTOR;
}

uint32_t local_apic_interrupt_status(const struct local_apic *apic)
{
    return highest_in_page(apic, APIC_IRR) | highest_in_page(apic, APIC_ISR) << 8;
}

bool local_apic_page_requests(const struct local_apic *apic, uint32_t vector)
{
    return (*in_page(apic, APIC_IRR + (vector >> 5 & 7)) >> (vector & 31) & 1) != 0;
}

uint32_t local_apic_page_priority(const struct local_apic *apic)
{
    uint32_t serving = highest_in_page(apic, APIC_ISR) & 0xf0;
    uint32_t task = *in_page(apic, APIC_TPR) & 0xff;

    return (task & 0xf0) >= serving ? task : serving;
}

bool local_apic_deliverable(const struct local_apic *apic)
{
    return (highest_in_page(apic, APIC_IRR) & 0xf0) > (local_apic_page_priority(apic) & 0xf0);
}
