// SPDX-License-Identifier: MIT
// Lock-step: entries of a vCPU by the VMX backend (run.c, state.c) and their specification. The
// VMCS is an array, and the processor of the test looks at what it is given and answers as it
// likes: refuses, exits, exits in the middle of an event's delivery.
#include <string.h>
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/state.h"
#include "arch/x86/virt/vmx/vmx.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/vcpu.h"

#define REASON_HLT 12u

uint64_t host_vmcs[HOST_VMCS_FIELDS];
static uint64_t vmcs_before[HOST_VMCS_FIELDS];
static struct virt_vcpu vcpu;
static struct vcpu_page page;
static struct vcpu_page page_before;
static struct spec_vcpu spec;
static struct spec_answer answer;
static bool refused_by_instruction; // VMLAUNCH fails, rather than the entry's checks
static bool entered;
static struct spec_event injected;
static uint32_t windows;
static uint32_t exceptions;

// -- the processor ------------------------------------------------------------------------------

enum virt_outcome vmx_guest_enter(struct vmx_frame *frame)
{
    struct vmx_vcpu *vmx = CONTAINER_OF(frame, struct vmx_vcpu, frame);

    entered = true;
    windows = (uint32_t)host_vmcs[VMCS_PRIMARY_CONTROLS] &
              (PRIMARY_INTERRUPT_WINDOW | PRIMARY_NMI_WINDOW);
    exceptions = (uint32_t)host_vmcs[VMCS_EXCEPTION_BITMAP];
    injected = (struct spec_event){.word = (uint32_t)host_vmcs[VMCS_ENTRY_INTERRUPTION]};
    if (injected.word != 0) {
        injected.error_code = (uint32_t)host_vmcs[VMCS_ENTRY_ERROR_CODE];
        injected.length = (uint32_t)host_vmcs[VMCS_ENTRY_INSTRUCTION_LENGTH];
    }
    if (answer.refused && refused_by_instruction) {
        return (enum virt_outcome)vmx_entry_failed(vmx, lockstep_chance(50));
    }
    // Only exits such as an EPT violation come in the middle of an event's delivery.
    host_vmcs[VMCS_EXIT_REASON] =
        (answer.interrupted.word & VCPU_EVENT_VALID) != 0 ? VMX_REASON_EPT_VIOLATION : REASON_HLT;
    if (answer.refused) {
        host_vmcs[VMCS_EXIT_REASON] = VMX_REASON_ENTRY_FAILURE | VMX_REASON_GUEST_STATE;
    }
    if (!answer.refused) { // an entry that is made takes the event ("VM Exits")
        host_vmcs[VMCS_ENTRY_INTERRUPTION] = 0;
        host_vmcs[VMCS_VECTORING] = answer.interrupted.word;
        host_vmcs[VMCS_VECTORING_ERROR_CODE] = answer.interrupted.error_code;
        host_vmcs[VMCS_EXIT_INSTRUCTION_LENGTH] =
            answer.length != 0 ? answer.length : answer.interrupted.length;
    }
    return (enum virt_outcome)vmx_exited(vmx);
}

// -- driving --------------------------------------------------------------------------------------

static struct spec_event any_event(void)
{
    static const uint32_t types[] = {
        VCPU_EVENT_EXTERNAL,           VCPU_EVENT_NMI,
        VCPU_EVENT_EXCEPTION,          VCPU_EVENT_SOFTWARE_INTERRUPT,
        VCPU_EVENT_SOFTWARE_EXCEPTION, VCPU_EVENT_PRIVILEGED_EXCEPTION};
    struct spec_event event = {0};

    if (lockstep_chance(60)) {
        event.word = VCPU_EVENT_VALID | types[lockstep_below(ARRAY_COUNT(types))] |
                     lockstep_below(256) | (lockstep_chance(30) ? VCPU_EVENT_ERROR_CODE : 0);
        event.error_code = lockstep_below(0x10000);
        event.length = 1 + lockstep_below(15);
    }
    return event;
}

