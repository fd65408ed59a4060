// SPDX-License-Identifier: MIT
// Lock-step: VMs and vCPUs as the threads of a monitor meet them (kernel/vm and arch's CPUID table
// behind the system-call table), and their specification. Guests do what they like at each entry:
// exits for the monitor, for the host, and those that the kernel finishes; meanwhile the threads
// that run them get events, are put off, are killed.
#include <string.h>
#include "kernel/abi/exit_log.h"
#include "kernel/memory/container.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/guest_calls.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"

static uint32_t missing; // thread of the monitor that was killed; 0: none

static bool space_left = true; // regions of the process's address space

static uint32_t own_core(void)
{
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists && guests.cores[i].thread == self) {
            return i;
        }
    }
    return SPEC_NONE;
}

static uint64_t own_handle(void)
{
    uint32_t core = own_core();

    return core != SPEC_NONE && lockstep_chance(96) ? guests.cores[core].handle
                                                    : any_handle(SPEC_HANDLE_CORE);
}

// -- steps: vCPUs ---------------------------------------------------------------------------------

static void make_core(void)
{
    uint64_t number = any_handle(SPEC_HANDLE_GUEST);
    bool writable = lockstep_chance(95);
    uint32_t free = 0;
    uint32_t made = 0;

    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        free += !guests.cores[i].exists;
    }
    if (free < 2) {
        return;
    }
    call(SYS_VCPU_CREATE, number, writable ? PROGRAM_DATA : UNMAPPED, 0, 0);
    enum spec_rule rule =
        core_make_spec(&guests, number, quota, writable, space_left, self, cpu, &next, &made);
    if (rule == SPEC_ALLOWED) {
        uint64_t core = next.handles.entries[made].value;
        struct vcpu_info info;

        vcpus[core] = world_processes[0]->handles.entries[made].object;
        world_read(world_processes[0], PROGRAM_DATA, &info, sizeof(info));
        lockstep_equal("number", info.index, next.cores[core].index);
        lockstep_equal("page", info.page, vcpus[core]->user_page);
    }
    expect("vcpu_create", rule, made);
}

static void read_core(void)
{
    uint64_t number = own_handle();
    uint64_t field =
        lockstep_chance(80) ? lockstep_below(KNOWN_FIELDS) : lockstep_boundary(KNOWN_FIELDS);
    bool writable = lockstep_chance(90);
    uint64_t value;

    call(SYS_VCPU_READ, number, field, writable ? PROGRAM_DATA : PROGRAM_CODE, 0);
    next = guests;
    enum spec_rule rule = core_read_spec(&guests, self, number, field < KNOWN_FIELDS, writable);
    expect("vcpu_read", rule, 0);
    if (rule == SPEC_ALLOWED) {
        world_read(world_processes[0], PROGRAM_DATA, &value, sizeof(value));
        lockstep_equal("value", value, 3 * field);
    }
}

static void make_log(void)
{
    uint64_t number = own_handle();
    uint32_t core = own_core();

    call(SYS_VCPU_LOG, number, 0, 0, 0);
    next = guests;
    enum spec_rule rule = core_log_spec(&guests, self, number, quota, space_left, &next);
    expect("vcpu_log", rule, rule == SPEC_ALLOWED ? vcpus[core]->log_address : 0);
}

static void close_handle(void)
{
    uint64_t number = any_handle(lockstep_chance(35)   ? SPEC_HANDLE_GUEST
                                 : lockstep_chance(97) ? SPEC_HANDLE_CORE
                                                       : HANDLE_CHANNEL);

    if (number < SPEC_HANDLES && guests.handles.entries[number].kind == HANDLE_THREAD) {
        return; // by which the test knows it
    }
    call(SYS_HANDLE_CLOSE, number, 0, 0, 0);
    next = guests;
    expect("handle_close", guest_close_spec(&guests, cpu, number, &next), 0);
}

// -- steps: runs ----------------------------------------------------------------------------------

