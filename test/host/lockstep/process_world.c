// SPDX-License-Identifier: MIT
// The world of process_world.h: its beginning, its programs, and the comparison of the kernel's
// processes with the specification's.
#include "test/host/lockstep/process_world.h"
#include <string.h>
#include "arch/x86/cpu/trap_internal.h"
#include "drivers/serial.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/system_calls.h"
#include "kernel/ipc/channel.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/process/module.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"

#define ROUNDS   400u   // that all CPUs get at the most until somebody has ended
#define MODULES  2u     // a program, and something else
#define REST     10000u // ticks
#define PROGRAMS 256u

struct spec_processes spec;
struct process *world_processes[SPEC_PROCESSES];
struct thread *world_threads[SPEC_PROCESS_THREADS];
void *world_channels[SPEC_PROCESS_CHANNELS];

static struct program programs[PROGRAMS];

// -- programs ------------------------------------------------------------------------------------

struct program *world_thread_program(const struct thread *thread)
{
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        if (programs[i].thread == thread) {
            return &programs[i];
        }
    }
    return NULL;
}

// As SYSENTER does.
static int64_t system_call(uint64_t number, const uint64_t arguments[4])
{
    this_cpu()->mode = MODE_KERNEL;
    return system_call_table[number](arguments[0], arguments[1], arguments[2], arguments[3], 0);
}

static void take_trap(uint64_t vector, uint64_t rip)
{
    struct trap_frame frame = {.vector = vector, .rip = rip, .cs = SELECTOR_USER_CODE};

    trap_dispatch(&frame);
}

static void rest(struct program *program)
{
    const uint64_t arguments[4] = {host_tsc + REST};

    take_trap(INTERRUPT_WAKE, PROGRAM_CODE);
    program->events |= (uint64_t)system_call(SYS_EVENT_WAIT, arguments);
}

// What stands for ring 3: obeys orders, and rests while there are none.
NORETURN void __wrap_user_enter(uint64_t rip, uint64_t rsp, uint64_t rdi);

NORETURN void __wrap_user_enter(uint64_t rip, uint64_t rsp, uint64_t rdi)
{
    struct program *program = world_thread_program(NULL); // a free one

    (void)rdi;
    lockstep_equal("stack", rsp < USER_LIMIT && rip < USER_LIMIT, true);
    *program = (struct program){.thread = current_thread(), .done = true};
    for (;;) {
        host_pause();
        if (!program->ordered) {
            rest(program);
            continue;
        }
        program->ordered = false;
        if (program->faults) {
            take_trap(program->number, program->arguments[1]);
        } else {
            program->result = system_call(program->number, program->arguments);
        }
        program->done = true;
    }
}

struct program *world_program(uint32_t cpu, uint32_t *thread)
{
    const struct thread *running = scheduler_of(cpu)->running;

    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        if (spec.threads[i].alive && world_threads[i] == running) {
            *thread = i;
            return world_thread_program(running);
        }
    }
    return NULL;
}

void world_rest(uint32_t cpu)
{
    host_tsc += REST / 5;
    host_run(cpu);
}

static void order(uint32_t cpu, struct program *program)
{
    program->ordered = true;
    program->done = false;
    host_run(cpu);
}

void world_call(uint32_t cpu, struct program *program, uint64_t number, uint64_t a, uint64_t b,
                uint64_t c, uint64_t d)
{
    program->faults = false;
    program->number = number;
    memcpy(program->arguments, (uint64_t[]){a, b, c, d}, sizeof(program->arguments));
    order(cpu, program);
}

void world_fault(uint32_t cpu, struct program *program, uint64_t vector, uint64_t address,
                 uint64_t rip)
{
    host_processors[cpu].registers[HOST_CR2] = address;
    program->faults = true;
    program->number = vector;
    program->arguments[1] = rip;
    order(cpu, program);
}

// -- comparing -----------------------------------------------------------------------------------

static void compare_containers(void)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        const struct container *product = &kernel_containers.slots[i];
        const struct spec_container *model = &spec.containers.slots[i];

        lockstep_equal("container used", product->used, model->used);
        lockstep_equal("generation", product->generation, model->generation);
        if (model->used) {
            lockstep_equal("quota", product->quota, model->quota);
            lockstep_equal("usage", product->usage, model->usage);
        }
    }
}

