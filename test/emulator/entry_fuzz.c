// SPDX-License-Identifier: MIT
// The entry checker (vmm/monitor/entry_check.h) against the processor, in a kernel image of its
// own: valid VMCS states get one to three fields broken at random, are checked, and are entered.
// The two must agree on every one, but for what the table of deviations names. The guest has no
// memory, so an entry that succeeds exits at once. Runs in place of kernel_selftest.c, one thread.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/host_interrupt.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/selftest.h"
#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/objects.h"
#include "test/emulator/entry_fuzz_bochs.h"
#include "vmm/monitor/entry_check_state.h"
#include "vmm/runtime/vcpu_reset.h"

#define STATES       3000u
#define STATES_LONG  21000u
#define NO_REASON    0x7fffffffu
#define TIMER_COUNT  1000u
#define TEXT_BYTES   4096u
#define REPORTED_MAX 20u

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
    ASSERT(virt_backend->vcpu_init(&machine.vcpu, &machine.vm, page, machine.pages, 1) ==
           STATUS_OK);
    vcpu_reset(page);
}

// The first state is that after a reset; the others are protected mode, IA-32e mode, and protected
// mode with PAE paging.
#define BASES       4u
#define BASE_STATES 500u // broken in a row

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

// Not by the kernel, which would read the four entries: the guest has no memory.
static void set_pae(void)
{
    vmcs_write_natural(VMCS_GUEST_CR4, vmcs_read_natural(VMCS_GUEST_CR4) | CR4_PAE);
    vmcs_write_64(VMCS_GUEST_PDPTE0, 0x2001);
    vmcs_write_64(VMCS_GUEST_PDPTE1, 0x3019);
    vmcs_write_64(VMCS_GUEST_PDPTE2, 0x4e01);
    vmcs_write_64(VMCS_GUEST_PDPTE3, 0);
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
    if (which == 3) {
        set_pae();
    }
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

static bool read_field(void *unused, uint32_t encoding, uint64_t *value)
{
    (void)unused;
    return vmcs_try_read(encoding, value);
}

static void read_fields(void)
{
    field_count = field_dump(vmx_capabilities(), cpu_features()->physical_bits, read_field, NULL,
                             fields, VCPU_FIELD_MAXIMUM);
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

uint64_t field_value(const struct vcpu_field *from, uint32_t encoding)
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
    uint64_t exit = field_value(fields, VMCS_EXIT_CONTROLS) ^ field_value(base, VMCS_EXIT_CONTROLS);

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
    return field_value(fields, encoding) == field_value(base, encoding);
}

// Whether this state, if it is valid, comes back: with the host as it was, under EPT, by the timer
// at the latest, and without what refers to memory that is not there.
static bool comes_back(void)
{
    uint64_t pin = field_value(fields, VMCS_PIN_CONTROLS);
    uint64_t primary = field_value(fields, VMCS_PRIMARY_CONTROLS);
    uint64_t changed =
        field_value(fields, VMCS_SECONDARY_CONTROLS) ^ field_value(base, VMCS_SECONDARY_CONTROLS);
    uint64_t harmless = 1u << 2 | 1u << 3 | 1u << 6 | 1u << 7 | 1u << 10 | 1u << 11 | 1u << 12;

    return (pin & 0x49) == 0x49 && (primary & 1u << 31) != 0 &&
           ((primary ^ field_value(base, VMCS_PRIMARY_CONTROLS)) & CONTROL_TPR_SHADOW) == 0 &&
           is_unchanged(VMCS_TPR_THRESHOLD) && is_unchanged(VMCS_VIRTUAL_APIC_ADDRESS) &&
           is_unchanged(VMCS_APIC_ACCESS_ADDRESS) && (changed & ~harmless) == 0 &&
           field_value(fields, VMCS_GUEST_ACTIVITY) == 0 &&
           field_value(fields, VMCS_LINK_POINTER) == UINT64_MAX && is_unchanged(VMCS_EPT_POINTER);
}

// Bochs 2.7 does not check that "IA-32e mode guest" needs CR0.PG, and ends when CR0.PE is 0 then.
// The kernel never asks for it: it makes EFER.LMA from CR0.PG.
static bool ends_bochs(void)
{
    return (field_value(fields, VMCS_ENTRY_CONTROLS) & CONTROL_ENTRY_IA32E) != 0 &&
           (field_value(fields, VMCS_GUEST_CR0) & CR0_PG) == 0;
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
    machine.vcpu.guest_ticks -= tsc_read(); // as run.c counts it
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
    binding = bochs_count_binding(text, &only, &early);
    if (ends_bochs()) {
        wrong += !text_holds(text, strlen(text), "\"IA-32e mode guest\" needs PG");
        skipped++;
        return;
    }
    if (early == 0 && (host_is_changed() || (binding == 0 && !comes_back()))) {
        skipped++;
        return;
    }
    entered = enter();
    extra = binding == 0 ? bochs_refuses(fields) : NULL;
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
        if (i % BASE_STATES == 0) {
            restore_base();
            choose_base(i / BASE_STATES % BASES);
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
    wrong += bochs_report(all);
    wrong += valid < (valid + refused) / 10; // else the states are not what they are meant to be
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
