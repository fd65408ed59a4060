// SPDX-License-Identifier: MIT
// The run loop: enter the guest, dispatch the exit, look after time, interrupts and the console.
// The path of an ordinary port access is straight: everything rare hangs behind one test.
#include "vmm/monitor/run.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/entry_check_state.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/handlers.h"
#include "vmm/monitor/observing.h"
#include "vmm/monitor/post_mortem.h"
#include "vmm/runtime/cpuid.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/tsc.h"

void run_fetch(struct virtual_cpu *cpu, uint32_t groups)
{
    struct vcpu_page *page = cpu->machine.page;
    struct vm_exit exit = page->exit;
    uint32_t wanted = page->wanted;

    page->wanted = groups;
    if (vcpu_run(cpu->handle, VCPU_RUN_FETCH) != STATUS_OK || (page->valid & groups) != groups) {
        monitor_end(cpu->monitor, END_UNHANDLED, RUN_UNHANDLED,
                    "the kernel did not give the virtual processor's registers");
    }
    page->wanted = wanted;
    page->exit = exit;
}

NORETURN void monitor_end(struct monitor *monitor, uint32_t reason, uint32_t status,
                          const char *why)
{
    link_flush(&monitor->link);
    if (monitor->link.consumed != monitor->link.consumed_told) {
        link_tell_consumed(&monitor->link);
    }
    link_send_ended(&monitor->link, reason, status, why);
    process_exit(0);
}

// Logs `text`, whose lines end in LF.
static void log_lines(struct monitor *monitor, char *text)
{
    char *start = text;

    for (char *byte = text; *byte; byte++) {
        if (*byte == '\n') {
            *byte = '\0';
            link_log(&monitor->link, start);
            start = byte + 1;
        }
    }
}

// The event that goes with the next entry is in the page, not in the VMCS.
static bool read_field(void *context, uint32_t encoding, uint64_t *value)
{
    const struct virtual_cpu *cpu = context;
    const struct vcpu_event *event = &cpu->machine.page->event;

    switch (encoding) {
    case FIELD_ENTRY_INTERRUPTION:
        *value = event->word;
        return true;
    case FIELD_ENTRY_ERROR_CODE:
        *value = event->error_code;
        return true;
    case FIELD_ENTRY_INSTRUCTION_LENGTH:
        *value = event->instruction_length;
        return true;
    default:
        return vcpu_read(cpu->handle, encoding, value) == STATUS_OK;
    }
}

// Why the processor refused the entry, rule by rule.
static void explain_refusal(struct virtual_cpu *cpu)
{
    struct link *link = &cpu->monitor->link;
    static struct vcpu_field fields[VCPU_FIELD_MAXIMUM];
    static char text[4096];
    uint32_t physical_bits = cpuid_host(0x80000008, 0).eax & 0xff;
    size_t count = field_dump(&cpu->monitor->info->vm_support.capabilities, physical_bits,
                              read_field, cpu, fields, ARRAY_COUNT(fields));

    if (entry_check_all(fields, count, text, sizeof(text)) == 0) {
        link_log(link, "no rule known here is broken");
    } else {
        log_lines(cpu->monitor, text);
    }
}

// The whole report about a processor, which goes on afterwards or not.
static void run_report(struct virtual_cpu *cpu, const char *title)
{
    run_fetch(cpu, VCPU_GROUP_ALL);
    post_mortem(&cpu->machine, &cpu->trail, cpu->index, title);
}

NORETURN void run_stop(struct virtual_cpu *cpu)
{
    struct machine *machine = &cpu->machine;
    struct monitor *monitor = cpu->monitor;

    smp_end(cpu);
    link_flush(&monitor->link);
    if (machine->stop.report) {
        run_report(cpu, machine->stop.why);
    }
    if (machine->stop.reason == END_ENTRY_REFUSED) {
        explain_refusal(cpu);
    }
    observing_finish(cpu);
    monitor_end(monitor, machine->stop.reason, machine->stop.status, machine->stop.why);
}