static void any_answer(void)
{
    answer.refused = lockstep_chance(15);
    refused_by_instruction = lockstep_chance(50);
    answer.interrupted = any_event();
    if (lockstep_chance(20)) {
        answer.interrupted.word ^= 1u << 12; // "NMI unblocking due to IRET", or undefined
    }
    if (lockstep_chance(20)) {
        answer.interrupted.word &= ~VCPU_EVENT_VALID;
    }
    answer.length =
        (answer.interrupted.word & VCPU_EVENT_VALID) != 0 ? 0 : 1 + lockstep_below(15); // of HLT
}

// The monitor asks for things in the page, as it may before each entry.
static void ask(uint64_t *dr7, uint64_t *lstar)
{
    page.request_window = spec.window = lockstep_chance(30);
    page.request_nmi_window = spec.nmi_window = lockstep_chance(20);
    page.exception_bitmap = spec.exceptions =
        lockstep_chance(80) ? spec.exceptions : (uint32_t)lockstep_random();
    if (page.event.word == 0 && lockstep_chance(50)) { // a valid one must not be overwritten
        struct spec_event event = any_event();

        page.event = (struct vcpu_event){event.word, event.error_code, event.length, 0};
        spec.pending = event;
    }
    *dr7 = lockstep_chance(95) ? 0x400 : 0x400 | 1ull << (32 + lockstep_below(32));
    *lstar = lockstep_chance(95) ? 0xffffffff81000000ull : 1ull << 47 | lockstep_random() >> 20;
    page.dr7 = *dr7;
    page.lstar = *lstar;
    page.dirty &= VCPU_GROUP_RIP; // of an entry that the kernel refused
    page.dirty |= *dr7 != 0x400 || lockstep_chance(10) ? (uint32_t)VCPU_GROUP_DEBUG : 0u;
    page.dirty |= *lstar != 0xffffffff81000000ull ? (uint32_t)VCPU_GROUP_MSRS : 0u;
    if (lockstep_chance(60)) { // else the guest goes on where it is
        page.dirty |= VCPU_GROUP_RIP;
        page.rip = spec.rip = lockstep_random() >> 17;
        page.rflags = spec.rflags =
            2 | (lockstep_chance(30) ? RFLAGS_TF : 0) | (lockstep_chance(20) ? RFLAGS_RF : 0);
        page.interruptibility = spec.interruptibility = lockstep_below(16);
    }
}

// What the monitor is told of an instruction that it is to do.
static void check_told(void)
{
    bool advances = vcpu_advances_spec(&spec, &answer);

    lockstep_equal("rip of the exit", page.rip, spec.rip - (advances ? answer.length : 0));
    lockstep_equal("advanced", page.exit.advanced, advances);
    if (answer.length != 0) {
        lockstep_equal("length", page.exit.instruction_length, answer.length);
    }
}

static void compare(void)
{
    lockstep_equal("pending event", page.event.word, spec.pending.word);
    if (spec.pending.word != 0) {
        lockstep_equal("its error code", page.event.error_code, spec.pending.error_code);
        lockstep_equal("its length", page.event.instruction_length, spec.pending.length);
    }
}

static void check_refused_by_kernel(void)
{
    lockstep_equal("entered", entered, false);
    lockstep_equal("told", page.exit.refused.reason, REFUSED_BY_KERNEL);
    if (memcmp(host_vmcs, vmcs_before, sizeof(host_vmcs)) != 0) {
        lockstep_fail("an entry was refused and the VMCS changed");
    }
}

static void check_entry(const struct spec_entry *entry)
{
    lockstep_equal("entered", entered, true);
    lockstep_equal("injected", injected.word, entry->injected.word);
    lockstep_equal("error code", injected.error_code, entry->injected.error_code);
    lockstep_equal("length", injected.length, entry->injected.length);
    lockstep_equal("windows", windows, entry->windows);
    lockstep_equal("exceptions", exceptions, entry->exceptions);
}