static uint64_t object_of(const struct spec_handle *handle)
{
    switch (handle->kind) {
    case SPEC_HANDLE_PROCESS:
        return (uint64_t)(uintptr_t)world_processes[handle->value];
    case SPEC_HANDLE_THREAD:
        return (uint64_t)(uintptr_t)world_threads[handle->value];
    case SPEC_HANDLE_CHANNEL:
        return (uint64_t)(uintptr_t)world_channels[handle->value];
    default:
        return handle->value;
    }
}

static uint32_t names[SPEC_HANDLE_CHANNEL + 1][SPEC_PROCESS_THREADS]; // handles of each object

static void compare_handles(uint32_t index)
{
    const struct spec_handles *handles = &spec.processes[index].handles;

    for (uint32_t i = 0; i < HANDLE_MAXIMUM; i++) {
        const struct handle *product = &world_processes[index]->handles.entries[i];
        const struct spec_handle *model = &handles->entries[i];

        lockstep_equal("kind of a handle", product->kind, model->kind);
        if (model->kind != 0) {
            lockstep_equal("what a handle names", product->value, object_of(model));
        }
        if (model->kind != 0 && model->kind != SPEC_HANDLE_CONTAINER) {
            names[model->kind][model->value]++;
        }
    }
}

static void compare_process(uint32_t index)
{
    const struct spec_process *model = &spec.processes[index];
    const struct process *product = world_processes[index];
    uint32_t threads = 0;

    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        threads += spec.threads[i].alive && spec.threads[i].process == index;
    }
    lockstep_equal("ended", product->status.ended, !model->alive);
    lockstep_equal("threads", product->threads.length, threads);
    lockstep_equal("priority", product->priority, model->priority);
    lockstep_equal("device owner", product->is_root, model->is_root);
    lockstep_equal("container", product->container, model->container);
    if (model->alive) {
        compare_handles(index);
    } else {
        lockstep_equal("code", product->status.code, model->code);
        lockstep_equal("vector", product->status.vector, model->vector);
        lockstep_equal("by an exception", product->status.faulted, model->faulted);
    }
}

// Each object is held by whom the specification says, no more and no less.
static void compare_references(void)
{
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        if (spec.processes[i].exists) {
            lockstep_equal("references to a process", world_processes[i]->object.references,
                           names[SPEC_HANDLE_PROCESS][i] + spec.processes[i].alive);
        }
    }
    for (uint32_t i = 0; i < SPEC_PROCESS_CHANNELS; i++) {
        if (spec.channels[i].exists) {
            lockstep_equal("references to a channel",
                           ((const struct channel *)world_channels[i])->object.references,
                           names[SPEC_HANDLE_CHANNEL][i]);
        }
    }
}

// A thread has got, or will get, the events that were sent to it, and no others. One that waits for
// its turn may have taken them and not come back with them yet.
static void compare_events(void)
{
    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        if (spec.threads[i].alive) {
            const struct program *program = world_thread_program(world_threads[i]);
            uint64_t events = world_threads[i]->events | (program ? program->events : 0);
            bool between = world_threads[i]->state == THREAD_READY;

            lockstep_equal("events", events,
                           between ? spec.threads[i].events & events : spec.threads[i].events);
        }
    }
}

static void compare(const char *what)
{
    memset(names, 0, sizeof(names));
    compare_containers();
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        if (spec.processes[i].exists) {
            compare_process(i);
        }
    }
    compare_references();
    compare_events();
    const char *broken = spec_processes_invariant(&spec);
    if (broken != NULL) {
        lockstep_fail("after %s it does not hold any more that %s", what, broken);
    }
}

// -- coming to rest ------------------------------------------------------------------------------

static bool charges_agree(void)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        const struct container *product = &kernel_containers.slots[i];
        const struct spec_container *model = &spec.containers.slots[i];

        if (product->used != model->used || (model->used && product->usage != model->usage)) {
            return false;
        }
    }
    return true;
}

// Forgets programs whose threads have ended.
static void bury(void)
{
    for (uint32_t i = 0; i < PROGRAMS; i++) {
        bool alive = false;

        for (uint32_t k = 0; k < SPEC_PROCESS_THREADS && programs[i].thread != NULL; k++) {
            alive |= spec.threads[k].alive && world_threads[k] == programs[i].thread;
        }
        if (!alive) {
            programs[i].thread = NULL;
        }
    }
}

