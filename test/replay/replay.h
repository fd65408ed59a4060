// SPDX-License-Identifier: MIT
// The replay of a log of the kernel's events: the specification's machine, what is known of the
// kernel besides, and a step for each event, which changes both as the specification says or says
// what is wrong.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "kernel/abi/event_log.h"
#include "test/replay/log.h"
#include "test/replay/names.h"
#include "test/spec/machine.h"

#define NUMBERS (1u << 20) // of threads, that are told apart for ever

// What the log alone says about a lock.
struct lock_note {
    uint64_t next_ticket; // whose turn it is after this one's
    uint64_t owner_ticket;
    bool owned;
};

struct cpu_note {
    uint32_t thread;     // whose stack the CPU is on; 0: its idle thread's
    uint64_t tsc;        // of its last event
    uint64_t to_release; // lock that a sleep gave up and whose release is yet to be told; 0: none
    uint32_t ended;      // place of the thread that ended here and is not freed yet
    uint32_t chosen;     // place of the waiter that CHOOSE named, until its channel says so
    uint64_t chosen_on;  // condition
    uint64_t guest;      // vCPU whose guest it has entered last
};

// What the log alone says about a vCPU.
struct vcpu_note {
    uint32_t thread; // that entered it first, and alone may
};

struct replay {
    struct spec_machine machine;
    bool booted, over;
    uint64_t order; // of the next event
    struct cpu_note cpus[SPEC_CPUS];
    struct names channels;      // places are those of the machine,
    struct names channel_locks; // here too
    struct names channel_conditions;
    struct names locks;      // of others: place + SPEC_CHANNELS in the machine
    struct names conditions; // of others: place + SPEC_LOCKS in the machine
    struct lock_note lock_notes[SPEC_LOCKS];
    struct names vcpus;
    struct vcpu_note vcpu_notes[NAMES_MAXIMUM];
    uint64_t left_by[SPEC_THREADS]; // what EXIT_USER said last of each thread, + 1; 0: nothing
    uint32_t threads[SPEC_THREADS]; // the log's number of each thread of the machine; 0: none
    uint8_t spawned[NUMBERS / 8];   // which numbers threads have had, the first of them
};

// Why an event is not allowed: a rule of the specification, or words.
struct refusal {
    enum spec_rule rule;
    const char *words; // null: the rule's
    uint64_t expected; // with `numbers`: what the specification says, what the kernel says
    uint64_t found;
    bool numbers;
};

#define ALLOWED ((struct refusal){SPEC_ALLOWED, NULL, 0, 0, false})

static inline struct refusal by_rule(enum spec_rule rule)
{
    return (struct refusal){.rule = rule};
}

static inline struct refusal by_words(const char *words)
{
    return (struct refusal){.words = words};
}

// Allowed when what the kernel says is what the specification says.
static inline struct refusal same(const char *words, uint64_t expected, uint64_t found)
{
    return expected == found ? ALLOWED
                             : (struct refusal){SPEC_ALLOWED, words, expected, found, true};
}

static inline bool is_allowed(const struct refusal *refusal)
{
    return refusal->rule == SPEC_ALLOWED && !refusal->words;
}

typedef struct refusal event_step(struct replay *replay, const struct event_entry *event);

// Before the first event.
void replay_init(struct replay *replay);

// One event.
struct refusal replay_step(struct replay *replay, const struct event_entry *event);

// -- words (words.c) ----------------------------------------------------------------------------

const char *event_name(uint32_t kind);
void event_print(FILE *out, const struct event_entry *event);
void refusal_print(FILE *out, const struct refusal *refusal);
// The machine, and what the numbers in it are in the log.
void replay_print(FILE *out, const struct replay *replay);

// -- steps by subject ---------------------------------------------------------------------------

// The place of a thread in the machine; SPEC_NONE when it is not there.
uint32_t thread_place(const struct replay *replay, uint64_t number);
// The number of the condition in the machine, which is guarded by the lock with that address: a new
// one where it has none. SPEC_NONE: no room, or no such lock.
uint32_t condition_place(struct replay *replay, uint64_t condition, uint64_t lock);
// The number of the lock in the machine; SPEC_NONE when it has none.
uint32_t lock_place(struct replay *replay, uint64_t lock);

event_step step_spawn, step_discard, step_exit, step_sleep, step_wake, step_post, step_take,
    step_kill, step_choose, step_waited, step_run;
event_step step_wait, step_own, step_release, step_channel, step_channel_end, step_claim, step_send,
    step_receive, step_pass, step_split, step_revoke, step_alloc, step_free, step_page_free;
event_step step_exit_user, step_start_user, step_hostout, step_hostin; // modes.c

// The CPU's mode, as its events tell it.
uint64_t replay_mode(const struct spec_cpu *cpu);
// A page goes: so does the vCPU in it, which no CPU may be running.
struct refusal vcpu_page_free(struct replay *replay, const struct event_entry *event);
