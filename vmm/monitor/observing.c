// SPDX-License-Identifier: MIT
// The system calls around the observers, and the statistics of a VM as messages. See observing.h.
#include "vmm/monitor/observing.h"

#include "vmm/monitor/report.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/tsc.h"

#define REPORT_MAXIMUM    (24u << 10) // bytes of the exit tables
#define REPORT_PIECE      2000u       // bytes of a message
#define REPORT_ROWS       10u         // ports, MSRs, ... at the VM's end
#define REPORT_ROWS_SHORT 3u          // on the person's terminal

// -- the log ----------------------------------------------------------------------------------

static void refuse(struct monitor *monitor, const char *why)
{
    monitor_end(monitor, END_BAD_CONFIG, RUN_USAGE, why);
}

static void make_sink(struct monitor *monitor)
{
    int64_t stats = 0;

    monitor->sink.batch.header.tsc_hz = monitor->info->tsc_hz;
    if (monitor->config.stats && !monitor->sink.stats) {
        stats = memory_allocate(OBSERVE_STATS_BYTES);
        if (stats < 0) {
            refuse(monitor, "exit statistics: not enough memory");
        }
        monitor->sink.stats = (struct exit_stats *)(uintptr_t)stats;
    }
}

void observing_start(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;
    int64_t log;

    if (!monitor->config.stats && !monitor->config.exit_log) {
        return;
    }
    make_sink(monitor);
    log = vcpu_log_start(cpu->handle);
    if (log < 0) {
        refuse(monitor, "exit log: not enough memory");
    }
    observe_start(&cpu->observer, (struct vcpu_log *)(uintptr_t)log, &monitor->sink,
                  (uint8_t)cpu->index, tsc_now());
}

static void send_batch(struct virtual_cpu *cpu)
{
    const struct observe_batch *batch = &cpu->monitor->sink.batch;

    if (cpu->monitor->config.exit_log) {
        link_send(&cpu->monitor->link, MESSAGE_EXITS, batch,
                  sizeof(batch->header) + batch->header.count * sizeof(batch->entries[0]));
    }
    observe_sent(&cpu->observer);
}

void observing_take(struct virtual_cpu *cpu, uint64_t start)
{
    while (observe_take(&cpu->observer)) {
        send_batch(cpu);
    }
    observe_serviced(&cpu->observer, start, tsc_now());
}

// -- statistics -------------------------------------------------------------------------------

// What the handlers of all processors counted.
static void add_counts(const struct monitor *monitor, struct machine_counts *total)
{
    for (uint32_t i = 0; i < MONITOR_PROCESSORS; i++) {
        const struct machine_counts *counts = &monitor->cpu[i].machine.counts;

        total->msr_refused += counts->msr_refused;
        for (uint32_t kind = 0; kind < EXIT_KIND_COUNT; kind++) {
            total->exits[kind] += counts->exits[kind];
        }
    }
}

// Where the time of each observed vCPU went; how many there are. Those that are not in the monitor
// now are told up to their last return to it.
static unsigned collect_slices(const struct monitor *monitor, struct exit_slices *slices)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < MONITOR_PROCESSORS; i++) {
        const struct observer *observer = &monitor->cpu[i].observer;

        if (observer->log) {
            slices[count++] = observer->slices;
        }
    }
    return count;
}

// Counters, and the exit tables with `rows` subjects of each class where exits are observed.
static size_t write_statistics(struct monitor *monitor, unsigned rows, char *text, size_t size)
{
    struct vm_statistics statistics = {0};
    struct machine_counts total = {0};
    size_t length;

    if (vm_statistics_get(monitor->vm, &statistics) != STATUS_OK) {
        statistics = (struct vm_statistics){0};
    }
    add_counts(monitor, &total);
    length = report_statistics(&total, &statistics, text, size);
    if (monitor->sink.stats) {
        struct exit_slices slices[MONITOR_PROCESSORS];
        unsigned count = collect_slices(monitor, slices);

        length +=
            exit_report(monitor->sink.stats, slices, count, rows, text + length, size - length);
    }
    return length;
}

void observing_answer(struct monitor *monitor)
{
    char text[MESSAGE_MAXIMUM];

    link_send(&monitor->link, MESSAGE_REPORT, text,
              write_statistics(monitor, REPORT_ROWS_SHORT, text, sizeof(text)));
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

// The last exit of each vCPU, which nothing completed, ends here too.
static void finish_logs(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;

    for (uint32_t i = 0; i < MONITOR_PROCESSORS; i++) {
        struct virtual_cpu *other = &monitor->cpu[i];

        if (other->observer.log) {
            observe_end(&other->observer, other->observer.returned);
            observing_take(other, other->observer.returned);
        }
    }
    send_batch(cpu);
}

void observing_finish(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;

    if (cpu->observer.log) {
        observe_stop(&cpu->observer, tsc_now());
        finish_logs(cpu);
    }
    if (monitor->config.stats) {
        static char text[REPORT_MAXIMUM];

        send_text(monitor, MESSAGE_STATS, text,
                  write_statistics(monitor, REPORT_ROWS, text, sizeof(text)));
    }
}
