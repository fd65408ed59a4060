// SPDX-License-Identifier: MIT
// Injection of exceptions and interrupts through the shared page. See event.h.
#include "vmm/monitor/event.h"

#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"

static void raise_noted(struct machine *machine, uint32_t word, uint32_t error_code)
{
    struct vcpu_page *page = machine->page;
    const struct exception_note note = {
        .rip = page->rip,
        .address = page->cr2,
        .word = word,
        .error_code = error_code,
        .result = EXCEPTION_RAISED,
    };

    exception_note(&machine->exceptions, &note);
    if ((word & 0xff) != VECTOR_DEBUG) { // a fault: the image of RFLAGS on its stack has RF set
        page->rflags |= RFLAGS_RF;
        page->dirty |= VCPU_GROUP_RIP;
    }
    page->event = (struct vcpu_event){.word = word, .error_code = error_code};
}

void event_raise(struct machine *machine, unsigned vector)
{
    raise_noted(machine, VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXCEPTION | vector, 0);
}

void event_raise_error(struct machine *machine, unsigned vector, uint32_t error_code)
{
    raise_noted(machine,
                VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXCEPTION | VCPU_EVENT_ERROR_CODE | vector,
                error_code);
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

enum outcome event_raise_fault(struct machine *machine, const struct emulate_fault *fault)
{
    if (fault->vector == VECTOR_PAGE) {
        machine->page->cr2 = fault->address;
    }
    if (fault->has_error_code) {
        event_raise_error(machine, fault->vector, fault->error_code);
    } else {
        event_raise(machine, fault->vector);
    }
    return OUTCOME_RESUME;
}

void event_raise_step(struct machine *machine)
{
    machine->page->dr6 |= DR6_BS;
    machine->page->dirty |= VCPU_GROUP_DEBUG;
    event_raise(machine, VECTOR_DEBUG);
}

// Whether the processor would take an external interrupt before the next instruction.
static bool can_take_interrupt(const struct vcpu_page *page)
{
    return (page->rflags & RFLAGS_IF) && !(page->event.word & VCPU_EVENT_VALID) &&
           !(page->interruptibility & (VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS));
}

static void inject_interrupt(struct vcpu_page *page, uint32_t vector)
{
    page->event = (struct vcpu_event){
        .word = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXTERNAL | vector,
    };
    page->halted = 0;
}

void event_deliver_interrupt(struct machine *machine)
{
    struct vcpu_page *page = machine->page;

    if (LIKELY(!platform_interrupt_pending(machine->platform))) {
        page->request_window = 0;
        return;
    }
    if (can_take_interrupt(page)) {
        inject_interrupt(page, platform_interrupt_acknowledge(machine->platform));
        page->request_window = platform_interrupt_pending(machine->platform);
    } else {
        page->request_window = 1;
    }
}

// Virtual-NMI blocking begins with an injection and ends with an IRET, which the NMI window tells.
// What looks like it at other times is not this guest's: Bochs 2.7 keeps the blocking of the guest
// before, whose handler a switch of threads interrupted.
static void check_nmi_blocking(struct machine *machine)
{
    struct vcpu_page *page = machine->page;

    if ((page->interruptibility & VCPU_BLOCKED_BY_NMI) == 0) {
        machine->handles_nmi = machine->handles_nmi && (page->event.word & VCPU_EVENT_VALID) != 0;
    } else if (!machine->handles_nmi) {
        page->interruptibility &= ~VCPU_BLOCKED_BY_NMI;
        page->dirty |= VCPU_GROUP_RIP;
    }
}

// A processor handles one NMI and keeps one. While its thread did not run, both may have come.
static void take_nmi(struct machine *machine)
{
    uint32_t *attention = &machine->apic->attention;

    *attention &= *attention & APIC_ATTENTION_NMI2 ? ~APIC_ATTENTION_NMI2 : ~APIC_ATTENTION_NMI;
    machine->handles_nmi = true;
}

static NOINLINE void deliver_nmi(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint32_t blocking = VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_MOV_SS | VCPU_BLOCKED_BY_NMI;

    check_nmi_blocking(machine);
    if (machine->handles_nmi) {
        machine->apic->attention &= ~APIC_ATTENTION_NMI2;
    }
    if ((machine->apic->attention & APIC_ATTENTION_NMI) != 0 &&
        (page->event.word & VCPU_EVENT_VALID) == 0 && (page->interruptibility & blocking) == 0) {
        page->event = (struct vcpu_event){
            .word = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_NMI | VECTOR_NMI,
        };
        take_nmi(machine);
        page->halted = 0;
    }
    page->request_nmi_window =
        machine->handles_nmi || (machine->apic->attention & APIC_ATTENTION_NMI) != 0;
}

// Vectors whose end others have to know of: of level-triggered interrupts the I/O APIC, and of all
// the monitor while an interrupt waits for the end of another.
static bool wants_all_ends(const struct local_apic *apic)
{
    return (apic->attention & APIC_ATTENTION_VECTOR) != 0;
}

static void choose_eoi_exits(const struct local_apic *apic, uint64_t words[4])
{
    for (size_t i = 0; i < 4; i++) {
        words[i] = apic->all_ends
                       ? UINT64_MAX
                       : apic->tmr.word[2 * i] | (uint64_t)apic->tmr.word[2 * i + 1] << 32;
    }
}

NOINLINE void event_load_apic(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    struct local_apic *apic = machine->apic;

    if (!apic->page) {
        return;
    }
    apic->all_ends = wants_all_ends(apic);
    apic->tmr_changed = false;
    page->apic_mode = apic->is_virtual ? VCPU_APIC_VIRTUAL : VCPU_APIC_MONITOR;
    page->interrupt_status = apic->is_virtual ? local_apic_page_served(apic) << 8 : 0;
    choose_eoi_exits(apic, page->eoi_exit);
    page->valid |= VCPU_GROUP_APIC;
    page->dirty |= VCPU_GROUP_APIC;
}

// The PIC's interrupt, which passes the local APIC, comes first.
static NOINLINE void deliver_of_pic(struct machine *machine)
{
    struct platform *platform = machine->platform;

    if (can_take_interrupt(machine->page)) {
        inject_interrupt(machine->page, platform_interrupt_acknowledge(platform));
    }
    machine->page->request_window =
        (pic_pending(&platform->pic) && local_apic_passes_pic(machine->apic)) ||
        local_apic_next(machine->apic) != 0;
}

// Where one can be taken, nothing is left that could be taken after it: it was the highest.
static inline void deliver_of_local(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    struct local_apic *apic = machine->apic;
    uint32_t vector = local_apic_next(apic);
    bool can = can_take_interrupt(page);

    page->request_window = vector != 0 && !can;
    if (vector != 0 && can) {
        platform_processor_take(machine->platform, apic, vector);
        inject_interrupt(page, vector);
        page->interrupt_status = vector << 8;
        page->dirty |= apic->is_virtual ? (uint32_t)VCPU_GROUP_SERVED : 0;
    }
}

void event_deliver_to_processor(struct machine *machine)
{
    const struct vcpu_page *page = machine->page;
    struct local_apic *apic = machine->apic;

    if (machine->waiting) {
        return;
    }
    if (UNLIKELY(((apic->attention & APIC_ATTENTION_NMI) | (uint32_t)machine->handles_nmi |
                  page->request_nmi_window | (page->interruptibility & VCPU_BLOCKED_BY_NMI)) !=
                 0)) {
        deliver_nmi(machine);
    }
    if (UNLIKELY(pic_pending(&machine->platform->pic)) && local_apic_passes_pic(apic)) {
        deliver_of_pic(machine);
    } else {
        deliver_of_local(machine);
    }
    if (UNLIKELY(apic->is_virtual &&
                 (apic->all_ends != wants_all_ends(apic) || apic->tmr_changed))) {
        event_load_apic(machine);
    }
}

#define GROUPS_OF_INIT                                                                             \
    (VCPU_GROUP_RIP | VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES |               \
     VCPU_GROUP_DEBUG)

// "Processor State After Reset": an INIT leaves most MSRs, the FPU and the TSC as they are.
static void take_init(struct machine *machine)
{
    const struct vcpu_page *reset = machine->reset;
    struct vcpu_page *page = machine->page;

    memcpy(page->gpr, reset->gpr, sizeof(page->gpr));
    page->cr2 = reset->cr2;
    page->rip = reset->rip;
    page->rflags = reset->rflags;
    page->interruptibility = reset->interruptibility;
    page->cr0 = reset->cr0;
    page->cr3 = reset->cr3;
    page->cr4 = reset->cr4;
    page->efer = reset->efer;
    memcpy(page->segment, reset->segment, sizeof(page->segment));
    page->gdtr = reset->gdtr;
    page->idtr = reset->idtr;
    memcpy(page->dr, reset->dr, sizeof(page->dr));
    page->dr6 = reset->dr6;
    page->dr7 = reset->dr7;
    page->valid |= GROUPS_OF_INIT;
    page->dirty |= GROUPS_OF_INIT;
    page->event.word = 0;
    page->request_window = page->request_nmi_window = 0;
    page->halted = 1;
    machine->trap_due = false;
    machine->handles_nmi = false;
    machine->waiting = true;
}

void event_take_start_up(struct machine *machine)
{
    struct local_apic *apic = machine->apic;
    struct vcpu_page *page = machine->page;
    struct vcpu_segment *code = &page->segment[SEGMENT_CS];
    uint32_t attention = apic->attention;

    if (attention & APIC_ATTENTION_INIT) {
        local_apic_init_signal(apic);
        local_apic_choose_mode(apic);
        event_load_apic(machine);
        take_init(machine);
    }
    apic->attention &= ~(APIC_ATTENTION_INIT | APIC_ATTENTION_SIPI);
    if ((attention & APIC_ATTENTION_SIPI) && machine->waiting) {
        code->selector = (uint16_t)(apic->startup_page << 8);
        code->base = (uint64_t)apic->startup_page << 12;
        page->rip = 0;
        page->dirty |= VCPU_GROUP_RIP | VCPU_GROUP_SEGMENTS;
        page->halted = 0;
        machine->waiting = false;
    }
}
