// SPDX-License-Identifier: MIT
// Observing a VM: takes the kernel's records of exits, tells where the time went, counts, and fills
// the batches that go to the exit log. Pure but for the time it is given; the run loop makes the
// system calls around it. One observer per vCPU, used by its thread; what goes out is collected in
// one place for all vCPUs of a VM.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/exit_log.h"
#include "kernel/abi/message.h"
#include "kernel/abi/vcpu.h"
#include "vmm/monitor/exit_stats.h"

#define OBSERVE_BATCH ((MESSAGE_MAXIMUM - sizeof(struct exit_batch)) / sizeof(struct exit_entry))

// Whole pages for struct exit_stats.
#define OBSERVE_STATS_BYTES ((sizeof(struct exit_stats) + 4095) / 4096 * 4096)

// Ticks outside of the guest, since the last exit.
struct exit_times {
    uint64_t monitor;
    uint64_t halted;
    uint64_t logging;
};

struct observe_batch {
    struct exit_batch header;
    struct exit_entry entries[OBSERVE_BATCH];
};
static_assert(sizeof(struct observe_batch) <= MESSAGE_MAXIMUM, "a batch is one message");

// What all observers of a VM fill. With several vCPUs it is guarded by the VM's lock.
struct observe_sink {
    struct exit_stats *stats; // null: nobody counts
    struct observe_batch batch;
};

struct observer {
    struct vcpu_log *log; // null: off, and nothing else here is used
    struct observe_sink *sink;
    uint8_t vcpu;
    uint64_t lost;             // of log->lost, told already
    uint64_t called;           // TSC of the last call of vcpu_run
    uint64_t returned;         // TSC of its return, or of the start
    uint64_t away;             // vcpu_log.away_return of the last return
    uint64_t guest;            // vcpu_log.guest_ticks of the last return
    uint64_t logging;          // ticks in the log's service since the last return
    bool sent;                 // a batch went out since then
    bool begun;                // the guest has exited at least once
    bool sleeping;             // the guest was in HLT at the call
    uint8_t kind;              // enum exit_kind of the exit that is being handled
    struct exit_times pending; // of the exit whose record is not complete
    struct exit_slices slices;
};

// Begins to observe one vCPU at the time `now`.
void observe_start(struct observer *observer, struct vcpu_log *log, struct observe_sink *sink,
                   uint8_t vcpu, uint64_t now);

// Right before vcpu_run. `halted`: the guest is in HLT.
void observe_call(struct observer *observer, uint64_t now, bool halted);

// Right after it.
void observe_return(struct observer *observer, uint64_t now);

// Takes complete records into statistics and the batch, as far as the batch has room. True: the
// batch is full; send it, and call again.
bool observe_take(struct observer *observer);

// The guest will not be entered again: its last exit, which nothing completed, becomes a record
// too.
void observe_end(struct observer *observer, uint64_t now);

// The batch went out, or nobody wants it.
static inline void observe_sent(struct observer *observer)
{
    observer->sink->batch.header.sequence++;
    observer->sink->batch.header.count = 0;
    observer->sent = true;
}

// After observe_take and sending: `start` is the TSC before them.
static inline void observe_serviced(struct observer *observer, uint64_t start, uint64_t now)
{
    observer->logging += now - start;
}

// An exit goes to its handler.
static inline void observe_kind(struct observer *observer, uint32_t kind)
{
    if (kind != EXIT_NONE && observer->begun) {
        observer->kind = (uint8_t)kind;
    }
}

// Counts the monitor's time up to `now` in the slices, without a call of vcpu_run to come soon.
void observe_stop(struct observer *observer, uint64_t now);
