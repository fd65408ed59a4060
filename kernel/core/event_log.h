// SPDX-License-Identifier: MIT
// The kernel's event log, for runs whose command line says "events": what is done to locks,
// threads, channels, containers and modes, in one order for all CPUs, so that test/replay can check
// it against the specification. It stays in memory, where the emulator's user reads it from outside
// (kernel/abi/event_log.h). Off, an event costs one branch that is predicted.
//
// Order numbers come from one counter. What is done under a lock is numbered under it: owning after
// it was taken, releasing before it is freed. So the order agrees with that of each lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/event_log.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

extern bool event_log_on; // set at boot, before a second CPU runs

// Writes an event of the running thread; see kernel/abi/event_log.h for what the words are.
//@ terminates \true; assigns \nothing;
RARELY_CALLED void event_log_write(enum event_kind kind, uint64_t object, uint64_t value,
                                   uint64_t state);

//@ terminates \true; assigns \nothing;
static inline void event_log(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    if (UNLIKELY(event_log_on)) {
        event_log_write(kind, object, value, state);
    }
}

// The same if `status` says that it was done. Else the words are not even looked at.
#define EVENT_LOG_DONE(status, ...)                                                                \
    do {                                                                                           \
        if (UNLIKELY(event_log_on) && (status) == STATUS_OK) {                                     \
            event_log_write(__VA_ARGS__);                                                          \
        }                                                                                          \
    } while (0)

// The same about something named by its address.
//@ terminates \true; assigns \nothing;
static inline void event_log_of(enum event_kind kind, const void *object, uint64_t value,
                                uint64_t state)
{
    event_log(kind, (uint64_t)(uintptr_t)object, value, state);
}

// Turns the log on if the command line asks for it. Once, when there is memory.
void event_log_start(void);

// Ends the log, for the end of the run: waits a bounded time until the reader has all of it.
void event_log_end(uint32_t status);