static void check_guest(void)
{
    lockstep_equal("rip", host_vmcs[VMCS_GUEST_RIP], spec.rip);
    lockstep_equal("rflags", host_vmcs[VMCS_GUEST_RFLAGS], spec.rflags);
    lockstep_equal("interruptibility", host_vmcs[VMCS_GUEST_INTERRUPTIBILITY],
                   spec.interruptibility);
    lockstep_equal("single step", host_vmcs[VMCS_GUEST_PENDING_DEBUG] != 0, spec.single_step);
}

static void skip(void)
{
    uint32_t length = 1 + lockstep_below(15);

    host_vmcs[VMCS_EXIT_INSTRUCTION_LENGTH] = length;
    host_vmcs[VMCS_GUEST_PENDING_DEBUG] = 0;
    spec.single_step = false;
    vmx_vcpu_skip(&vcpu);
    vcpu_skip_spec(&spec, length, &spec);
    lockstep_counted(SPEC_ALLOWED);
    check_guest();
    vmx_vcpu_export(&vcpu, VCPU_GROUP_RIP); // before the monitor sees the page
    lockstep_equal("rip of the page", page.rip, spec.rip);
    lockstep_equal("shadow of the page", page.interruptibility, spec.interruptibility);
}

static enum status outcome_status(enum virt_outcome outcome)
{
    if (outcome == VIRT_TIMER) {
        return STATUS_TIMEOUT;
    }
    if (page.exit.kind != EXIT_ENTRY_REFUSED) {
        return STATUS_OK;
    }
    return page.exit.refused.reason == REFUSED_BY_KERNEL ? STATUS_INVALID : STATUS_STATE;
}

static void step(void *unused)
{
    struct spec_entry entry;
    uint64_t dr7;
    uint64_t lstar;

    (void)unused;
    vmx_of(&vcpu)->cpu = this_cpu();
    vmx_of(&vcpu)->obstacles = (uint32_t)(RFLAGS_TF | RFLAGS_RF);
    any_answer();
    ask(&dr7, &lstar);
    bool late = lockstep_chance(5);
    memcpy(vmcs_before, host_vmcs, sizeof(host_vmcs));
    page_before = page;
    page.exit.kind = EXIT_NONE;
    entered = false;
    enum virt_outcome outcome =
        vmx_vcpu_enter(&vcpu, late ? host_tsc - lockstep_below(100) : host_tsc + 100000);
    enum spec_rule rule =
        vcpu_enter_spec(&spec, page_before.dr6, dr7, lstar, late, &answer, &spec, &entry);
    lockstep_same("enter", rule, outcome_status(outcome));
    if (rule == ENTER_MSRS || rule == ENTER_DEBUG) {
        check_refused_by_kernel();
        page.lstar = 0;
        page.dr7 = 0x400;
    } else if (rule == ENTER_DEADLINE) {
        lockstep_equal("entered", entered, false);
    } else {
        check_entry(&entry);
    }
    compare();
    if (rule == SPEC_ALLOWED) {
        host_vmcs[VMCS_GUEST_PENDING_DEBUG] = 0;
        check_guest();
        check_told();
        if (lockstep_chance(50)) {
            skip();
        }
    }
}

// -- what the backend's other files are for -------------------------------------------------------

const struct vmx_capabilities *vmx_capabilities(void)
{
    static const struct vmx_capabilities capabilities;

    return &capabilities;
}

const struct vmx_controls *vmx_controls(void)
{
    static const struct vmx_controls controls;

    return &controls;
}

void vmx_flush_tlb(const struct vmx_vcpu *vmx)
{
    (void)vmx;
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_VCPU};

    lockstep_begin(argc, argv, "VMCS: injection, windows, shadow", 150000);
    host_machine_start(1);
    vcpu.page = &page;
    vmx_of(&vcpu)->frame.page = &page;
    spec.exceptions = 0;
    host_vmcs[VMCS_EXCEPTION_BITMAP] = SPEC_MACHINE_CHECK;
    while (lockstep_more()) {
        host_on_cpu(0, step, NULL);
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
