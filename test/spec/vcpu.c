// SPDX-License-Identifier: MIT
// Entries of a vCPU (vcpu.h).
#include "test/spec/vcpu.h"

#define TYPE(word)    ((word) >> 8 & 7)
#define TYPE_NMI      2u
#define TYPE_SOFTWARE 4u // and above: they come from an instruction

static bool canonical(uint64_t address)
{
    return address >> 47 == 0 || address >> 47 == 0x1ffff;
}

// "Information for VM Exits That Occur During Event Delivery": the event is to be delivered again.
static struct spec_event again(const struct spec_event *reported)
{
    struct spec_event event = {0};

    if ((reported->word & SPEC_EVENT_VALID) != 0) {
        event.word = reported->word & ~(1u << 12);
        event.error_code = (reported->word & SPEC_EVENT_ERROR) != 0 ? reported->error_code : 0;
        event.length = TYPE(reported->word) >= TYPE_SOFTWARE ? reported->length : 0;
    }
    return event;
}

bool vcpu_advances_spec(const struct spec_vcpu *now, const struct spec_answer *answer)
{
    return !answer->refused && answer->length != 0 && (now->interruptibility & SPEC_SHADOW) == 0 &&
           (now->rflags & (SPEC_TRAP_FLAG | SPEC_RESUME_FLAG)) == 0;
}

enum spec_rule vcpu_enter_spec(const struct spec_vcpu *now, uint64_t dr6, uint64_t dr7,
                               uint64_t lstar, bool late, const struct spec_answer *answer,
                               struct spec_vcpu *next, struct spec_entry *entry)
{
    if (!canonical(lstar)) {
        return ENTER_MSRS;
    }
    if (dr6 > UINT32_MAX || dr7 > UINT32_MAX) {
        return ENTER_DEBUG;
    }
    if (late) {
        return ENTER_DEADLINE;
    }
    entry->injected = now->pending;
    entry->windows = (now->window ? SPEC_WINDOW : 0) | (now->nmi_window ? SPEC_NMI_WINDOW : 0);
    entry->exceptions = now->exceptions | SPEC_MACHINE_CHECK;
    if (answer->refused) {
        return ENTER_HARDWARE;
    }
    if (next != now) {
        *next = *now;
    }
    next->single_step = false; // delivered
    next->pending = again(&answer->interrupted);
    if (next->pending.word != 0 && TYPE(next->pending.word) == TYPE_NMI) {
        next->interruptibility &= ~SPEC_NMI_BLOCKED;
    }
    next->rip += vcpu_advances_spec(next, answer) ? answer->length : 0;
    return SPEC_ALLOWED;
}

void vcpu_skip_spec(const struct spec_vcpu *now, uint32_t length, struct spec_vcpu *next)
{
    if (next != now) {
        *next = *now;
    }
    next->rip += length;
    next->interruptibility &= ~SPEC_SHADOW;
    next->single_step |= (next->rflags & SPEC_TRAP_FLAG) != 0;
}
