// SPDX-License-Identifier: MIT
// What the files of the machine's specification share.
#pragma once

#include "test/spec/machine.h"

// Makes *next equal to *now, whatever is the same already.
static inline void spec_begin(const struct spec_machine *now, struct spec_machine *next)
{
    if (next != now) {
        *next = *now;
    }
}

// True when the CPU neither holds nor waits for a lock.
static inline bool spec_lock_free(const struct spec_machine *now, uint32_t cpu)
{
    return now->cpus[cpu].held_count == 0 && now->cpus[cpu].waits_for == SPEC_NONE;
}

static inline bool spec_thread_exists(const struct spec_machine *now, uint32_t thread)
{
    return thread < SPEC_THREADS && now->threads[thread].state != SPEC_UNUSED;
}

static inline bool spec_container_used(const struct spec_machine *now, uint32_t id)
{
    return id < SPEC_CONTAINERS && now->containers.slots[id].used;
}

// Takes the lock from the CPU that holds it.
void spec_drop_lock(struct spec_machine *machine, uint32_t cpu, uint32_t lock);

// SLEEPING to READY, or into the queue of its CPU; nothing in other states.
void spec_wake(struct spec_machine *machine, uint32_t cpu, uint32_t thread);
