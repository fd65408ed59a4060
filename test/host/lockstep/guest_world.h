// SPDX-License-Identifier: MIT
// The world of the lock-step test of VMs: the first process of process_world.h with several threads
// as a monitor, the kernel's own kernel/vm, and a backend that stands for the processor's. What its
// guests do is chosen at random at each entry. guest_world.c keeps it, guest_compare.c compares it
// with the specification, lockstep_guest.c drives it.
#pragma once

#include "kernel/vm/objects.h"
#include "test/host/lockstep/process_world.h"
#include "test/spec/guest.h"

#define MONITORS     4u     // threads, two on each of the first two CPUs
#define OUTSIDE_CPU  3u     // from where threads are signalled
#define MSRS_FIRST   0x100u // that the backend keeps
#define MSRS_LAST    0x1ffu
#define INTERCEPTS   0xffu // that it has
#define KNOWN_FIELDS 20u

extern struct spec_guests guests;
extern struct thread *monitors[MONITORS]; // null: it was killed
extern uint32_t monitor_handles[MONITORS];
extern struct vm *vms[SPEC_GUESTS]; // where the kernel has them
extern struct vcpu *vcpus[SPEC_CORES];
extern uint64_t exits_of_kind[SPEC_EXIT_TIMER + 1]; // that the guests had

// Makes the world; virtualisation is off until world_guests_offer.
void world_guests_start(void);
void world_guests_offer(void);
void world_modes_start(void);

// The monitor thread that is in ring 3 on the CPU; SPEC_NONE: none.
uint32_t world_monitor(uint32_t cpu, struct program **program);
struct program *world_program_of(uint32_t monitor);
// Makes thread `index` anew, by a call of a thread of the monitor.
void world_make_monitor(uint32_t cpu, struct program *program, uint32_t index);

// It has been killed, and has ended: what it was is gone, but for its struct and its vCPU.
void world_bury_monitor(uint32_t index);

// What the kernel finds when it looks up from a run of the vCPU.
struct spec_poll world_poll(uint32_t core);
void world_signal(uint32_t monitor, uint64_t bits);
void world_kill(uint32_t monitor);

// The page holds the registers that the specification says; what the last exit was is forgotten.
void world_expect_registers(uint32_t core, const struct vcpu_page *page);
void world_forget_exits(uint32_t core);
// Each exit for the host has gone to the host's handler, once.
void world_expect_handled(void);

// Ticks after which no two things happen at once.
uint64_t world_far(void);

// How many pages the container of the monitor has left; and leaves it that many.
uint64_t world_quota(void);
void world_leave_quota(uint64_t pages);
void world_learn_others(void); // what else is charged there

// Compares all of it.
void world_guests_compare(const char *what);
// Keeps the VMs and the vCPUs as they are now; fails when they are other ones.
void world_guests_keep(void);
void world_guests_kept(const char *what);
