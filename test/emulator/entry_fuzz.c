// SPDX-License-Identifier: MIT
// The entry checker (vmm/monitor/entry_check.h) against the processor, in a kernel image of its
// own: valid VMCS states get one to three fields broken at random, are checked, and are entered.
// The two must agree on every one, but for what the table of deviations names. The guest has no
// memory, so an entry that succeeds exits at once. Runs in place of kernel_selftest.c, one thread.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/host_interrupt.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/selftest.h"
#include "kernel/lib/string.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/objects.h"
#include "vmm/monitor/entry_check_state.h"

#define STATES       3000u
#define STATES_LONG  21000u
#define RFLAGS_VM    (1ull << 17)
#define NO_REASON    0x7fffffffu
#define TIMER_COUNT  1000u
#define TEXT_BYTES   4096u
#define REPORTED_MAX 20u

// Rules of the manual that Bochs 2.7 does not check. `section` and `rule` are in the checker's
// line. `ignored`: the rule is broken by bits of these only; 0: whatever breaks it.
struct deviation {
    const char *section;
    const char *rule;
    const char *bochs;
    uint64_t ignored;
    uint32_t met; // states that Bochs enters although this is broken, and nothing else
};

static struct deviation deviations[] = {
    {"Checks on Guest RIP, RFLAGS, and SSP: guest RIP", "must be canonical",
     "enters, and the first fetch raises #GP", 0, 0},
    {"Checks on Guest Non-Register State: guest interruptibility",
     "no NMI can be injected under blocking by NMI", "injects the NMI", 0, 0},
    {"Checks on Guest Control Registers, Debug Registers, and MSRs: guest IA32_DEBUGCTL",
     "reserved", "checks none of its bits", 0, 0},
    {"Checks on Guest Non-Register State: guest pending debug exceptions", "reserved",
     "checks bits 31:0 only", 0xffffffff00000000, 0},
    {"Checks on Guest Segment Registers: guest CS access rights", "that of SS",
     "compares its DPL with the RPL of CS instead", 0, 0},
};

struct virtual_machine {
    struct page_table nested;
    struct virt_vm vm;
    struct virt_vcpu vcpu;
    struct virt_page vm_pages[VIRT_VM_PAGES];
    struct virt_page pages[VIRT_VCPU_PAGES];
};

static struct virtual_machine machine;
static struct vcpu_field fields[VCPU_FIELD_MAXIMUM];
static struct vcpu_field base[VCPU_FIELD_MAXIMUM]; // the valid state that is being broken
static size_t field_count;
static char text[TEXT_BYTES];
static uint64_t random_state;
static uint32_t valid, refused, skipped, wrong;

static uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint32_t random_below(uint32_t limit)
{
    return (uint32_t)((random_next() >> 32) * limit >> 32);
}

// -- the virtual machine ----------------------------------------------------------------------

static struct virt_page make_page(void)
{
    void *address = memory_allocate_object(CONTAINER_ROOT);

    ASSERT(address != NULL);
    return (struct virt_page){address, memory_address(address)};
}

static void make_machine(void)
{
    struct page_source source = memory_page_source(CONTAINER_ROOT);
    struct vcpu_page *page = memory_allocate_object(CONTAINER_ROOT);

    ASSERT(virt_backend != NULL);
    for (unsigned i = 0; i < VIRT_VM_PAGES; i++) {
        machine.vm_pages[i] = make_page();
    }
    for (unsigned i = 0; i < VIRT_VCPU_PAGES; i++) {
        machine.pages[i] = make_page();
    }
    ASSERT(page_table_create(&machine.nested, virt_backend->nested_format,
                             virt_backend->nested_largest(), DIRECT_MAP_BASE, 1ull << 36,
                             &source) == STATUS_OK);
    virt_backend->vm_init(&machine.vm, machine.vm_pages, &machine.nested);
    ASSERT(virt_backend->vcpu_init(&machine.vcpu, &machine.vm, page, machine.pages) == STATUS_OK);
}

