// SPDX-License-Identifier: MIT
// Statistics of VM exits as text. Called when the VM ends and when the person asks.
#include "vmm/monitor/exit_stats.h"

#include "kernel/lib/format.h"
#include "vmm/monitor/exit_reason.h"

static const char *const names[EXIT_REASONS] = {
    [0] = "exception or NMI",
    [1] = "external interrupt",
    [2] = "triple fault",
    [3] = "INIT signal",
    [4] = "start-up IPI",
    [5] = "I/O SMI",
    [6] = "other SMI",
    [7] = "interrupt window",
    [8] = "NMI window",
    [9] = "task switch",
    [10] = "CPUID",
    [11] = "GETSEC",
    [12] = "HLT",
    [13] = "INVD",
    [14] = "INVLPG",
    [15] = "RDPMC",
    [16] = "RDTSC",
    [17] = "RSM",
    [18] = "VMCALL",
    [19] = "VMCLEAR",
    [20] = "VMLAUNCH",
    [21] = "VMPTRLD",
    [22] = "VMPTRST",
    [23] = "VMREAD",
    [24] = "VMRESUME",
    [25] = "VMWRITE",
    [26] = "VMXOFF",
    [27] = "VMXON",
    [28] = "CR access",
    [29] = "DR access",
    [30] = "I/O instruction",
    [31] = "RDMSR",
    [32] = "WRMSR",
    [33] = "invalid guest state",
    [34] = "MSR loading",
    [36] = "MWAIT",
    [37] = "monitor trap flag",
    [39] = "MONITOR",
    [40] = "PAUSE",
    [41] = "machine check at entry",
    [43] = "TPR below threshold",
    [44] = "APIC access",
    [45] = "virtualised EOI",
    [46] = "GDTR or IDTR access",
    [47] = "LDTR or TR access",
    [48] = "EPT violation",
    [49] = "EPT misconfiguration",
    [50] = "INVEPT",
    [51] = "RDTSCP",
    [52] = "preemption timer",
    [53] = "INVVPID",
    [54] = "WBINVD",
    [55] = "XSETBV",
    [56] = "APIC write",
    [57] = "RDRAND",
    [58] = "INVPCID",
    [59] = "VMFUNC",
    [60] = "ENCLS",
    [61] = "RDSEED",
    [62] = "page-modification log full",
    [63] = "XSAVES",
    [64] = "XRSTORS",
    [66] = "sub-page permission",
    [67] = "UMWAIT",
    [68] = "TPAUSE",
};

const char *exit_reason_name(uint32_t reason)
{
    return reason < EXIT_REASONS && names[reason] ? names[reason] : "reserved";
}

struct text {
    char *buffer;
    size_t size;
    size_t used;
};

static void add(struct text *text, const char *format, ...) PRINTF(2, 3);
static void add(struct text *text, const char *format, ...)
{
    size_t room = text->size - text->used;
    va_list arguments;
    size_t length;

    va_start(arguments, format);
    length = format_text_va(text->buffer + text->used, room, format, arguments);
    va_end(arguments);
    text->used += length < room ? length : 0;
}

// What the subjects of a reason are called; null: it has none.
static const struct subject_name {
    const char *name;
    unsigned shift; // from the number to the address
} subject_names[EXIT_REASONS] = {
    [EXIT_REASON_CPUID] = {"leaf", 0},
    [EXIT_REASON_IO] = {"port", 0},
    [EXIT_REASON_RDMSR] = {"MSR", 0},
    [EXIT_REASON_WRMSR] = {"MSR", 0},
    [EXIT_REASON_APIC_ACCESS] = {"register", 0},
    [EXIT_REASON_EPT_VIOLATION] = {"page", 12},
    [EXIT_REASON_EPT_MISCONFIGURATION] = {"page", 12},
    [EXIT_REASON_APIC_WRITE] = {"register", 0},
};

