// SPDX-License-Identifier: MIT
// Records to entries, and the division of time. See observe.h.
//
// Time outside of the guest belongs to the exit before it. Between two calls of vcpu_run the
// monitor runs, or another thread does (`away`: the kernel counts that); inside, the guest, the
// kernel, other threads, or, while the guest is halted, nobody. Each tick is counted once, so that
// the slices add up to the elapsed time.
#include "vmm/monitor/observe.h"

#include "kernel/lib/string.h"
#include "vmm/monitor/exit_reason.h"

// Bits of exit qualifications.
#define IO_IN     (1u << 3)
#define IO_STRING (1u << 4)
#define EPT_WRITE (1u << 1)

void observe_start(struct observer *observer, struct vcpu_log *log, struct observe_sink *sink,
                   uint8_t vcpu, uint64_t now)
{
    memset(observer, 0, sizeof(*observer));
    observer->log = log;
    observer->sink = sink;
    observer->vcpu = vcpu;
    observer->returned = now;
    observer->away = log->away_return;
    observer->guest = log->guest_ticks;
}

void observe_call(struct observer *observer, uint64_t now, bool halted)
{
    observer->called = now;
    observer->sleeping = halted;
}

static uint64_t lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

static uint64_t difference(uint64_t left, uint64_t right)
{
    return left > right ? left - right : 0;
}

// The monitor's turn, from `returned` to `called`, of which the CPU was taken away for `away`. Who
// sends a batch wakes the console process, which runs at once: then that comes off logging first;
// else only what the rest of the turn is too short for.
static void divide_turn(struct observer *observer, uint64_t away)
{
    uint64_t turn = observer->called - observer->returned;
    uint64_t logging = lesser(observer->logging, turn);
    uint64_t rest = turn - logging;
    uint64_t waited, monitor;

    away = lesser(away, turn);
    waited = observer->sent ? lesser(away, logging) : difference(away, rest);
    monitor = rest - (away - waited);
    observer->slices.logging += logging - waited;
    observer->slices.other += away;
    observer->slices.monitor += monitor;
    if (observer->begun) {
        observer->pending.logging += logging - waited;
        observer->pending.monitor += monitor;
    }
    observer->logging = 0;
    observer->sent = false;
}

// The kernel's turn, from `called` to `now`.
static void divide_call(struct observer *observer, uint64_t now, uint64_t away)
{
    uint64_t call = now - observer->called;
    uint64_t guest = lesser(observer->log->guest_ticks - observer->guest, call);

    away = lesser(away, call - guest);
    if (observer->sleeping) {
        observer->slices.halted += away;
        observer->pending.halted += observer->begun ? away : 0;
    } else {
        observer->slices.other += away;
    }
    observer->slices.guest += guest;
    observer->slices.kernel += call - guest - away;
}

void observe_return(struct observer *observer, uint64_t now)
{
    const struct vcpu_log *log = observer->log;

    divide_turn(observer, log->away_call - observer->away);
    divide_call(observer, now, log->away_return - log->away_call);
    observer->slices.elapsed += now - observer->returned;
    observer->away = log->away_return;
    observer->begun |= log->guest_ticks != observer->guest;
    observer->guest = log->guest_ticks;
    observer->returned = now;
}

void observe_end(struct observer *observer, uint64_t now)
{
    struct vcpu_log *log = observer->log;
    struct exit_record *last = &log->records[log->written % VCPU_LOG_RECORDS];

    if (!observer->begun || log->written - log->taken >= VCPU_LOG_RECORDS) {
        return;
    }
    observer->pending.monitor += now - observer->returned;
    last->resumed = now;
    last->away = log->away_return - last->away;
    last->event = 0;
    memcpy(last->after, last->before, sizeof(last->after));
    log->written++;
}

void observe_stop(struct observer *observer, uint64_t now)
{
    observer->called = now;
    divide_turn(observer, 0);
    observer->slices.elapsed += now - observer->returned;
    observer->returned = now;
}

// -- entries ----------------------------------------------------------------------------------

static inline uint64_t pair(uint64_t low, uint64_t high)
{
    return (uint32_t)low | high << 32;
}