// The first state is that after a reset; the others are protected mode and IA-32e mode.
static void set_segments(struct vcpu_page *page, uint32_t code_rights)
{
    for (unsigned i = 0; i < 6; i++) {
        page->segment[i] =
            (struct vcpu_segment){.limit = 0xffffffff, .access_rights = 0xc093, .selector = 0x10};
    }
    page->segment[SEGMENT_CS].access_rights = code_rights;
    page->segment[SEGMENT_CS].selector = 8;
    page->segment[SEGMENT_TR] =
        (struct vcpu_segment){.limit = 0x67, .access_rights = 0x8b, .selector = 0x18};
    page->segment[SEGMENT_LDTR] =
        (struct vcpu_segment){.limit = 0xffff, .access_rights = 0x82, .selector = 0x20};
}

static void choose_base(unsigned which)
{
    struct vcpu_page *page = machine.vcpu.page;

    page->rip = 0x1000;
    page->rflags = which == 2 ? 0x202 : 2;
    page->interruptibility = 0;
    page->cr0 = which == 0 ? 0x30 : 0x80000031;
    page->cr4 = which == 2 ? 0x20 : 0;
    page->cr3 = 0x1000;
    page->efer = which == 2 ? 0x500 : 0;
    set_segments(page, which == 2 ? 0xa09b : 0xc09b);
    page->dirty = VCPU_GROUP_ALL;
    (void)virt_backend->vcpu_enter(&machine.vcpu, tsc_read() + 1000000);
}

// -- fields -----------------------------------------------------------------------------------

static bool is_capability(uint32_t encoding)
{
    return encoding > 0xffff;
}

static bool is_writable(uint32_t encoding)
{
    return !is_capability(encoding) && (encoding & VMCS_TYPE_MASK) != VMCS_TYPE_READ_ONLY;
}

static bool is_host(uint32_t encoding)
{
    return !is_capability(encoding) && (encoding & VMCS_TYPE_MASK) == 0x0c00;
}

// As the dump, but with the event that is in the VMCS.
static void read_fields(void)
{
    field_count = vmx_vcpu_dump(&machine.vcpu, fields, VCPU_FIELD_MAXIMUM);
    for (size_t i = 0; i < field_count; i++) {
        uint32_t encoding = fields[i].encoding;

        if (encoding >= VMCS_ENTRY_INTERRUPTION && encoding <= VMCS_ENTRY_INSTRUCTION_LENGTH) {
            fields[i].value = vmcs_read_raw(encoding);
        }
    }
}

// Fields whose meaning is in memory that a random address does not have, and the timer that ends a
// run.
static bool is_left_alone(uint32_t encoding)
{
    return encoding == VMCS_EXIT_MSR_STORE_COUNT || encoding == VMCS_EXIT_MSR_LOAD_COUNT ||
           encoding == VMCS_ENTRY_MSR_LOAD_COUNT || encoding == VMCS_PREEMPTION_TIMER ||
           encoding == VMCS_HOST_RSP;
}

static void restore_base(void)
{
    for (size_t i = 0; i < field_count; i++) {
        if (is_writable(base[i].encoding) && !is_left_alone(base[i].encoding)) {
            vmcs_write_raw(base[i].encoding, base[i].value);
        }
    }
}

static uint64_t value_of(const struct vcpu_field *from, uint32_t encoding)
{
    for (size_t i = 0; i < field_count; i++) {
        if (from[i].encoding == encoding) {
            return from[i].value;
        }
    }
    return 0;
}

static uint64_t width_mask(uint32_t encoding)
{
    static const uint64_t masks[] = {0xffff, UINT64_MAX, UINT32_MAX, UINT64_MAX};

    return masks[encoding >> 13 & 3];
}

// An address of something in memory stays in its page, or leaves physical memory.
static bool is_address(uint32_t encoding)
{
    return (encoding >= VMCS_IO_BITMAP_A && encoding <= VMCS_EPT_POINTER &&
            encoding != VMCS_TSC_OFFSET && encoding != VMCS_VM_FUNCTION_CONTROLS);
}

static uint64_t broken_value(uint32_t encoding, uint64_t value)
{
    uint64_t random = random_next();

    if (is_address(encoding)) {
        return value ^ (1ull << (random & 1 ? random_below(12) : 40 + random_below(24)));
    }
    switch (random_below(5)) {
    case 0:
        return random;
    case 1:
        return value ^ 1ull << random_below(64) ^ 1ull << random_below(64);
    case 2:
        return random >> random_below(64);
    default:
        return value ^ 1ull << (random_below(3) ? random_below(20) : random_below(64));
    }
}

