// SPDX-License-Identifier: MIT
// Calls of the lock-step test of VMs (guest_calls.h).
#include "test/host/lockstep/guest_calls.h"
#include "kernel/memory/container.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"

// Who acts.
uint32_t cpu;
uint32_t self;
struct program *program;
struct spec_guests next;
uint64_t quota;

enum status call_status(void)
{
    return program->result < 0 ? (enum status) - program->result : STATUS_OK;
}

bool has_ended(uint32_t monitor)
{
    return monitors[monitor] != NULL && monitors[monitor]->state == THREAD_DEAD;
}

// Lets the caller's CPU run until the call is over, or its thread sleeps as a halted vCPU.
void settle(uint32_t core)
{
    for (uint32_t i = 0; i < 2000 && !program->done && !has_ended(self); i++) {
        if (core != SPEC_NONE && guests.cores[core].phase == SPEC_HALTED &&
            monitors[self]->state == THREAD_SLEEPING) {
            return;
        }
        host_run(cpu);
    }
    lockstep_equal("the call is over", program->done || has_ended(self), true);
}

// Makes a call that neither sleeps nor runs a guest.
void call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    world_guests_keep();
    quota = world_quota();
    world_call(cpu, program, number, a, b, c, d);
    settle(SPEC_NONE);
}

void expect(const char *what, enum spec_rule rule, uint64_t result)
{
    lockstep_same(what, rule, call_status());
    if (rule == SPEC_ALLOWED) {
        guests = next;
        lockstep_equal(what, (uint64_t)program->result, result);
    } else {
        world_guests_kept(what);
    }
    world_guests_compare(what);
}

uint64_t any_handle(uint32_t kind)
{
    uint32_t first = lockstep_below(SPEC_HANDLES);

    if (lockstep_chance(4)) {
        return lockstep_chance(50) ? lockstep_boundary(SPEC_HANDLES) : lockstep_below(8);
    }
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        uint32_t number = (first + i) % SPEC_HANDLES;

        if (guests.handles.entries[number].kind == kind) {
            return number;
        }
    }
    return first;
}

// -- steps: VMs -----------------------------------------------------------------------------------

void make_guest(void)
{
    uint32_t free = 0;
    uint32_t number = 0;

    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        free += !guests.guests[i].exists;
    }
    if (free < 2) {
        return;
    }
    call(SYS_VM_CREATE, 0, 0, 0, 0);
    enum spec_rule rule = guest_make_spec(&guests, quota, &next, &number);
    if (rule == SPEC_ALLOWED) {
        vms[next.handles.entries[number].value] =
            world_processes[0]->handles.entries[number].object;
    }
    expect("vm_create", rule, number);
}

void set_cpuid(void)
{
    static struct spec_cpuid entries[SPEC_CPUID_ENTRIES];
    static const uint32_t leaves[] = {0, 1, 7, 0xd, 0x100, 0x40000000, 0x80000000, 0x80000001};
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    uint64_t count = lockstep_chance(60)   ? lockstep_below(12)
                     : lockstep_chance(50) ? lockstep_below(129)
                                           : lockstep_boundary(SPEC_CPUID_ENTRIES);
    bool readable = count == 0 || lockstep_chance(95);

    for (uint64_t i = 0; i < SPEC_CPUID_ENTRIES; i++) {
        entries[i] = (struct spec_cpuid){leaves[lockstep_below(8)],   lockstep_below(3),
                                         lockstep_below(8),           (uint32_t)lockstep_random(),
                                         (uint32_t)lockstep_random(), (uint32_t)lockstep_random(),
                                         (uint32_t)lockstep_random()};
        if (lockstep_chance(85)) {
            entries[i].flags &= ~SPEC_CPUID_ASK;
        }
    }
    if (lockstep_chance(10)) {
        entries[lockstep_below((uint32_t)(count % 128) + 1) % 128].flags |= 8u
                                                                            << lockstep_below(29);
    }
    world_write(world_processes[0], PROGRAM_DATA, entries, sizeof(entries));
    call(SYS_VM_SET_CPUID, number, readable ? PROGRAM_DATA : UNMAPPED, count, 0);
    next = guests;
    expect("vm_set_cpuid",
           guest_cpuid_spec(&guests, number, quota, readable, entries, count, &next), 0);
}

void set_msrs(void)
{
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    uint64_t first = lockstep_chance(90) ? MSRS_FIRST - 3 + lockstep_below(0x108)
                                         : lockstep_boundary(UINT32_MAX);
    uint64_t last = lockstep_chance(90) ? first + lockstep_below(8) : lockstep_boundary(UINT32_MAX);
    uint64_t policy = lockstep_chance(90) ? lockstep_below(2) : lockstep_boundary(1);

    call(SYS_VM_SET_MSR, number, first, last, policy);
    next = guests;
    expect("vm_set_msr",
           guest_msrs_spec(&guests, number, first, last, policy,
                           first >= MSRS_FIRST && last <= MSRS_LAST),
           0);
}

void set_ports(void)
{
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    uint64_t first = lockstep_chance(80) ? lockstep_below(256) : lockstep_boundary(0xffff);
    uint64_t last = lockstep_chance(80) ? first + lockstep_below(100) : lockstep_boundary(0xffff);
    uint64_t policy = lockstep_chance(95) ? lockstep_chance(65) : lockstep_boundary(1);

    if (lockstep_chance(5)) {
        first = 0;
        last = 0xffff;
    }
    call(SYS_VM_SET_PORT, number, first, last, policy);
    next = guests;
    expect("vm_set_port", guest_ports_spec(&guests, number, first, last, policy, &next), 0);
}

void set_intercepts(void)
{
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    uint64_t wanted = lockstep_chance(80) ? lockstep_below(0x100) : lockstep_boundary(UINT32_MAX);
    uint32_t lacking = 0;

    call(SYS_VM_INTERCEPT, number, wanted, 0, 0);
    enum spec_rule rule =
        guest_intercept_spec(&guests, number, wanted, INTERCEPTS, &next, &lacking);
    expect("vm_intercept", rule, lacking);
}

void ask_statistics(void)
{
    struct vm_statistics told;
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    bool writable = lockstep_chance(90);
    uint32_t guest = 0;
    uint64_t finished = 0;

    call(SYS_VM_STATISTICS, number, writable ? PROGRAM_DATA : PROGRAM_CODE, 0, 0);
    next = guests;
    enum spec_rule rule = guest_statistics_spec(&guests, number, writable);
    expect("vm_statistics", rule, 0);
    if (rule == SPEC_ALLOWED) {
        world_read(world_processes[0], PROGRAM_DATA, &told, sizeof(told));
        for (uint32_t i = 0; i < SPEC_EXIT_REASONS; i++) {
            finished += told.kernel_by_reason[i];
        }
        lockstep_equal("sum by reason", told.exits_in_kernel, finished);
        (void)guest_find_spec(&guests, number, &guest);
        for (uint32_t i = 0; i < SPEC_CORES; i++) { // of the others the handles are closed
            if (guests.cores[i].exists && guests.cores[i].guest == guest) {
                told.exits_to_monitor -= guests.cores[i].to_monitor;
            }
        }
        lockstep_equal("exits to the monitor", told.exits_to_monitor >> 63, 0);
    }
}