static void add_subjects(struct text *text, const struct exit_stats *stats, uint32_t reason,
                         unsigned rows)
{
    const struct subject_name *kind = &subject_names[reason];
    const struct exit_subject *subject = NULL;

    for (unsigned i = 0; kind->name && i < rows; i++) {
        subject = exit_stats_next(stats, reason, subject);
        if (!subject) {
            return;
        }
        unsigned long long address = exit_subject_value(subject) << kind->shift;

        add(text, "     %-8s 0x%-11llx %10llu %10llu %12llu %25s %8llu\n", kind->name, address,
            (unsigned long long)subject->count, (unsigned long long)subject->in_kernel,
            (unsigned long long)subject->ticks, "",
            (unsigned long long)exit_subject_median(subject));
    }
}

static void add_reasons(struct text *text, const struct exit_stats *stats, unsigned rows)
{
    add(text, "%-26s %10s %10s %12s %12s %12s %8s\n", "exit reason", "count", "in kernel", "ticks",
        "kernel", "monitor", "median");
    for (uint32_t reason = 0; reason < EXIT_REASONS; reason++) {
        const struct exit_reason_stats *row = &stats->reasons[reason];
        unsigned long long ticks = row->kernel_ticks + row->monitor_ticks;

        if (row->count > 0) {
            add(text, "%2u %-23s %10llu %10llu %12llu %12llu %12llu %8llu\n", reason,
                exit_reason_name(reason), (unsigned long long)row->count,
                (unsigned long long)row->in_kernel, ticks, (unsigned long long)row->kernel_ticks,
                (unsigned long long)row->monitor_ticks,
                (unsigned long long)exit_stats_median(stats, reason));
            add_subjects(text, stats, reason, rows);
        }
    }
    add(text, "%-26s %10llu\n", "all", (unsigned long long)stats->count);
    if (stats->subjects_lost > 0) {
        add(text, "not told apart: %llu\n", (unsigned long long)stats->subjects_lost);
    }
}

static void add_slices(struct text *text, const struct exit_slices *slices)
{
    const struct {
        const char *name;
        uint64_t ticks;
    } rows[] = {
        {"guest", slices->guest},     {"kernel", slices->kernel}, {"monitor", slices->monitor},
        {"halted", slices->halted},   {"other", slices->other},   {"logging", slices->logging},
        {"elapsed", slices->elapsed},
    };
    uint64_t whole = slices->elapsed > 0 ? slices->elapsed : 1;

    for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
        uint64_t tenths = rows[i].ticks * 1000 / whole;

        add(text, "ticks %-20s %16llu %3llu.%llu %%\n", rows[i].name,
            (unsigned long long)rows[i].ticks, (unsigned long long)(tenths / 10),
            (unsigned long long)(tenths % 10));
    }
}

static void add_processor(struct text *text, unsigned index, const struct exit_slices *slices)
{
    add(text, "vCPU %u %14llu %12llu %12llu %14llu %14llu %12llu %14llu\n", index,
        (unsigned long long)slices->guest, (unsigned long long)slices->kernel,
        (unsigned long long)slices->monitor, (unsigned long long)slices->halted,
        (unsigned long long)slices->other, (unsigned long long)slices->logging,
        (unsigned long long)slices->elapsed);
}

// All processors together; of several, each of them before.
static void add_time(struct text *text, const struct exit_slices *slices, unsigned vcpus)
{
    struct exit_slices all = {0};

    if (vcpus > 1) {
        add(text, "ticks  %14s %12s %12s %14s %14s %12s %14s\n", "guest", "kernel", "monitor",
            "halted", "other", "logging", "elapsed");
    }
    for (unsigned i = 0; i < vcpus; i++) {
        all.elapsed += slices[i].elapsed;
        all.guest += slices[i].guest;
        all.kernel += slices[i].kernel;
        all.monitor += slices[i].monitor;
        all.halted += slices[i].halted;
        all.other += slices[i].other;
        all.logging += slices[i].logging;
        if (vcpus > 1) {
            add_processor(text, i, &slices[i]);
        }
    }
    add_slices(text, &all);
}

size_t exit_report(const struct exit_stats *stats, const struct exit_slices *slices, unsigned vcpus,
                   unsigned rows, char *buffer, size_t size)
{
    struct text text = {buffer, size, 0};

    add_reasons(&text, stats, rows);
    add_time(&text, slices, vcpus);
    return text.used;
}