static void break_event(void)
{
    static const uint8_t types[] = {0, 1, 2, 3, 3, 4, 5, 6};
    uint32_t type = types[random_below(sizeof(types))]; // 7 ends Bochs; the kernel refuses it
    uint32_t vector = type == 2 && random_below(4) ? 2 : random_below(40);
    uint32_t word = VCPU_EVENT_VALID | type << 8 | vector;

    word |= random_below(3) == 0 ? VCPU_EVENT_ERROR_CODE : 0;
    word |= random_below(8) == 0 ? 1u << (12 + random_below(19)) : 0;
    vmcs_write_32(VMCS_ENTRY_INTERRUPTION, word);
    vmcs_write_32(VMCS_ENTRY_INSTRUCTION_LENGTH, random_below(18));
    if (random_below(2)) {
        vmcs_write_natural(VMCS_GUEST_RFLAGS, vmcs_read_natural(VMCS_GUEST_RFLAGS) ^ 0x200);
    }
    if (random_below(3) == 0) {
        vmcs_write_32(VMCS_GUEST_INTERRUPTIBILITY, 1u << random_below(4));
    }
}

static void break_field(void)
{
    uint32_t encoding;

    do {
        encoding = base[random_below((uint32_t)field_count)].encoding;
    } while (!is_writable(encoding) || is_left_alone(encoding) ||
             (encoding >= VMCS_ENTRY_INTERRUPTION && encoding <= VMCS_ENTRY_INSTRUCTION_LENGTH));
    vmcs_write_raw(encoding,
                   broken_value(encoding, vmcs_read_raw(encoding)) & width_mask(encoding));
}

static void break_state(void)
{
    for (uint32_t left = 1 + random_below(3); left > 0; left--) {
        if (random_below(12) == 0) {
            break_event();
        } else {
            break_field();
        }
    }
}

// -- entering ---------------------------------------------------------------------------------

static bool host_is_changed(void)
{
    uint64_t exit = value_of(fields, VMCS_EXIT_CONTROLS) ^ value_of(base, VMCS_EXIT_CONTROLS);

    for (size_t i = 0; i < field_count; i++) {
        if ((is_host(fields[i].encoding) || fields[i].encoding == VMCS_EXIT_MSR_LOAD) &&
            !is_left_alone(fields[i].encoding) && fields[i].value != base[i].value) {
            return true;
        }
    }
    return (exit & ~(uint64_t)EXIT_SAVE_DEBUG) != 0;
}

static bool is_unchanged(uint32_t encoding)
{
    return value_of(fields, encoding) == value_of(base, encoding);
}

// Whether this state, if it is valid, comes back: with the host as it was, under EPT, by the timer
// at the latest, and without what refers to memory that is not there.
static bool comes_back(void)
{
    uint64_t pin = value_of(fields, VMCS_PIN_CONTROLS);
    uint64_t primary = value_of(fields, VMCS_PRIMARY_CONTROLS);
    uint64_t changed =
        value_of(fields, VMCS_SECONDARY_CONTROLS) ^ value_of(base, VMCS_SECONDARY_CONTROLS);
    uint64_t harmless = 1u << 2 | 1u << 3 | 1u << 6 | 1u << 7 | 1u << 10 | 1u << 11 | 1u << 12;

    return (pin & 0x49) == 0x49 && (primary & 1u << 31) != 0 &&
           ((primary ^ value_of(base, VMCS_PRIMARY_CONTROLS)) & CONTROL_TPR_SHADOW) == 0 &&
           is_unchanged(VMCS_TPR_THRESHOLD) && is_unchanged(VMCS_VIRTUAL_APIC_ADDRESS) &&
           is_unchanged(VMCS_APIC_ACCESS_ADDRESS) && (changed & ~harmless) == 0 &&
           value_of(fields, VMCS_GUEST_ACTIVITY) == 0 &&
           value_of(fields, VMCS_LINK_POINTER) == UINT64_MAX && is_unchanged(VMCS_EPT_POINTER);
}