// The monitor's part of the page.
static void prepare(uint32_t core)
{
    struct vcpu_page *page = vcpus[core]->virt.page;
    uint64_t *registers = guests.cores[core].registers;

    for (uint32_t i = 0; i < 4; i++) {
        static const uint32_t order[] = {GPR_RAX, GPR_RCX, GPR_RDX, GPR_RBX};

        page->gpr[order[i]] = registers[i] = lockstep_random();
    }
    page->event.word = lockstep_chance(20) ? (uint32_t)lockstep_random() : 0;
    page->halted = lockstep_chance(15);
    page->deadline_tsc = lockstep_chance(80)   ? 0
                         : lockstep_chance(80) ? host_tsc + 500 + lockstep_below(3000)
                                               : host_tsc - lockstep_below(2);
    if (page->halted != 0 && page->deadline_tsc > host_tsc) {
        page->deadline_tsc = host_tsc + world_far();
    }
    if (vcpus[core]->log != NULL) {
        vcpus[core]->log->taken = lockstep_chance(60)   ? vcpus[core]->log->written
                                  : lockstep_chance(80) ? vcpus[core]->log->taken
                                                        : lockstep_random();
    }
    if (lockstep_chance(80)) {
        page->events = guests.cores[core].events = 0;
    }
    if (lockstep_chance(10)) {
        world_signal(self, 1 + lockstep_below(255));
    }
    world_forget_exits(core);
}

// The run is over, or the vCPU is halted.
static void check_run(uint32_t core)
{
    static const enum exit_kind kinds[] = {EXIT_NONE, EXIT_EVENT, EXIT_DEADLINE, EXIT_NONE,
                                           EXIT_HLT};
    const struct vcpu_page *page = vcpus[core]->virt.page;
    const struct spec_core *model = &guests.cores[core];

    if (model->phase == SPEC_HALTED) {
        lockstep_equal("sleeps", monitors[self]->state, THREAD_SLEEPING);
        world_guests_compare("a sleep");
        return;
    }
    lockstep_equal("returns", model->phase, SPEC_RETURN);
    world_expect_registers(core, page);
    core_returned_spec(&guests, core, &guests);
    if (has_ended(self)) {
        world_bury_monitor(self);
    } else {
        lockstep_equal("killed", model->returned == SPEC_BY_KILL, false);
        lockstep_equal("status of a run", call_status(), STATUS_OK);
        lockstep_equal("kind", page->exit.kind, kinds[model->returned]);
        lockstep_equal("events told", page->events, model->events);
    }
    world_guests_compare("a run");
}

static void run_core(void)
{
    uint32_t core = own_core();
    uint64_t number = own_handle();
    uint64_t flags = lockstep_chance(60)   ? 0
                     : lockstep_chance(90) ? lockstep_below(4)
                                           : lockstep_boundary(3);
    struct spec_poll poll = {0};

    if (core != SPEC_NONE) {
        prepare(core);
        poll = world_poll(core);
    }
    world_guests_keep();
    enum spec_rule rule = core_run_spec(&guests, self, number, flags, &poll, &guests, &core);
    world_call(cpu, program, SYS_VCPU_RUN, number, flags, 0, 0);
    settle(core);
    if (rule != SPEC_ALLOWED) {
        lockstep_same("vcpu_run", rule, call_status());
        world_guests_kept("vcpu_run");
        return;
    }
    lockstep_counted(SPEC_ALLOWED);
    check_run(core);
}

// True when no other vCPU's deadline would pass with this one's.
static bool is_first(uint64_t deadline)
{
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].phase == SPEC_HALTED && vcpus[i]->virt.page->deadline_tsc != 0 &&
            vcpus[i]->virt.page->deadline_tsc < deadline) {
            return false;
        }
    }
    return deadline != 0;
}

// A thread that sleeps as a halted vCPU is woken by an event, its deadline, or its end.
static void wake_core(void)
{
    for (uint32_t core = 0; core < SPEC_CORES; core++) {
        if (guests.cores[core].phase != SPEC_HALTED) {
            continue;
        }
        const struct vcpu_page *page = vcpus[core]->virt.page;

        self = guests.cores[core].thread;
        cpu = self / 2;
        if (is_first(page->deadline_tsc) && lockstep_chance(50)) {
            host_tsc = page->deadline_tsc;
        } else if (self != 0 && lockstep_chance(3)) {
            world_kill(self);
        } else {
            world_signal(self, 1 + lockstep_below(255));
        }
        const struct spec_poll poll = world_poll(core);
        core_wake_spec(&guests, core, &poll, &guests);
        lockstep_counted(SPEC_ALLOWED);
        program = world_program_of(self);
        settle(core);
        check_run(core);
        return;
    }
}

