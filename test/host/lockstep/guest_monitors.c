// SPDX-License-Identifier: MIT
// The monitor of guest_world.h: its threads and its container; and the comparison of the kernel's
// VMs with the specification's.
#include <string.h>
#include "kernel/abi/exit_log.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/vm.h"
#include "test/host/lockstep/guest_world.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"

static uint64_t held;   // pages that nobody else shall have
static uint64_t others; // pages that threads and the program take

// -- the container --------------------------------------------------------------------------------

static struct container *root(void)
{
    return &kernel_containers.slots[CONTAINER_ROOT];
}

uint64_t world_quota(void)
{
    return root()->quota - root()->usage;
}

static void change_held(void *left)
{
    lockstep_equal("give back", container_free(&kernel_containers, CONTAINER_ROOT, held),
                   STATUS_OK);
    held = world_quota() > *(uint64_t *)left ? world_quota() - *(uint64_t *)left : 0;
    lockstep_equal("take", container_alloc(&kernel_containers, CONTAINER_ROOT, held), STATUS_OK);
}

void world_leave_quota(uint64_t pages)
{
    host_on_cpu(OUTSIDE_CPU, change_held, &pages);
}

void world_learn_others(void)
{
    others = root()->usage - held - spec_guests_pages(&guests);
}

// -- threads --------------------------------------------------------------------------------------

struct program *world_program_of(uint32_t monitor)
{
    return world_thread_program(monitors[monitor]);
}

uint32_t world_monitor(uint32_t cpu, struct program **program)
{
    uint32_t thread = SPEC_NONE;

    *program = world_program(cpu, &thread);
    return *program != NULL ? thread : SPEC_NONE;
}

void world_make_monitor(uint32_t cpu, struct program *program, uint32_t index)
{
    uint32_t number;

    world_call(cpu, program, SYS_THREAD_CREATE, PROGRAM_CODE, PROGRAM_DATA, 0,
               THREAD_CPU(index / 2));
    while (!program->done) {
        host_run(cpu);
    }
    lockstep_equal("a thread", program->result > 0, true);
    enum spec_rule rule = handle_add_spec(
        &guests.handles, (struct spec_handle){HANDLE_THREAD, index}, &guests.handles, &number);
    lockstep_equal("a handle", rule, SPEC_ALLOWED);
    lockstep_equal("its number", number, (uint64_t)program->result);
    monitors[index] = world_processes[0]->handles.entries[number].object;
    monitor_handles[index] = number;
    world_threads[index] = monitors[index];
    spec.threads[index] = (struct spec_process_thread){.exists = true, .alive = true};
    world_learn_others();
    for (uint32_t i = 0; i < 8; i++) { // until it is in ring 3
        world_rest(index / 2);
    }
}

static void offer(void *unused)
{
    (void)unused;
    virt_init();
}

void world_guests_offer(void)
{
    host_on_cpu(0, offer, NULL);
    lockstep_equal("virtualisation", virt_support()->lack, VM_LACKS_NOTHING);
    guests.offered = true;
}

void world_guests_start(void)
{
    struct program *program;

    world_start();
    world_modes_start();
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        const struct handle *handle = &world_processes[0]->handles.entries[i];

        guests.handles.entries[i] = (struct spec_handle){handle->kind, handle->value};
    }
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        guests.cores[i].thread = SPEC_NONE;
    }
    monitors[0] = world_threads[0];
    monitor_handles[0] = SPEC_NONE;
    for (uint32_t i = 1; i < MONITORS; i++) {
        while (world_monitor(0, &program) == SPEC_NONE) {
            world_rest(0);
        }
        world_make_monitor(0, program, i);
    }
}

void world_bury_monitor(uint32_t index)
{
    lockstep_equal("only who was killed ends", thread_is_killed(monitors[index]), true);
    core_thread_ended_spec(&guests, index, &guests);
    spec.threads[index].alive = false;
    world_program_of(index)->thread = NULL;
    others -= spec.thread_pages;
}

// -- comparing ------------------------------------------------------------------------------------

static void compare_handles(void)
{
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        const struct handle *product = &world_processes[0]->handles.entries[i];
        const struct spec_handle *model = &guests.handles.entries[i];

        lockstep_equal("kind of a handle", product->kind, model->kind);
        if (model->kind == SPEC_HANDLE_GUEST) {
            lockstep_equal("its VM", product->value, (uint64_t)vms[model->value]);
        } else if (model->kind == SPEC_HANDLE_CORE) {
            lockstep_equal("its vCPU", product->value, (uint64_t)vcpus[model->value]);
        }
    }
}

static void compare_guest(uint32_t index)
{
    const struct spec_guest *model = &guests.guests[index];
    const struct vm *vm = vms[index];
    uint32_t references = 0;

    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        references += guests.cores[i].exists && guests.cores[i].guest == index;
    }
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        references += guests.handles.entries[i].kind == SPEC_HANDLE_GUEST &&
                      guests.handles.entries[i].value == index;
    }
    lockstep_equal("references to a VM", vm->object.references, references);
    lockstep_equal("vCPUs", vm->vcpu_count, model->cores);
    lockstep_equal("intercepts", vm->virt.intercepts, model->intercepts);
    for (uint32_t i = 0; i < VIRT_PORT_MAP_PAGES; i++) {
        if (memcmp(vm->virt.port_map[i], &model->floating[(size_t)i * 512], 4096) != 0) {
            lockstep_fail("other ports float than the specification says");
        }
    }
}

