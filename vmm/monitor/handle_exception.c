// SPDX-License-Identifier: MIT
// Exceptions that were intercepted to be seen: the guest gets each as if nobody had looked, also
// where it came up while another event was delivered. Rules: "Saving VM-Exit Information",
// "Exception Handling in a VMM" and the table "Conditions for Generating a Double Fault".
#include "vmm/monitor/handlers.h"

#include "vmm/monitor/event.h"

#define DR6_BREAKPOINTS 0xfull
#define DR6_DEBUG_BITS  0x1600full // B0 to B3, BD, BS, and that of transactional regions
#define DR6_NOT_RTM     (1ull << 16)
#define DR6_DETECT      (1ull << 13)
#define DR7_DETECT      (1ull << 13)

enum event_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum event_class classify(uint32_t word)
{
    uint32_t vector = word & 0xff;

    if ((word & VCPU_EVENT_VALID) == 0 || (word & VCPU_EVENT_TYPE_MASK) != VCPU_EVENT_EXCEPTION) {
        return CLASS_BENIGN;
    }
    if (vector == VECTOR_PAGE) {
        return CLASS_PAGE_FAULT;
    }
    if (vector == VECTOR_DOUBLE_FAULT) {
        return CLASS_DOUBLE_FAULT;
    }
    return vector == 0 || (vector >= VECTOR_TASK && vector <= VECTOR_PROTECTION)
               ? CLASS_CONTRIBUTORY
               : CLASS_BENIGN;
}

// The bits of a debug exception are in the exit qualification, and not yet in DR6 and DR7.
static void note_debug_exception(struct vcpu_page *page)
{
    uint64_t bits = page->exit.exception.address & DR6_DEBUG_BITS;

    page->dr6 = (page->dr6 & ~DR6_BREAKPOINTS) | (bits & ~DR6_NOT_RTM);
    if (bits & DR6_NOT_RTM) {
        page->dr6 &= ~DR6_NOT_RTM;
    }
    if (bits & DR6_DETECT) {
        page->dr7 &= ~DR7_DETECT;
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

// An event whose delivery was interrupted is in the page. A fault of its delivery comes instead of
// it, or the two make a double fault; two faults of which the first is one end in a shutdown.
enum outcome handle_exception(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint32_t vector = page->exit.exception.word & 0xff;
    enum event_class first = classify(page->event.word);
    enum event_class second = classify(page->exit.exception.word);

    if (vector == VECTOR_DEBUG && !machine_has(machine, VCPU_GROUP_DEBUG)) {
        return OUTCOME_FETCH;
    }
    if (first == CLASS_DOUBLE_FAULT && second != CLASS_BENIGN) {
        return handle_triple_fault(machine);
    }
    if (vector == VECTOR_PAGE) {
        page->cr2 = page->exit.exception.address;
    } else if (vector == VECTOR_DEBUG) {
        note_debug_exception(page);
    }
    if ((first == CLASS_CONTRIBUTORY && second == CLASS_CONTRIBUTORY) ||
        (first == CLASS_PAGE_FAULT && second != CLASS_BENIGN)) {
        event_raise_error(machine, VECTOR_DOUBLE_FAULT, 0);
    } else {
        give_back(page);
    }
    return OUTCOME_RESUME;
}