// -- steps ----------------------------------------------------------------------------------------

static bool replace_dead(void)
{
    for (uint32_t i = 1; i < MONITORS; i++) {
        if (has_ended(i)) {
            world_leave_quota(4000);
            call(SYS_HANDLE_CLOSE, monitor_handles[i], 0, 0, 0);
            (void)guest_close_spec(&guests, cpu, monitor_handles[i], &guests);
            world_learn_others();
            monitors[i] = NULL;
            missing = i;
            return true;
        }
    }
    if (missing != 0) {
        world_make_monitor(cpu, program, missing);
        missing = 0;
        return true;
    }
    return false;
}

// Fills the handle table, so that nothing finds room.
static void fill_handles(void)
{
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        uint32_t number;

        call(SYS_CHANNEL_CREATE, 0, 0, 0, 0);
        enum spec_rule rule = handle_add_spec(
            &guests.handles, (struct spec_handle){HANDLE_CHANNEL, 0}, &guests.handles, &number);
        lockstep_equal("a channel", call_status(), spec_rule_words(rule)->status);
    }
    world_learn_others();
    make_guest();
    make_core();
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        if (guests.handles.entries[i].kind == HANDLE_CHANNEL) {
            call(SYS_HANDLE_CLOSE, i, 0, 0, 0);
            (void)guest_close_spec(&guests, cpu, i, &guests);
        }
    }
    world_learn_others();
}

// Fills the list of the address space's regions.
static void fill_space(void)
{
    static uint64_t addresses[REGION_MAXIMUM];
    uint32_t count = 0;

    for (call(SYS_MEMORY_ALLOCATE, 4096, 0, 0, 0); program->result > 0;
         call(SYS_MEMORY_ALLOCATE, 4096, 0, 0, 0)) {
        addresses[count++] = (uint64_t)program->result;
    }
    lockstep_equal("no more regions", call_status(), STATUS_NO_MEMORY);
    world_learn_others();
    space_left = false;
    make_core();
    make_log();
    space_left = true;
    while (count > 0) {
        call(SYS_MEMORY_FREE, addresses[--count], 4096, 0, 0);
        lockstep_equal("freed", call_status(), STATUS_OK);
    }
    world_learn_others();
}

static void step(void)
{
    static step_function *const steps[] = {
        make_guest,     set_cpuid, set_cpuid, set_msrs,  set_ports, set_ports, set_intercepts,
        ask_statistics, make_core, make_core, make_core, read_core, make_log,  close_handle,
        run_core,       run_core,  run_core,  run_core,  run_core,  run_core};

    if (lockstep_chance(10)) {
        wake_core();
        return;
    }
    cpu = lockstep_below(2);
    self = world_monitor(cpu, &program);
    if (self == SPEC_NONE || lockstep_chance(20)) {
        world_rest(cpu);
        return;
    }
    if (replace_dead()) {
        return;
    }
    if (lockstep_below(40) == 0) {
        world_leave_quota(lockstep_chance(60) ? 4000 : lockstep_below(12));
    }
    if (lockstep_below(2000) == 0) {
        world_leave_quota(4000);
        fill_handles();
    } else if (lockstep_below(1000) == 0) {
        world_leave_quota(4000);
        fill_space();
    } else {
        steps[lockstep_below(ARRAY_COUNT(steps))]();
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_GUEST};

    lockstep_begin(argc, argv, "VMs, vCPUs, exits that the kernel finishes", 300000);
    world_guests_start();
    while ((self = world_monitor(0, &program)) == SPEC_NONE) {
        world_rest(0);
    }
    make_guest(); // without virtualisation
    world_guests_offer();
    while (lockstep_more()) {
        step();
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(exits_of_kind); i++) {
        lockstep_equal("each kind of exit was seen", exits_of_kind[i] > 0, true);
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
