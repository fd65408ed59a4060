// SPDX-License-Identifier: MIT
// The run loop: enter the guest, dispatch the exit, look after time, interrupts and the console.
// The path of an ordinary port access is straight: everything rare hangs behind one test.
#include "vmm/monitor/monitor.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/entry_check.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/handlers.h"
#include "vmm/monitor/report.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/tsc.h"

#define REPORT_MAXIMUM    (16u << 10) // bytes of the exit tables
#define REPORT_PIECE      2000u       // bytes of a message
#define REPORT_ROWS       10u         // ports, MSRs, ... at the VM's end
#define REPORT_ROWS_SHORT 3u          // on the person's terminal

// Fills groups of the page without entering the guest; the exit stays as it is.
static void fetch(struct monitor *monitor, uint32_t groups)
{
    struct vcpu_page *page = monitor->machine.page;
    struct vm_exit exit = page->exit;
    uint32_t wanted = page->wanted;

    page->wanted = groups;
    if (vcpu_run(monitor->vcpu, VCPU_RUN_FETCH) != STATUS_OK || (page->valid & groups) != groups) {
        monitor_end(monitor, END_UNHANDLED, RUN_UNHANDLED,
                    "the kernel did not give the virtual processor's registers");
    }
    page->wanted = wanted;
    page->exit = exit;
}

// Sends text in pieces of whole lines.
static void send_text(struct monitor *monitor, uint32_t type, const char *text, size_t length)
{
    while (length > 0) {
        size_t piece = length < REPORT_PIECE ? length : REPORT_PIECE;

        while (piece < length && piece > 0 && text[piece - 1] != '\n') {
            piece--;
        }
        piece = piece > 0 ? piece : length;
        link_send(&monitor->link, type, text, piece);
        text += piece;
        length -= piece;
    }
}

// Counters, and the exit tables with `rows` subjects of each class where exits are observed.
static size_t write_statistics(struct monitor *monitor, unsigned rows, char *text, size_t size)
{
    struct vm_statistics statistics = {0};
    size_t length;

    if (vm_statistics_get(monitor->vm, &statistics) != STATUS_OK) {
        statistics = (struct vm_statistics){0};
    }
    length = report_statistics(&monitor->machine, &statistics, text, size);
    if (monitor->observer.stats) {
        struct exit_slices slices = observe_slices(&monitor->observer, tsc_now());

        length += exit_report(monitor->observer.stats, &slices, rows, text + length, size - length);
    }
    return length;
}

// What the person at the console asked for.
static void send_statistics(struct monitor *monitor)
{
    char text[MESSAGE_MAXIMUM];

    link_send(&monitor->link, MESSAGE_REPORT, text,
              write_statistics(monitor, REPORT_ROWS_SHORT, text, sizeof(text)));
}

static void send_batch(struct monitor *monitor)
{
    const struct observe_batch *batch = &monitor->observer.batch;

    if (monitor->config.exit_log) {
        link_send(&monitor->link, MESSAGE_EXITS, batch,
                  sizeof(batch->header) + batch->header.count * sizeof(batch->entries[0]));
    }
    observe_sent(&monitor->observer);
}

// Takes the records of the exits since the last return.
static void take_exits(struct monitor *monitor)
{
    while (observe_take(&monitor->observer)) {
        send_batch(monitor);
    }
    observe_serviced(&monitor->observer, monitor->observer.returned, tsc_now());
}

