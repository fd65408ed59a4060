// SPDX-License-Identifier: MIT
// Checks on several CPUs, booted with "smp SEED MESSAGES ROUNDS LIVES" behind the module's name.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include "smoke.h"

#define SMP_CPUS 64u // at most so many take part

struct smp_options {
    uint64_t seed;
    uint64_t messages;
    uint64_t rounds; // of wake-ups and shootdowns
    uint64_t lives;  // of each of the containers that come and go at a time
    uint32_t cpus;
};

extern struct smp_options smp;

// A stack for a thread; each number once in a test.
void *smp_stack_top(uint32_t number);

// Starts a thread of CPU `cpu` on stack `number`; counts a failure if that does not work.
uint32_t smp_thread(uint32_t cpu, uint32_t number, void (*entry)(uint64_t), uint64_t argument);

// Waits, asleep, until *counter is `value`; counts a failure after a minute.
void smp_wait_for(const char *what, const _Atomic uint64_t *counter, uint64_t value);

uint64_t smp_random(uint64_t *state);

void test_smp_messages(void);   // smoke_mesh.c
void test_smp_wakes(void);      // smoke_smp.c
void test_smp_shootdown(void);  // smoke_smp.c
void test_smp_containers(void); // smoke_storm.c
void test_smp_guests(void);     // smoke_smp_vm.c

// The paste, booted with "paste BYTES SENDERS LAZY" (smoke_paste.c).
struct paste_options {
    uint64_t bytes;
    uint64_t senders; // processes that print, at most 7
    uint64_t lazy;    // milliseconds that the reader sleeps between two looks
};

extern struct paste_options paste;

void test_paste(void);
int64_t role_paste(void);

int64_t role_mesh(void);    // smoke_mesh.c
int64_t role_storm(void);   // smoke_storm.c
int64_t role_machine(void); // smoke_smp_vm.c
