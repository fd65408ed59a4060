// SPDX-License-Identifier: MIT
// Counting VM exits. Called by the observer for each entry; see exit_stats.h.
#include "vmm/monitor/exit_stats.h"

#include "vmm/monitor/exit_reason.h"

#define CLASS_SHIFT 60u

static unsigned bucket_of(uint32_t ticks)
{
    unsigned octave;

    if (ticks < HISTOGRAM_EXACT) {
        return ticks;
    }
    octave = 31u - (unsigned)__builtin_clz(ticks); // from 10 on
    return HISTOGRAM_EXACT + (octave - 10) * HISTOGRAM_STEPS + (ticks >> (octave - 4) & 15);
}

// The middle of a bucket.
static uint64_t ticks_of(unsigned bucket)
{
    unsigned octave, step;

    if (bucket < HISTOGRAM_EXACT) {
        return bucket;
    }
    octave = (bucket - HISTOGRAM_EXACT) / HISTOGRAM_STEPS + 10;
    step = (bucket - HISTOGRAM_EXACT) % HISTOGRAM_STEPS;
    return ((uint64_t)(HISTOGRAM_STEPS + step) << (octave - 4)) + (1ull << (octave - 5));
}

static uint64_t subject_key(const struct exit_entry *entry)
{
    switch (entry->reason) {
    case EXIT_REASON_IO:
        return (uint64_t)CLASS_PORT << CLASS_SHIFT | (uint16_t)(entry->word >> 16);
    case EXIT_REASON_RDMSR:
    case EXIT_REASON_WRMSR:
        return (uint64_t)CLASS_MSR << CLASS_SHIFT | (uint32_t)entry->value[0];
    case EXIT_REASON_CPUID:
        return (uint64_t)CLASS_CPUID << CLASS_SHIFT | (uint32_t)entry->value[0];
    case EXIT_REASON_EPT_VIOLATION:
    case EXIT_REASON_EPT_MISCONFIGURATION:
        return (uint64_t)CLASS_PAGE << CLASS_SHIFT | entry->value[0] >> 12;
    default:
        return UINT64_MAX;
    }
}

// The subject's slot, a free one if it is new; null when all are taken.
static struct exit_subject *find_subject(struct exit_stats *stats, uint64_t key)
{
    uint64_t slot = (key ^ key >> CLASS_SHIFT) * 0x9e3779b97f4a7c15ull >> 53;

    for (unsigned i = 0; i < EXIT_SUBJECTS; i++) {
        struct exit_subject *subject = &stats->subjects[(slot + i) % EXIT_SUBJECTS];

        if (subject->count == 0 || subject->key == key) {
            return subject;
        }
    }
    return NULL;
}

static void add_subject(struct exit_stats *stats, const struct exit_entry *entry, uint64_t ticks)
{
    uint64_t key = subject_key(entry);
    struct exit_subject *subject;

    if (key == UINT64_MAX) {
        return;
    }
    subject = find_subject(stats, key);
    if (!subject) {
        stats->subjects_lost++;
        return;
    }
    subject->key = key;
    subject->count++;
    subject->ticks += ticks;
}

void exit_stats_add(struct exit_stats *stats, const struct exit_entry *entry)
{
    uint32_t basic = entry->reason & 0x7fffu;
    uint32_t reason = basic < EXIT_REASONS ? basic : EXIT_REASONS - 1;
    struct exit_reason_stats *row = &stats->reasons[reason];
    uint64_t ticks = (uint64_t)entry->kernel + entry->monitor;

    stats->count++;
    row->count++;
    row->in_kernel += entry->kind == 0;
    row->kernel_ticks += entry->kernel;
    row->monitor_ticks += entry->monitor;
    row->histogram[bucket_of(ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX)]++;
    add_subject(stats, entry, ticks);
}

uint64_t exit_stats_median(const struct exit_stats *stats, uint32_t reason)
{
    const struct exit_reason_stats *row = &stats->reasons[reason];
    uint64_t seen = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += row->histogram[i];
        if (2 * seen >= row->count && seen > 0) {
            return ticks_of(i);
        }
    }
    return 0;
}

static bool comes_after(const struct exit_subject *subject, const struct exit_subject *other)
{
    return subject->ticks != other->ticks ? subject->ticks < other->ticks
                                          : subject->key < other->key;
}

const struct exit_subject *exit_stats_next(const struct exit_stats *stats, enum exit_class class,
                                           const struct exit_subject *before)
{
    const struct exit_subject *best = NULL;

    for (unsigned i = 0; i < EXIT_SUBJECTS; i++) {
        const struct exit_subject *subject = &stats->subjects[i];

        if (subject->count == 0 || subject->key >> CLASS_SHIFT != class ||
            (before && !comes_after(subject, before))) {
            continue;
        }
        if (!best || comes_after(best, subject)) {
            best = subject;
        }
    }
    return best;
}