void run_hide_time(struct virtual_cpu *cpu, uint64_t ticks)
{
    struct vcpu_page *page = cpu->machine.page;

    run_fetch(cpu, VCPU_GROUP_MSRS);
    page->tsc_offset -= ticks;
    page->dirty |= VCPU_GROUP_MSRS;
    if (cpu->machine.apic) {
        local_apic_skip_time(cpu->machine.apic, ticks, page->tsc_offset);
    }
}

// The guest does not see the time of a pause: neither its TSC nor its devices.
static void hide_pause(struct virtual_cpu *cpu, uint64_t ticks)
{
    platform_skip_time(&cpu->monitor->platform, ticks);
    if (cpu->machine.apic) {
        smp_hide_time(cpu->monitor, ticks);
    } else {
        run_hide_time(cpu, ticks);
    }
}

static void pause(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;
    struct link *link = &monitor->link;
    uint64_t start;

    smp_stop_others(cpu);
    start = tsc_now();
    link_flush(link);
    while (link->paused && !link->stop_wanted) {
        (void)event_wait(0);
        link_receive(link);
        if (link->statistics_wanted) {
            link->statistics_wanted = false;
            observing_answer(monitor);
        }
    }
    hide_pause(cpu, tsc_now() - start);
    smp_resume_others(cpu);
}

void run_take_messages(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;
    struct link *link = &monitor->link;

    link_receive(link);
    if (link->statistics_wanted) {
        link->statistics_wanted = false;
        observing_answer(monitor);
    }
    if (link->paused) {
        pause(cpu);
    }
    if (link->stop_wanted) {
        (void)machine_stop(&cpu->machine, END_STOPPED, 0, false, "stopped at the console");
        run_stop(cpu);
    }
    if (link->input_arrived) {
        link->input_arrived = false;
        platform_input_ready(&monitor->platform);
    }
}

void run_raise_step(struct virtual_cpu *cpu)
{
    cpu->machine.trap_due = false;
    if (cpu->machine.page->event.word & VCPU_EVENT_VALID) {
        return; // the instruction raised something of its own
    }
    run_fetch(cpu, VCPU_GROUP_DEBUG);
    event_raise_step(&cpu->machine);
}

// A processor that spins is reported, and the VM ended where that is wanted.
static void tell_spin(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;
    const struct watchdog_spin *spin = &cpu->spin;
    char text[120];

    for (uint32_t i = 0; i < spin->addresses; i++) {
        (void)format_text(text, sizeof(text), "| no progress: rip 0x%016llx in %u of %u samples",
                          (unsigned long long)spin->rip[i], spin->seen[i], spin->samples);
        link_log(&monitor->link, text);
    }
    (void)format_text(text, sizeof(text),
                      "vCPU %u makes no progress: interrupts off, at the same addresses for %u s",
                      cpu->index, monitor->config.watchdog);
    if (monitor->config.watchdog_stops) {
        (void)machine_stop(&cpu->machine, END_NO_PROGRESS, RUN_NO_PROGRESS, true, "%s", text);
        run_stop(cpu);
    }
    link_log(&monitor->link, text);
    run_report(cpu, "no progress");
}

void run_sample(struct virtual_cpu *cpu)
{
    cpu->sample_due = false;
    if (watchdog_sample(&cpu->spin, cpu->machine.page)) {
        tell_spin(cpu);
    }
}

// Each processor is sampled by its own thread, where it is when that is told of it: a look at where
// it last exited would always see the exit that its guest makes most.
static void look_for_spins(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;

    monitor->watchdog.due = false;
    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        monitor->cpu[i].sample_due = i != cpu->index;
    }
    monitor->smp.kick = (1u << monitor->config.vcpus) - 1;
    run_sample(cpu);
}