static void compare_records(const struct spec_core *model, const struct vcpu_log *log)
{
    lockstep_equal("complete records", log->written, model->begun > 0 ? model->begun - 1 : 0);
    lockstep_equal("lost records", log->lost, model->lost);
    for (uint32_t i = 0; i < SPEC_LOG_RECORDS; i++) {
        const struct exit_record *record = &log->records[i];
        const struct spec_exit_record *expected = &model->records[i];

        if (i < model->begun) { // the slot before the first record's is written too
            lockstep_equal("time of an exit", record->exited, expected->exited);
            lockstep_equal("time of the entry", record->resumed, expected->resumed);
            lockstep_equal("event", record->event, expected->event);
            lockstep_equal("before", memcmp(record->before, expected->before, 32), 0);
            lockstep_equal("after", memcmp(record->after, expected->after, 32), 0);
        }
    }
}

static void compare_core(uint32_t index)
{
    const struct spec_core *model = &guests.cores[index];
    const struct vcpu *vcpu = vcpus[index];
    const struct thread *thread = model->thread != SPEC_NONE ? monitors[model->thread] : NULL;

    lockstep_equal("VM", (uint64_t)vcpu->vm, (uint64_t)vms[model->guest]);
    lockstep_equal("thread", (uint64_t)vcpu->thread, (uint64_t)thread);
    lockstep_equal("the thread's", thread == NULL || thread->vcpu == vcpu, true);
    lockstep_equal("attached", vcpu->attached, thread != NULL);
    lockstep_equal("number", vcpu->index, model->index);
    lockstep_equal("handle", vcpu->handle, model->handle);
    lockstep_equal("running", vcpu->running, model->phase != SPEC_OUTSIDE);
    lockstep_equal("exits to the monitor", vcpu->exits_to_monitor, model->to_monitor);
    for (uint32_t i = 0; i < SPEC_EXIT_REASONS; i++) {
        lockstep_equal("exits in the kernel", vcpu->virt.finished[i], model->finished[i]);
    }
    lockstep_equal("log", vcpu->log != NULL, model->has_log);
    if (model->has_log) {
        compare_records(model, vcpu->log);
    }
}

void world_guests_compare(const char *what)
{
    const char *broken = spec_guests_invariant(&guests);

    compare_handles();
    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        if (guests.guests[i].exists) {
            compare_guest(i);
        }
    }
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists) {
            compare_core(i);
        }
    }
    world_expect_handled();
    lockstep_equal(what, root()->usage, others + held + spec_guests_pages(&guests));
    if (broken != NULL) {
        lockstep_fail("after %s it does not hold any more that %s", what, broken);
    }
}

// -- what a refusal leaves as it is ---------------------------------------------------------------

static struct vm kept_vms[SPEC_GUESTS];
static struct vcpu kept_vcpus[SPEC_CORES];
static struct vcpu_page kept_pages[SPEC_CORES];
static struct region_list kept_regions;
static uint64_t kept_free;

static void count_free(void *count)
{
    *(uint64_t *)count = page_free_count(&kernel_pages);
}

void world_guests_keep(void)
{
    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        if (guests.guests[i].exists) {
            memcpy(&kept_vms[i], vms[i], sizeof(kept_vms[i]));
        }
    }
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists) {
            memcpy(&kept_vcpus[i], vcpus[i], sizeof(kept_vcpus[i]));
            kept_pages[i] = *vcpus[i]->virt.page;
        }
    }
    kept_regions = *world_processes[0]->space.regions;
    host_on_cpu(OUTSIDE_CPU, count_free, &kept_free);
}

// But for what the way there touches: a VM's lock is taken, and a vCPU is loaded where another
// one's state was.
void world_guests_kept(const char *what)
{
    uint64_t free;

    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        if (guests.guests[i].exists) {
            const struct lockstep_field fields[] = {LOCKSTEP_FIELD(vms[i]->lock),
                                                    LOCKSTEP_FIELD(vms[i]->cpus)};

            lockstep_only(what, vms[i], &kept_vms[i], sizeof(kept_vms[i]), fields, 2);
        }
    }
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (guests.cores[i].exists) {
            const struct lockstep_field fields[] = {LOCKSTEP_FIELD(vcpus[i]->loaded)};

            lockstep_only(what, vcpus[i], &kept_vcpus[i], sizeof(kept_vcpus[i]), fields, 1);
            lockstep_only(what, vcpus[i]->virt.page, &kept_pages[i], sizeof(kept_pages[i]), NULL,
                          0);
        }
    }
    lockstep_only(what, world_processes[0]->space.regions, &kept_regions,
                  offsetof(struct region_list, entries) +
                      kept_regions.count * sizeof(kept_regions.entries[0]),
                  NULL, 0);
    host_on_cpu(OUTSIDE_CPU, count_free, &free);
    lockstep_equal(what, free, kept_free);
}
