// SPDX-License-Identifier: MIT
// Injection of exceptions and interrupts through the shared page. See event.h.
#include "vmm/monitor/event.h"

#define DR6_SINGLE_STEP (1ull << 14)

void event_raise(struct machine *machine, unsigned vector)
{
    machine->page->event = (struct vcpu_event){
        .word = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXCEPTION | vector,
    };
}

void event_raise_error(struct machine *machine, unsigned vector, uint32_t error_code)
{
    event_raise(machine, vector);
    machine->page->event.word |= VCPU_EVENT_ERROR_CODE;
    machine->page->event.error_code = error_code;
}

enum outcome event_protection(struct machine *machine)
{
    event_raise_error(machine, VECTOR_PROTECTION, 0);
    return OUTCOME_RESUME;
}

enum outcome event_undefined(struct machine *machine)
{
    event_raise(machine, VECTOR_UNDEFINED);
    return OUTCOME_RESUME;
}

void event_raise_step(struct machine *machine)
{
    machine->page->dr6 |= DR6_SINGLE_STEP;
    machine->page->dirty |= VCPU_GROUP_DEBUG;
    event_raise(machine, VECTOR_DEBUG);
}

// Whether the processor would take an external interrupt before the next instruction.
static bool can_take_interrupt(const struct vcpu_page *page)
{
    return (page->rflags & RFLAGS_IF) && !(page->event.word & VCPU_EVENT_VALID) &&
           !(page->interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
}

void event_deliver_interrupt(struct machine *machine)
{
    struct vcpu_page *page = machine->page;

    if (LIKELY(!platform_interrupt_pending(machine->platform))) {
        page->request_window = 0;
        return;
    }
    if (can_take_interrupt(page)) {
        unsigned vector = platform_interrupt_acknowledge(machine->platform);

        page->event = (struct vcpu_event){
            .word = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXTERNAL | vector,
        };
        page->halted = 0;
        page->request_window = platform_interrupt_pending(machine->platform);
    } else {
        page->request_window = 1;
    }
}