// Data of IN and OUT; of their string forms it is not in RAX.
static uint64_t io_data(const struct exit_record *record)
{
    uint32_t size = (uint32_t)(record->qualification & 7) + 1;
    uint64_t rax = (record->qualification & IO_IN) != 0 ? record->after[0] : record->before[0];

    if ((record->qualification & IO_STRING) != 0) {
        return 0;
    }
    return rax & (UINT32_MAX >> (32 - 8 * (size <= 4 ? size : 4)));
}

static uint64_t memory_data(const struct exit_record *record)
{
    return (record->qualification & EPT_WRITE) != 0 ? record->before[0] : record->after[0];
}

// before[] and after[]: RAX, RCX, RDX, RBX.
static inline void set_values(const struct exit_record *restrict record,
                              struct exit_entry *restrict entry)
{
    uint64_t first = record->before[0];
    uint64_t second = record->before[3];

    entry->word = record->qualification;
    switch (entry->reason) {
    case EXIT_REASON_EXCEPTION:
    case EXIT_REASON_INTERRUPT:
        first = record->interruption;
        second = 0;
        break;
    case EXIT_REASON_CPUID:
        entry->word = pair(record->after[1], record->after[2]);
        first = pair(record->before[0], record->before[1]);
        second = pair(record->after[0], record->after[3]);
        break;
    case EXIT_REASON_IO:
        first = io_data(record);
        second = record->before[1];
        break;
    case EXIT_REASON_RDMSR:
        first = (uint32_t)record->before[1];
        second = pair(record->after[0], record->after[2]);
        break;
    case EXIT_REASON_WRMSR:
        first = (uint32_t)record->before[1];
        second = pair(record->before[0], record->before[2]);
        break;
    case EXIT_REASON_EPT_VIOLATION:
    case EXIT_REASON_EPT_MISCONFIGURATION:
        first = record->operand;
        second = memory_data(record);
        break;
    case EXIT_REASON_CR:
    case EXIT_REASON_DR:
        first = record->operand;
        second = 0;
        break;
    default:
        break;
    }
    entry->value[0] = first;
    entry->value[1] = second;
}

static inline uint32_t saturated(uint64_t ticks)
{
    return LIKELY(ticks < UINT32_MAX) ? (uint32_t)ticks : UINT32_MAX;
}

static inline void set_times(const struct exit_record *restrict record,
                             const struct exit_times *restrict times,
                             struct exit_entry *restrict entry)
{
    uint64_t outside = record->resumed - record->exited;
    uint64_t other = difference(record->away, times->halted) + times->logging;

    entry->monitor = saturated(times->monitor);
    entry->halted = saturated(times->halted);
    entry->other = saturated(other);
    entry->kernel = saturated(difference(outside, times->monitor + times->halted + other));
}

static inline void make_entry(const struct observer *restrict observer,
                              const struct exit_record *restrict record,
                              struct exit_entry *restrict entry)
{
    entry->exited = record->exited;
    entry->rip = record->rip;
    entry->event = record->event;
    entry->reason = (uint16_t)((record->reason & 0x7fff) | (record->reason >> 16 & 0x8000));
    entry->kind = observer->kind;
    entry->vcpu = observer->vcpu;
    set_values(record, entry);
    set_times(record, &observer->pending, entry);
}

// Entries that found no room, of all vCPUs together.
static inline void tell_lost(struct observer *observer)
{
    if (UNLIKELY(observer->log->lost != observer->lost)) {
        observer->sink->batch.header.lost += observer->log->lost - observer->lost;
        observer->lost = observer->log->lost;
    }
}

bool observe_take(struct observer *observer)
{
    struct vcpu_log *log = observer->log;
    struct observe_sink *sink = observer->sink;
    struct observe_batch *batch = &sink->batch;

    while (log->taken != log->written && batch->header.count < OBSERVE_BATCH) {
        struct exit_entry *entry = &batch->entries[batch->header.count];

        make_entry(observer, &log->records[log->taken % VCPU_LOG_RECORDS], entry);
        if (sink->stats) {
            exit_stats_add(sink->stats, entry);
        }
        observer->pending = (struct exit_times){0};
        observer->kind = EXIT_NONE;
        batch->header.count++;
        log->taken++;
    }
    tell_lost(observer);
    return batch->header.count == OBSERVE_BATCH;
}