void run_finish_exit(struct virtual_cpu *cpu, enum outcome outcome)
{
    struct vcpu_page *page = cpu->machine.page;

    while (outcome == OUTCOME_FETCH) {
        run_fetch(cpu, cpu->machine.need);
        outcome = exit_table[page->exit.kind].handle(&cpu->machine);
    }
    if (outcome == OUTCOME_ADVANCE) {
        run_advance(&cpu->machine, page);
        return;
    }
    page->dirty |= page->exit.advanced != 0 ? (uint32_t)VCPU_GROUP_RIP : 0;
    if (outcome == OUTCOME_STOP) {
        run_stop(cpu);
    }
}

uint64_t run_what_is_due(struct virtual_cpu *cpu, uint64_t now)
{
    struct monitor *monitor = cpu->monitor;

    platform_run_timers(&monitor->platform);
    if (UNLIKELY(monitor->watchdog.due)) {
        look_for_spins(cpu);
    }
    if (now >= monitor->link.flush_at) {
        link_flush(&monitor->link);
    }
    return run_next_deadline(monitor);
}

// True when the next entry is not an ordinary one.
static inline bool needs_attention(const struct monitor *monitor, const struct vcpu_page *page)
{
    return ((uint32_t)monitor->cpu[0].machine.trap_due |
            (uint32_t)platform_interrupt_pending(&monitor->platform) | page->request_window |
            page->halted) != 0;
}

static uint64_t attend(struct virtual_cpu *cpu)
{
    struct machine *machine = &cpu->machine;

    if (machine->trap_due) {
        run_raise_step(cpu);
    }
    event_deliver_interrupt(machine);
    if (machine->page->halted) {
        link_flush(&cpu->monitor->link);
    }
    return run_next_deadline(cpu->monitor);
}

// Everything that must be right before the guest runs.
static inline void prepare(struct monitor *monitor, struct vcpu_page *page)
{
    uint64_t deadline = run_next_deadline(monitor);

    if (UNLIKELY(page->exit_tsc >= deadline)) {
        deadline = run_what_is_due(&monitor->cpu[0], page->exit_tsc);
    }
    if (UNLIKELY(needs_attention(monitor, page))) {
        deadline = attend(&monitor->cpu[0]);
    }
    // CLOCK_NEVER is far enough away to be none.
    page->deadline_tsc = run_allow_progress(page, deadline);
}

// Once into the guest and through its exit. `flags` is a constant: a step without a log is not made
// any longer by the one with it.
static ALWAYS_INLINE void step(struct monitor *monitor, struct virtual_cpu *cpu,
                               struct vcpu_page *page, uint32_t flags)
{
    enum status status;

    prepare(monitor, page);
    if (flags != 0) {
        observe_call(&cpu->observer, tsc_now(), page->halted != 0);
    }
    status = vcpu_run(cpu->handle, flags);
    if (UNLIKELY(status != STATUS_OK)) {
        monitor_end(monitor, END_UNHANDLED, RUN_UNHANDLED, status_name(status));
    }
    if (flags != 0) {
        observe_return(&cpu->observer, tsc_now());
        observing_take(cpu, cpu->observer.returned);
        observe_kind(&cpu->observer, page->exit.kind);
    }
    run_set_time(monitor, cpu, page);
    run_handle_exit(cpu, page);
    run_serve_console(monitor, cpu, page);
}

static NORETURN void run_alone(struct monitor *monitor)
{
    struct virtual_cpu *cpu = &monitor->cpu[0];
    struct vcpu_page *page = cpu->machine.page;

    run_take_messages(cpu);
    while (cpu->observer.log) {
        step(monitor, cpu, page, VCPU_RUN_LOG);
    }
    for (;;) {
        step(monitor, cpu, page, 0);
    }
}

NORETURN void monitor_run(struct monitor *monitor)
{
    if (monitor->platform.processors > 0) {
        smp_run(monitor);
    }
    run_alone(monitor);
}
