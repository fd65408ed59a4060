// SPDX-License-Identifier: MIT
// Counters of a VM as text. Called when the VM ends or the person asks.
#include "vmm/monitor/report.h"

#include "kernel/lib/format.h"
#include "vmm/monitor/handlers.h"

struct text {
    char *buffer;
    size_t size;
    size_t used;
};

static void add_line(struct text *text, const char *name, unsigned long long value)
{
    size_t room = text->size - text->used;
    size_t length = format_text(text->buffer + text->used, room, "%-24s %llu\n", name, value);

    text->used += length < room ? length : 0; // a line that does not fit is left out whole
}

size_t report_statistics(const struct machine_counts *counts,
                         const struct vm_statistics *statistics, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};

    add_line(&text, "exits in kernel", statistics->exits_in_kernel);
    add_line(&text, "exits to monitor", statistics->exits_to_monitor);
    add_line(&text, "ticks in guest", statistics->guest_ticks);
    add_line(&text, "bytes granted", statistics->granted_bytes);
    add_line(&text, "msr accesses refused", counts->msr_refused);
    for (uint32_t kind = 0; kind < EXIT_KIND_COUNT; kind++) {
        if (counts->exits[kind] > 0) {
            char name[40];

            (void)format_text(name, sizeof(name), "exit %s", exit_kind_name(kind));
            add_line(&text, name, counts->exits[kind]);
        }
    }
    for (uint32_t reason = 0; reason < ARRAY_COUNT(statistics->kernel_by_reason); reason++) {
        if (statistics->kernel_by_reason[reason] > 0) {
            char name[40];

            (void)format_text(name, sizeof(name), "kernel, raw reason %u", reason);
            add_line(&text, name, statistics->kernel_by_reason[reason]);
        }
    }
    return text.used;
}