// The rest of the log, and the tables where they were asked for.
static void finish_observing(struct monitor *monitor)
{
    if (monitor->observer.log) {
        observe_end(&monitor->observer, tsc_now());
        take_exits(monitor);
        send_batch(monitor);
    }
    if (monitor->config.stats) {
        static char text[REPORT_MAXIMUM];

        send_text(monitor, MESSAGE_STATS, text,
                  write_statistics(monitor, REPORT_ROWS, text, sizeof(text)));
    }
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

// Why the processor refused the entry, rule by rule.
static void explain_refusal(struct monitor *monitor)
{
    static struct vcpu_field fields[VCPU_FIELD_MAXIMUM];
    static char text[4096];
    int64_t count = vcpu_dump(monitor->vcpu, fields, VCPU_FIELD_MAXIMUM);

    if (count < 0) {
        link_log(&monitor->link, "the virtual processor's fields cannot be read");
    } else if (entry_check(fields, (size_t)count, text, sizeof(text)) == 0) {
        link_log(&monitor->link, "no rule known here is broken");
    } else {
        log_lines(monitor, text);
    }
}

static NORETURN void stop(struct monitor *monitor)
{
    struct machine *machine = &monitor->machine;

    link_flush(&monitor->link);
    if (machine->stop.report) {
        fetch(monitor, VCPU_GROUP_ALL);
        report_stop(machine);
    }
    if (machine->stop.reason == END_ENTRY_REFUSED) {
        explain_refusal(monitor);
    }
    finish_observing(monitor);
    monitor_end(monitor, machine->stop.reason, machine->stop.status, machine->stop.why);
}

// The guest does not see the time of a pause: neither its TSC nor its devices.
static void hide_time(struct monitor *monitor, uint64_t ticks)
{
    struct vcpu_page *page = monitor->machine.page;

    fetch(monitor, VCPU_GROUP_MSRS);
    page->tsc_offset -= ticks;
    page->dirty |= VCPU_GROUP_MSRS;
    platform_skip_time(&monitor->platform, ticks);
}

static void pause(struct monitor *monitor)
{
    struct link *link = &monitor->link;
    uint64_t start = tsc_now();

    link_flush(link);
    while (link->paused && !link->stop_wanted) {
        (void)event_wait(0);
        link_receive(link);
        if (link->statistics_wanted) {
            link->statistics_wanted = false;
            send_statistics(monitor);
        }
    }
    hide_time(monitor, tsc_now() - start);
}

// Something arrived from the console process.
static void take_messages(struct monitor *monitor)
{
    struct link *link = &monitor->link;

    link_receive(link);
    if (link->statistics_wanted) {
        link->statistics_wanted = false;
        send_statistics(monitor);
    }
    if (link->paused) {
        pause(monitor);
    }
    if (link->stop_wanted) {
        (void)machine_stop(&monitor->machine, END_STOPPED, 0, false, "stopped at the console");
        stop(monitor);
    }
    if (link->input_arrived) {
        link->input_arrived = false;
        platform_input_ready(&monitor->platform);
    }
}

// A single step ran over an emulated instruction.
static void raise_step(struct monitor *monitor)
{
    monitor->machine.trap_due = false;
    if (monitor->machine.page->event.word & VCPU_EVENT_VALID) {
        return; // the instruction raised something of its own
    }
    fetch(monitor, VCPU_GROUP_DEBUG);
    event_raise_step(&monitor->machine);
}

// Host TSC at which a device timer or the output has its turn; CLOCK_NEVER: nothing waits.
static inline uint64_t next_deadline(const struct monitor *monitor)
{
    uint64_t timer = monitor->platform.clock.earliest_tsc;
    uint64_t flush = monitor->link.flush_at;

    return timer < flush ? timer : flush;
}

static uint64_t do_what_is_due(struct monitor *monitor)
{
    platform_run_timers(&monitor->platform);
    if (monitor->machine.page->exit_tsc >= monitor->link.flush_at) {
        link_flush(&monitor->link);
    }
    return next_deadline(monitor);
}

// True when the next entry is not an ordinary one.
static inline bool needs_attention(const struct monitor *monitor, const struct vcpu_page *page)
{
    return ((uint32_t)monitor->machine.trap_due |
            (uint32_t)platform_interrupt_pending(&monitor->platform) | page->request_window |
            page->halted) != 0;
}

static uint64_t attend(struct monitor *monitor)
{
    struct machine *machine = &monitor->machine;

    if (machine->trap_due) {
        raise_step(monitor);
    }
    event_deliver_interrupt(machine);
    if (machine->page->halted) {
        link_flush(&monitor->link);
    }
    return next_deadline(monitor);
}

// Everything that must be right before the guest runs.
static inline void prepare(struct monitor *monitor, struct vcpu_page *page)
{
    uint64_t deadline = next_deadline(monitor);

    if (UNLIKELY(page->exit_tsc >= deadline)) {
        deadline = do_what_is_due(monitor);
    }
    if (UNLIKELY(needs_attention(monitor, page))) {
        deadline = attend(monitor);
    }
    page->deadline_tsc = deadline; // CLOCK_NEVER is far enough away to be none
}

// Calls the exit's handler, again when it needs registers that are not in the page yet.
static inline enum outcome dispatch(struct monitor *monitor, uint32_t kind)
{
    struct machine *machine = &monitor->machine;
    enum outcome outcome = exit_table[kind].handle(machine);

    while (UNLIKELY(outcome == OUTCOME_FETCH)) {
        fetch(monitor, machine->need);
        outcome = exit_table[kind].handle(machine);
    }
    return outcome;
}

static inline void handle_exit(struct monitor *monitor, struct vcpu_page *page)
{
    struct machine *machine = &monitor->machine;
    uint32_t kind = page->exit.kind < EXIT_KIND_COUNT ? page->exit.kind : EXIT_UNKNOWN;
    enum outcome outcome;

    machine->exits[kind]++;
    outcome = dispatch(monitor, kind);
    if (LIKELY(outcome == OUTCOME_ADVANCE)) {
        machine->trap_due = emulate_advance(page, page->exit.instruction_length);
    } else if (outcome == OUTCOME_STOP) {
        stop(monitor);
    }
}

// Console traffic after an exit; returns quickly when there is none.
static inline void serve_console(struct monitor *monitor, struct vcpu_page *page)
{
    struct link *link = &monitor->link;

    if (UNLIKELY(page->events != 0)) {
        page->events = 0;
        take_messages(monitor);
    }
    if (UNLIKELY(link->consumed_due)) {
        link_tell_consumed(link);
        if (link->receive_blocked) {
            take_messages(monitor);
        }
    }
}

// Time goes on to the exit's. An event or a deadline may have come without the guest having run:
// then exit_tsc is an old one.
static inline void set_time(struct monitor *monitor, struct vcpu_page *page)
{
    if (UNLIKELY(page->exit.kind <= EXIT_DEADLINE)) {
        page->exit_tsc = tsc_now();
    }
    platform_set_time(&monitor->platform, page->exit_tsc);
}

// Once into the guest and through its exit. `flags` is a constant: a step without a log is not made
// any longer by the one with it.
static ALWAYS_INLINE void step(struct monitor *monitor, struct vcpu_page *page, uint32_t flags)
{
    enum status status;

    prepare(monitor, page);
    if (flags != 0) {
        observe_call(&monitor->observer, tsc_now(), page->halted != 0);
    }
    status = vcpu_run(monitor->vcpu, flags);
    if (UNLIKELY(status != STATUS_OK)) {
        monitor_end(monitor, END_UNHANDLED, RUN_UNHANDLED, status_name(status));
    }
    if (flags != 0) {
        observe_return(&monitor->observer, tsc_now());
        take_exits(monitor);
        observe_kind(&monitor->observer, page->exit.kind);
    }
    set_time(monitor, page);
    handle_exit(monitor, page);
    serve_console(monitor, page);
}

NORETURN void monitor_run(struct monitor *monitor)
{
    struct vcpu_page *page = monitor->machine.page;

    take_messages(monitor);
    while (monitor->observer.log) {
        step(monitor, page, VCPU_RUN_LOG);
    }
    for (;;) {
        step(monitor, page, 0);
    }
}