// Bochs 2.7 does not check that "IA-32e mode guest" needs CR0.PG, and ends when CR0.PE is 0 then.
// The kernel never asks for it: it makes EFER.LMA from CR0.PG.
static bool ends_bochs(void)
{
    return (value_of(fields, VMCS_ENTRY_CONTROLS) & CONTROL_ENTRY_IA32E) != 0 &&
           (value_of(fields, VMCS_GUEST_CR0) & CR0_PG) == 0;
}

// True when the processor enters.
static bool enter(void)
{
    struct vmx_vcpu *vmx = vmx_of(&machine.vcpu);
    struct vcpu_page *page = machine.vcpu.page;
    uint32_t outcome;

    page->event.word = 0;
    page->exit.kind = EXIT_NONE;
    vmx->event.word = 0;
    vmx->valid = 0;
    vmx->entered = tsc_read();
    machine.vcpu.reason = NO_REASON;
    vmcs_write_raw(VMCS_PREEMPTION_TIMER, TIMER_COUNT);
    outcome = (uint32_t)vmx_guest_enter(&vmx->frame);
    if (outcome == VIRT_INTERRUPT) {
        host_interrupt(machine.vcpu.vector);
    } else if (outcome == VIRT_NMI) {
        host_nmi();
    }
    return machine.vcpu.reason != NO_REASON && (machine.vcpu.reason >> 31) == 0;
}

// -- comparing --------------------------------------------------------------------------------

static bool holds(const char *line, size_t length, const char *part)
{
    size_t size = strlen(part);

    for (size_t i = 0; i + size <= length; i++) {
        if (memcmp(line + i, part, size) == 0) {
            return true;
        }
    }
    return false;
}

// The hexadecimal number at the end of a line.
static uint64_t last_number(const char *line, size_t length)
{
    uint64_t value = 0;
    size_t i = length;

    while (i > 0 && line[i - 1] != 'x') {
        i--;
    }
    for (; i < length; i++) {
        value = value << 4 | (uint64_t)(line[i] <= '9' ? line[i] - '0' : line[i] - 'a' + 10);
    }
    return value;
}

static struct deviation *deviation_of(const char *line, size_t length)
{
    for (size_t i = 0; i < ARRAY_COUNT(deviations); i++) {
        struct deviation *deviation = &deviations[i];

        if (holds(line, length, deviation->section) && holds(line, length, deviation->rule) &&
            (deviation->ignored == 0 || (last_number(line, length) & ~deviation->ignored) == 0)) {
            return deviation;
        }
    }
    return NULL;
}

// The other way round: the manual allows it, Bochs 2.7 refuses.
struct extra {
    const char *rule;
    bool (*refuses)(void);
    uint32_t met;
};

// CS.DPL is held against the RPL of CS, not against SS.DPL: equal without conforming, else not
// above.
static bool code_privilege_differs(void)
{
    uint64_t rights = value_of(fields, VMCS_GUEST_CS_RIGHTS);
    uint64_t rpl = value_of(fields, VMCS_GUEST_CS_SELECTOR) & 3;
    uint64_t dpl = rights >> 5 & 3;
    bool virtual_8086 = (value_of(fields, VMCS_GUEST_RFLAGS) & RFLAGS_VM) != 0;

    return !virtual_8086 &&
           (((rights & 13) == 9 && dpl != rpl) || ((rights & 13) == 13 && dpl > rpl));
}

// A rule that is checked before the guest's state: when it is broken, the instruction fails and the
// host's state is not loaded.
static bool is_early(const char *line, size_t length)
{
    return holds(line, length, "Control Fields:") || holds(line, length, "Checks on Host") ||
           holds(line, length, "Address-Space Size:");
}

// Broken rules that this processor holds to, and of those the early ones. *only: the deviation that
// is alone broken, or null.
static size_t count_binding(struct deviation **only, size_t *early)
{
    size_t binding = 0;

    *early = 0;

    *only = NULL;
    for (const char *line = text; *line != 0;) {
        const char *end = line;
        struct deviation *deviation;

        while (*end != '\n') {
            end++;
        }
        deviation = deviation_of(line, (size_t)(end - line));
        binding += deviation == NULL;
        *early += deviation == NULL && is_early(line, (size_t)(end - line));
        *only = deviation != NULL ? deviation : *only;
        line = end + 1;
    }
    return binding;
}

