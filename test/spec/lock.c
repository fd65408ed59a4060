// SPDX-License-Identifier: MIT
// Locks (machine.h): first come, first served, in the written order, channel locks never nested.
#include "test/spec/machine.h"
#include "test/spec/machine_private.h"

void spec_lock_add(struct spec_machine *machine, uint32_t lock, uint32_t rank)
{
    machine->locks[lock] = (struct spec_lock){.exists = true, .rank = rank, .holder = SPEC_NONE};
}

bool spec_lock_held(const struct spec_machine *now, uint32_t cpu, uint32_t lock)
{
    return lock < SPEC_LOCKS && now->locks[lock].exists && now->locks[lock].holder == cpu;
}

uint32_t spec_condition_lock(const struct spec_machine *now, uint32_t condition)
{
    if (condition < SPEC_LOCKS) {
        return condition;
    }
    return condition < SPEC_CONDITIONS ? now->guards[condition - SPEC_LOCKS] : SPEC_NONE;
}

static bool holds_channel_lock(const struct spec_cpu *cpu)
{
    for (uint32_t i = 0; i < cpu->held_count; i++) {
        if (cpu->held[i] < SPEC_CHANNELS) {
            return true;
        }
    }
    return false;
}

static bool in_order(const struct spec_machine *now, const struct spec_cpu *cpu, uint32_t lock)
{
    for (uint32_t i = 0; i < cpu->held_count; i++) {
        if (now->locks[cpu->held[i]].rank >= now->locks[lock].rank) {
            return false;
        }
    }
    return true;
}

enum spec_rule acquire_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                                 struct spec_machine *next)
{
    const struct spec_cpu *here = &now->cpus[cpu];

    if (lock >= SPEC_LOCKS || !now->locks[lock].exists) {
        return ACQUIRE_EXISTS;
    }
    if (!here->mode.init) {
        return ACQUIRE_INIT;
    }
    if (!here->mode.ikern || !here->mode.ihost) {
        return ACQUIRE_MODE;
    }
    if (here->waits_for != SPEC_NONE) {
        return ACQUIRE_WAITS;
    }
    if (lock < SPEC_CHANNELS && holds_channel_lock(here)) {
        return ACQUIRE_NESTED;
    }
    if (!in_order(now, here, lock)) {
        return ACQUIRE_ORDER;
    }
    if (here->held_count == SPEC_LOCK_DEPTH) {
        return ACQUIRE_DEPTH;
    }
    spec_begin(now, next);
    next->cpus[cpu].waits_for = lock;
    next->cpus[cpu].ticket = next->clock++;
    return SPEC_ALLOWED;
}

// True when no CPU has waited for the lock longer than `cpu`.
static bool its_turn(const struct spec_machine *now, uint32_t cpu, uint32_t lock)
{
    for (uint32_t i = 0; i < now->cpu_count; i++) {
        if (now->cpus[i].waits_for == lock && now->cpus[i].ticket < now->cpus[cpu].ticket) {
            return false;
        }
    }
    return true;
}

enum spec_rule own_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                             struct spec_machine *next)
{
    if (lock >= SPEC_LOCKS || now->cpus[cpu].waits_for != lock) {
        return OWN_WAITS;
    }
    if (now->locks[lock].holder != SPEC_NONE) {
        return OWN_FREE;
    }
    if (!its_turn(now, cpu, lock)) {
        return OWN_TURN;
    }
    spec_begin(now, next);
    next->cpus[cpu].waits_for = SPEC_NONE;
    next->cpus[cpu].held[next->cpus[cpu].held_count++] = lock;
    next->locks[lock].holder = cpu;
    return SPEC_ALLOWED;
}

enum spec_rule release_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                                 struct spec_machine *next)
{
    if (!now->cpus[cpu].mode.init) {
        return RELEASE_INIT;
    }
    if (!spec_lock_held(now, cpu, lock)) {
        return RELEASE_HELD;
    }
    spec_begin(now, next);
    spec_drop_lock(next, cpu, lock);
    return SPEC_ALLOWED;
}

void spec_drop_lock(struct spec_machine *machine, uint32_t cpu, uint32_t lock)
{
    struct spec_cpu *here = &machine->cpus[cpu];
    uint32_t kept = 0;

    for (uint32_t i = 0; i < here->held_count; i++) {
        if (here->held[i] != lock) {
            here->held[kept++] = here->held[i];
        }
    }
    here->held_count = kept;
    here->held[kept] = 0;
    machine->locks[lock].holder = SPEC_NONE;
}
