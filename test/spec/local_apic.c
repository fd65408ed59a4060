// SPDX-License-Identifier: MIT
// The local APIC (local_apic.h).
#include "test/spec/local_apic.h"

#define ENABLE      (1u << 8)  // of the spurious-interrupt vector register
#define MASKED      (1u << 16) // of an entry of the local vector table
#define BY_TSC      (2u << 17)
#define NMI         (4u << 8)
#define ASSERT      (1u << 14) // of a command
#define BASE_ENABLE (1ull << 11)
#define BASE_X2APIC (1ull << 10)
#define DIVIDE_BY_1 0xbu

static void begin(const struct spec_apic *now, struct spec_apic *next)
{
    if (next != now) {
        *next = *now;
    }
}

static void enable(struct spec_apic *apic)
{
    apic->base |= BASE_ENABLE | (apic->x2apic ? BASE_X2APIC : 0);
    apic->task_priority = 0;
    apic->timer = MASKED | apic->timer_vector;
    apic->lint0 = MASKED;
    apic->lint1 = NMI;
    apic->error = MASKED;
    apic->spurious = ENABLE | apic->spurious_vector;
    apic->divide = DIVIDE_BY_1;
    apic->ends++; // whatever firmware left in service
}

static void start_timer(struct spec_apic *apic)
{
    if (apic->deadline) {
        apic->timer = BY_TSC | apic->timer_vector;
    } else {
        apic->initial = 0;
        apic->timer = apic->timer_vector;
    }
}

enum spec_rule apic_initialize_spec(const struct spec_apic *now, bool offered, uint8_t spurious,
                                    uint8_t timer, bool mapped, struct spec_apic *next)
{
    bool x2apic = offered || (now->base & BASE_X2APIC) != 0; // firmware's choice stays

    if (!x2apic && !mapped) {
        return APIC_MAPPED;
    }
    begin(now, next);
    next->x2apic = x2apic;
    next->spurious_vector = spurious;
    next->timer_vector = timer;
    enable(next);
    return SPEC_ALLOWED;
}

void apic_start_spec(const struct spec_apic *now, struct spec_apic *next)
{
    begin(now, next);
    enable(next);
    start_timer(next);
}

void apic_end_of_interrupt_spec(const struct spec_apic *now, struct spec_apic *next)
{
    begin(now, next);
    next->ends++;
}

void apic_send_spec(const struct spec_apic *now, uint32_t receiver, uint32_t kind, uint32_t vector,
                    struct spec_apic *next)
{
    begin(now, next);
    next->command = (uint64_t)(now->x2apic ? receiver : receiver % 256) << 32 | ASSERT |
                    (uint64_t)kind << 8 | vector;
    next->commands++;
}

void apic_calibrated_spec(const struct spec_apic *now, bool has_deadline, uint64_t tsc_hz,
                          uint64_t timer_hz, struct spec_apic *next)
{
    begin(now, next);
    next->calibrated = true;
    next->deadline = has_deadline;
    next->ticks_per_tsc = (timer_hz << 32) / tsc_hz;
    start_timer(next);
}

void apic_timer_spec(const struct spec_apic *now, uint64_t when, uint64_t tsc,
                     struct spec_apic *next)
{
    unsigned __int128 left = when > tsc ? when - tsc : 0;
    unsigned __int128 ticks = (left * now->ticks_per_tsc >> 32) + 1;

    begin(now, next);
    if (now->deadline) {
        next->tsc_deadline = when == SPEC_APIC_NEVER ? 0 : when | 1; // 0 is never, too
    } else if (when == SPEC_APIC_NEVER) {
        next->initial = 0;
    } else {
        next->initial = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
    }
}

void apic_count_spec(const struct spec_apic *now, struct spec_apic *next)
{
    begin(now, next);
    next->timer = MASKED | now->timer_vector;
    next->initial = UINT32_MAX;
}