// "There may be processors" that demand this, the manual says; Bochs' is one.
static bool nmi_under_sti_blocking(void)
{
    return (value_of(fields, VMCS_ENTRY_INTERRUPTION) & 0x80000700) == 0x80000200 &&
           (value_of(fields, VMCS_GUEST_INTERRUPTIBILITY) & VCPU_BLOCKED_BY_STI) != 0;
}

static struct extra extras[] = {
    {"the DPL of CS must fit the RPL of CS", code_privilege_differs, 0},
    {"no NMI can be injected under blocking by STI", nmi_under_sti_blocking, 0},
};

static struct extra *refused_by_bochs(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(extras); i++) {
        if (extras[i].refuses()) {
            return &extras[i];
        }
    }
    return NULL;
}

static void report(uint32_t number, bool entered)
{
    log_line(LOG_MACHINE,
             "FAIL entry_fuzz: state %u: the processor %s, error %u; the checker says:", number,
             entered ? "enters" : "refuses", vmx_of(&machine.vcpu)->instruction_error);
    log_line(LOG_MACHINE, "%s", text[0] != 0 ? text : "nothing");
    for (size_t i = 0; i < field_count; i++) {
        if (is_writable(base[i].encoding) && fields[i].value != base[i].value) {
            log_line(LOG_MACHINE, "  %s: 0x%lx, was 0x%lx",
                     entry_check_field_name(base[i].encoding), fields[i].value, base[i].value);
        }
    }
}

static void try_state(uint32_t number)
{
    struct deviation *only;
    size_t binding;
    size_t early;
    struct extra *extra;
    bool entered;

    restore_base();
    break_state();
    read_fields();
    (void)entry_check_all(fields, field_count, text, sizeof(text));
    binding = count_binding(&only, &early);
    if (ends_bochs()) {
        wrong += !holds(text, strlen(text), "\"IA-32e mode guest\" needs PG");
        skipped++;
        return;
    }
    if (early == 0 && (host_is_changed() || (binding == 0 && !comes_back()))) {
        skipped++;
        return;
    }
    entered = enter();
    extra = binding == 0 ? refused_by_bochs() : NULL;
    if (extra != NULL && !entered) {
        extra->met++;
    } else if (extra == NULL && entered == (binding == 0)) {
        valid += entered;
        refused += !entered;
        if (only != NULL && binding == 0) {
            only->met++;
        }
    } else if (wrong++ < REPORTED_MAX) {
        report(number, entered);
    }
}

static void fuzz(uint32_t states)
{
    random_state = 1;
    for (uint32_t i = 0; valid + refused + wrong < states; i++) {
        if (i % 1000 == 0) {
            restore_base();
            choose_base(i / 1000 % 3);
            read_fields();
            memcpy(base, fields, sizeof(base));
        }
        try_state(i);
        if (i % 64 == 0) {
            thread_yield();
        }
    }
}

static void run(void *argument)
{
    bool all = command_line_has("long");

    (void)argument;
    make_machine();
    choose_base(0);
    read_fields();
    memcpy(base, fields, sizeof(base));
    fuzz(all ? STATES_LONG : STATES);
    for (size_t i = 0; i < ARRAY_COUNT(deviations); i++) {
        log_line(LOG_MACHINE, "deviation met %u times: %s: %s: Bochs %s", deviations[i].met,
                 deviations[i].section, deviations[i].rule, deviations[i].bochs);
        wrong += all && deviations[i].met == 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(extras); i++) {
        log_line(LOG_MACHINE, "refused by Bochs alone %u times: %s", extras[i].met, extras[i].rule);
        wrong += all && extras[i].met == 0;
    }
    wrong += valid < (valid + refused) / 8; // else the states are not what they are meant to be
    log_line(LOG_MACHINE, "%s entry_fuzz: %u states agree, %u valid and %u refused; %u not entered",
             wrong == 0 ? "PASS" : "FAIL", valid + refused, valid, refused, skipped);
    run_end(wrong != 0);
}

void selftest_start(void)
{
    struct thread *thread;

    ASSERT(thread_create(NULL, CONTAINER_ROOT, 0, this_cpu()->id, run, NULL, &thread) == STATUS_OK);
    thread_wake(thread);
}
