// SPDX-License-Identifier: MIT
// Counting VM exits. Called by the observer for each entry; see exit_stats.h.
#include "vmm/monitor/exit_stats.h"

#include "vmm/monitor/exit_reason.h"

#define REASON_SHIFT 56u

// A histogram that is exact below 1 << octave, and divides each octave from there on into 1 << step
// buckets.
struct scale {
    unsigned octave;
    unsigned step;
};
static const struct scale fine = {10, 4};
static const struct scale coarse = {5, 3};
static_assert(HISTOGRAM_EXACT == 1u << 10 && HISTOGRAM_STEPS == 1u << 4, "fine");
static_assert(SUBJECT_EXACT == 1u << 5 && SUBJECT_STEPS == 1u << 3, "coarse");

static inline unsigned bucket_of(struct scale scale, uint32_t ticks)
{
    unsigned octave;

    if (ticks < 1u << scale.octave) {
        return ticks;
    }
    octave = 31u - (unsigned)__builtin_clz(ticks);
    return (1u << scale.octave) + ((octave - scale.octave) << scale.step) +
           (ticks >> (octave - scale.step) & ((1u << scale.step) - 1));
}

// The middle of a bucket.
static uint64_t ticks_of(struct scale scale, unsigned bucket)
{
    unsigned octave, step;

    if (bucket < 1u << scale.octave) {
        return bucket;
    }
    bucket -= 1u << scale.octave;
    octave = (bucket >> scale.step) + scale.octave;
    step = bucket & ((1u << scale.step) - 1);
    return ((uint64_t)((1u << scale.step) + step) << (octave - scale.step)) +
           (1ull << (octave - scale.step - 1));
}

static uint64_t median_of(struct scale scale, const uint32_t *histogram, unsigned buckets,
                          uint64_t count)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < buckets; i++) {
        seen += histogram[i];
        if (2 * seen >= count && seen > 0) {
            return ticks_of(scale, i);
        }
    }
    return 0;
}

static uint64_t subject_key(const struct exit_entry *entry)
{
    uint64_t key = (uint64_t)entry->reason << REASON_SHIFT;

    switch (entry->reason) {
    case EXIT_REASON_IO:
        return key | (uint16_t)(entry->word >> 16);
    case EXIT_REASON_RDMSR:
    case EXIT_REASON_WRMSR:
    case EXIT_REASON_CPUID:
        return key | (uint32_t)entry->value[0];
    case EXIT_REASON_EPT_VIOLATION:
    case EXIT_REASON_EPT_MISCONFIGURATION:
        return key | (entry->value[0] >> 12 & UINT64_MAX >> (64 - REASON_SHIFT));
    case EXIT_REASON_APIC_ACCESS:
    case EXIT_REASON_APIC_WRITE:
        return key | (entry->word & 0xfff);
    default:
        return UINT64_MAX;
    }
}

// The subject's slot, a free one if it is new; null when all are taken.
static struct exit_subject *find_subject(struct exit_stats *stats, uint64_t key)
{
    uint64_t slot = (key ^ key >> REASON_SHIFT) * 0x9e3779b97f4a7c15ull >> 54;

    for (unsigned i = 0; i < EXIT_SUBJECTS; i++) {
        struct exit_subject *subject = &stats->subjects[(slot + i) % EXIT_SUBJECTS];

        if (subject->count == 0 || subject->key == key) {
            return subject;
        }
    }
    return NULL;
}

static void add_subject(struct exit_stats *stats, const struct exit_entry *entry, uint32_t ticks)
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
    subject->in_kernel += entry->kind == 0;
    subject->ticks += ticks;
    subject->histogram[bucket_of(coarse, ticks)]++;
}

void exit_stats_add(struct exit_stats *stats, const struct exit_entry *entry)
{
    uint32_t basic = entry->reason & 0x7fffu;
    uint32_t reason = basic < EXIT_REASONS ? basic : EXIT_REASONS - 1;
    struct exit_reason_stats *row = &stats->reasons[reason];
    uint64_t both = (uint64_t)entry->kernel + entry->monitor;
    uint32_t ticks = both < UINT32_MAX ? (uint32_t)both : UINT32_MAX;

    stats->count++;
    row->count++;
    row->in_kernel += entry->kind == 0;
    row->kernel_ticks += entry->kernel;
    row->monitor_ticks += entry->monitor;
    row->histogram[bucket_of(fine, ticks)]++;
    add_subject(stats, entry, ticks);
}

uint64_t exit_stats_median(const struct exit_stats *stats, uint32_t reason)
{
    const struct exit_reason_stats *row = &stats->reasons[reason];

    return median_of(fine, row->histogram, HISTOGRAM_BUCKETS, row->count);
}

uint64_t exit_subject_median(const struct exit_subject *subject)
{
    return median_of(coarse, subject->histogram, SUBJECT_BUCKETS, subject->count);
}

static bool comes_after(const struct exit_subject *subject, const struct exit_subject *other)
{
    return subject->ticks != other->ticks ? subject->ticks < other->ticks
                                          : subject->key < other->key;
}

const struct exit_subject *exit_stats_next(const struct exit_stats *stats, uint32_t reason,
                                           const struct exit_subject *before)
{
    const struct exit_subject *best = NULL;

    for (unsigned i = 0; i < EXIT_SUBJECTS; i++) {
        const struct exit_subject *subject = &stats->subjects[i];

        if (subject->count == 0 || subject->key >> REASON_SHIFT != reason ||
            (before && !comes_after(subject, before))) {
            continue;
        }
        if (!best || comes_after(best, subject)) {
            best = subject;
        }
    }
    return best;
}