void world_settle(const char *what, const struct program *program, uint32_t thread)
{
    uint32_t round = 0;

    while ((spec.threads[thread].alive && !program->done) || !charges_agree()) {
        if (round++ == ROUNDS) {
            break; // the comparison says what is missing
        }
        for (uint32_t cpu = 0; cpu < WORLD_CPUS; cpu++) {
            host_run(cpu);
        }
    }
    lockstep_equal(what, spec.threads[thread].alive && !program->done, false);
    bury();
    compare(what);
}

// -- memory of programs --------------------------------------------------------------------------

static struct copy {
    struct process *process;
    uint64_t address;
    const void *source;
    void *destination;
    uint64_t size;
} copy;

static void do_copy(void *unused)
{
    (void)unused;
    struct address_space *space = &copy.process->space;
    enum status status = copy.source != NULL
                             ? address_space_write(space, copy.address, copy.source, copy.size)
                             : copy_from_user(space, copy.destination, copy.address, copy.size);
    lockstep_equal("a program's memory", status, STATUS_OK);
}

void world_write(struct process *process, uint64_t address, const void *bytes, uint64_t size)
{
    copy = (struct copy){process, address, bytes, NULL, size};
    host_on_cpu(0, do_copy, NULL);
}

void world_read(struct process *process, uint64_t address, void *bytes, uint64_t size)
{
    copy = (struct copy){process, address, NULL, bytes, size};
    host_on_cpu(0, do_copy, NULL);
}

// -- beginning -----------------------------------------------------------------------------------

// A static program: a page of code, and two pages of data.
static const struct PACKED {
    uint8_t identification[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_size, program_size, program_count, section_size, section_count, section_names;
    struct PACKED {
        uint32_t type, flags;
        uint64_t offset, address, physical, file_size, memory_size, alignment;
    } segments[2];
} program_file = {
    .identification = "\x7f"
                      "ELF\2\1\1",
    .type = 2,
    .machine = 62,
    .version = 1,
    .entry = PROGRAM_CODE,
    .program_offset = 64,
    .header_size = 64,
    .program_size = 56,
    .program_count = 2,
    .segments = {{1, 5, 0, PROGRAM_CODE, 0, 64, PAGE_SIZE, PAGE_SIZE},
                 {1, 6, 0, PROGRAM_DATA, 0, 0, 2 * PAGE_SIZE, PAGE_SIZE}},
};

static struct boot_information boot = {.module_count = MODULES};

static void make_modules(void)
{
    hpa_t page;

    for (uint32_t i = 0; i < MODULES; i++) {
        lockstep_equal(
            "a module",
            page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, PAGE_SIZE, PAGE_ZEROED, &page),
            STATUS_OK);
        boot.modules[i] = (struct boot_module){.start = page, .size = sizeof(program_file)};
        memcpy(boot.modules[i].line, "some module", 12);
    }
    memcpy(memory_pointer(boot.modules[0].start), &program_file, sizeof(program_file));
    module_init(&boot);
}

// As main.c does.
static void make_first(void *unused)
{
    const struct process_options options = {
        .container = container_handle(CONTAINER_ROOT), .cpu = 0, .priority = 1, .is_root = true};

    (void)unused;
    make_modules();
    interrupt_install();
    system_calls_install();
    lockstep_equal("the first process", process_create(&options, &world_processes[0]), STATUS_OK);
    object_release(&world_processes[0]->object);
    world_threads[0] = CONTAINER_OF(world_processes[0]->threads.head, struct thread, in_process);
}

// What a thread takes: its stack and its FPU's page; the rest is the address space's.
void world_start(void)
{
    host_machine_start(WORLD_CPUS);
    (void)serial_initialize(0);
    host_on_cpu(0, make_first, NULL);
    const struct container *root = &kernel_containers.slots[CONTAINER_ROOT];
    spec.modules = MODULES;
    spec.cpus = WORLD_CPUS;
    spec.ports = 1;
    spec.thread_pages = STACK_PAGES + 1;
    spec.space_pages = root->usage - 2 - spec.thread_pages;
    spec_processes_start(&spec, root->quota);
    compare("the start");
}
