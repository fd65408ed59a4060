// SPDX-License-Identifier: MIT
// Exceptions that were intercepted to be seen: the guest gets each as if nobody had looked, also
// where it came up while another event was delivered. Rules: "Saving VM-Exit Information",
// "Exception Handling in a VMM" and the table "Conditions for Generating a Double Fault".
#include "kernel/lib/processor.h"
#include "vmm/monitor/handlers.h"

#include "vmm/monitor/event.h"

#define DR6_DEBUG_BITS 0x1600full // B0 to B3, BD, BS, and that of transactional regions

// The bits of a debug exception are in the exit qualification, and not yet in DR6 and DR7.
static void note_debug_exception(struct vcpu_page *page)
{
    uint64_t bits = page->exit.exception.address & DR6_DEBUG_BITS;

    page->dr6 = (page->dr6 & ~DR6_BREAKPOINTS) | (bits & ~DR6_RTM);
    if (bits & DR6_RTM) {
        page->dr6 &= ~DR6_RTM;
    }
    if (bits & DR6_BD) {
        page->dr7 &= ~DR7_GD;
    }
    page->dirty |= VCPU_GROUP_DEBUG;
}

static void give_back(struct vcpu_page *page)
{
    const struct vm_exit *exit = &page->exit;

    page->event = (struct vcpu_event){
        .word = exit->exception.word,
        .error_code = exit->exception.word & VCPU_EVENT_ERROR_CODE ? exit->exception.error_code : 0,
        .instruction_length = exit->instruction_length,
    };
}

// An NMI whose delivery ended in an exception blocks others all the same.
static void keep_nmi_blocking(struct vcpu_page *page, uint32_t during)
{
    if ((during & VCPU_EVENT_VALID) && (during & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_NMI) {
        page->interruptibility |= VCPU_BLOCKED_BY_NMI;
        page->dirty |= VCPU_GROUP_RIP;
    }
}

static enum exception_result note(struct machine *machine)
{
    const struct vcpu_page *page = machine->page;
    const struct exception_note note = {
        .rip = page->rip,
        .address = page->exit.exception.address,
        .word = page->exit.exception.word,
        .error_code = page->exit.exception.error_code,
        .during = page->event.word,
        .result = exception_compose(page->event.word, page->exit.exception.word),
    };

    exception_note(&machine->exceptions, &note);
    return note.result;
}

static void send_on(struct vcpu_page *page, enum exception_result result)
{
    if (result == EXCEPTION_DOUBLE_FAULT) {
        page->event = (struct vcpu_event){
            .word = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR_CODE |
                    VECTOR_DOUBLE_FAULT,
        };
    } else {
        keep_nmi_blocking(page, page->event.word);
        give_back(page);
    }
}

// An event whose delivery was interrupted is in the page. A fault of its delivery comes instead of
// it, or the two make a double fault; two faults of which the first is one end in a shutdown.
enum outcome handle_exception(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint32_t vector = page->exit.exception.word & 0xff;
    enum exception_result result;

    if (vector == VECTOR_DEBUG && !machine_has(machine, VCPU_GROUP_DEBUG)) {
        return OUTCOME_FETCH;
    }
    result = note(machine);
    if (result == EXCEPTION_SHUTDOWN) {
        return handle_triple_fault(machine);
    }
    if (vector == VECTOR_PAGE) {
        page->cr2 = page->exit.exception.address;
    } else if (vector == VECTOR_DEBUG) {
        note_debug_exception(page);
    }
    send_on(page, result);
    return OUTCOME_RESUME;
}
