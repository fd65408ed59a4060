// SPDX-License-Identifier: MIT
// Lock-step: processes, their threads, handles and containers, and the device owner, as programs
// meet them: the system-call table with all behind it (kernel/core/calls_*.c, kernel/process),
// traps (arch/x86/cpu/trap.c, kernel/core/interrupt.c), and the specification of processes. After
// each call and all that follows from it every handle, every reference and every page charged are
// compared.
#include <string.h>
#include "arch/x86/cpu/trap.h"
#include "kernel/abi/syscall.h"
#include "kernel/memory/container.h"
#include "kernel/thread/share.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/process_world.h"

#define UNMAPPED 0x100000ull // no program has anything there

// Who acts: a thread in ring 3.
static uint32_t cpu;
static uint32_t self;    // its number
static uint32_t process; // its process
static struct program *program;

static enum status status(void)
{
    return program->result < 0 ? (enum status) - program->result : STATUS_OK;
}

// Makes the call and waits for what follows from it; `next` is the specification's state then.
static struct spec_processes next;

static void call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    world_call(cpu, program, number, a, b, c, d);
}

// The call gave what `rule` says, and a new handle `number` where it was allowed.
static void expect(const char *what, enum spec_rule rule, uint64_t number)
{
    if (rule == SPEC_ALLOWED) {
        spec = next;
    }
    world_settle(what, program, self);
    lockstep_same(what, rule, status());
    if (rule == SPEC_ALLOWED) {
        lockstep_equal(what, (uint64_t)program->result, number);
    }
}

// What the caller's new handle names.
static void *named(uint64_t number)
{
    return world_processes[process]->handles.entries[number].object;
}

// -- steps: making things ------------------------------------------------------------------------

static void open_module(void)
{
    uint64_t index = lockstep_chance(95) ? lockstep_below(2) : lockstep_boundary(2);
    bool writable = lockstep_chance(90);
    uint32_t number = SPEC_NONE;

    call(SYS_MODULE_OPEN, index, writable ? PROGRAM_DATA : PROGRAM_CODE, 0, 0);
    enum spec_rule rule = module_open_spec(&spec, process, index, writable, &next, &number);
    expect("module_open", rule, number);
}

// What the caller's new object will be called; it is the kernel's to say where it is.
static void learn_channel(uint32_t number)
{
    world_channels[next.processes[process].handles.entries[number].value] = named(number);
}

static void make_channel(void)
{
    uint32_t number = SPEC_NONE;

    call(SYS_CHANNEL_CREATE, 0, 0, 0, 0);
    enum spec_rule rule = channel_make_spec(&spec, process, &next, &number);
    if (rule == SPEC_ALLOWED) {
        learn_channel(number);
    }
    expect("channel_create", rule, number);
}

static uint64_t any_cpu(void)
{
    return lockstep_chance(92) ? lockstep_below(WORLD_CPUS + 1) : lockstep_boundary(64);
}

static void make_thread(void)
{
    uint64_t entry = lockstep_chance(95) ? PROGRAM_CODE : lockstep_boundary(USER_LIMIT);
    uint64_t stack = lockstep_chance(95) ? PROGRAM_DATA : lockstep_boundary(USER_LIMIT);
    uint64_t on = any_cpu();
    uint32_t number = SPEC_NONE;

    // Threads of the first process go before all others.
    if (count_threads(process) > (process == 0 ? 3 : 20) ||
        count_threads(SPEC_NONE) > SPEC_PROCESS_THREADS - 30) {
        return;
    }
    call(SYS_THREAD_CREATE, entry, stack, 77, on);
    enum spec_rule rule = thread_make_spec(&spec, process, entry, stack, on, &next, &number);
    if (rule == SPEC_ALLOWED) {
        world_threads[next.processes[process].handles.entries[number].value] = named(number);
    }
    expect("thread_create", rule, number);
}

static void choose_passed(struct spec_process_arguments *wanted)
{
    static const uint32_t kinds[] = {SPEC_HANDLE_CHANNEL, SPEC_HANDLE_MODULE, SPEC_HANDLE_MODULE,
                                     SPEC_HANDLE_CONTAINER};

    wanted->handle_count = lockstep_chance(97) ? lockstep_below(6) : lockstep_below(30);
    for (uint32_t i = 0; i < wanted->handle_count && i < SPEC_PASSED; i++) {
        wanted->handles[i] =
            (uint32_t)choose_handle(process, kinds[lockstep_below(ARRAY_COUNT(kinds))]);
        if (lockstep_chance(1)) {
            wanted->handles[i] = 1 + lockstep_below(SPEC_HANDLES);
        }
        if (process == 0 && wanted->handles[i] == HANDLE_SELF_CONTAINER) {
            wanted->handles[i] = HANDLE_SELF_PROCESS; // who has the root's pages may lose them
        }
    }
}

static struct spec_process_arguments choose_arguments(void)
{
    struct spec_process_arguments wanted = {
        .readable = lockstep_chance(98),
        .text_readable = true,
        .module = (uint32_t)choose_handle(process, SPEC_HANDLE_MODULE),
        .container = (uint32_t)choose_container(process),
        .priority = lockstep_chance(95) ? 0 : lockstep_below(3),
        .text_bytes = lockstep_chance(97) ? lockstep_below(100) : lockstep_boundary(SPEC_TEXT),
        .cpu = (uint32_t)any_cpu(),
    };

    choose_passed(&wanted);
    if (process == 0 && wanted.container == HANDLE_SELF_CONTAINER) {
        wanted.container = HANDLE_FIRST_PASSED;
    }
    wanted.text_readable = wanted.text_bytes == 0 || lockstep_chance(97);
    return wanted;
}

static void write_arguments(const struct spec_process_arguments *wanted)
{
    struct process_arguments arguments = {
        .module = (uint32_t)wanted->module,
        .container = (uint32_t)wanted->container,
        .priority = wanted->priority,
        .handle_count = wanted->handle_count,
        .arguments = wanted->text_readable ? PROGRAM_DATA + 2048 : UNMAPPED,
        .argument_bytes = wanted->text_bytes,
        .cpu = wanted->cpu,
    };

    for (uint32_t i = 0; i < SPEC_PASSED; i++) {
        arguments.handles[i] = (uint32_t)wanted->handles[i];
    }
    world_write(world_processes[process], PROGRAM_DATA, &arguments, sizeof(arguments));
}

static void make_process(void)
{
    struct spec_process_arguments wanted = choose_arguments();
    uint32_t number = SPEC_NONE;

    if (count_processes() > SPEC_PROCESSES - 4) {
        return;
    }
    write_arguments(&wanted);
    call(SYS_PROCESS_CREATE, wanted.readable ? PROGRAM_DATA : UNMAPPED, 0, 0, 0);
    enum spec_rule rule = process_make_spec(&spec, process, &wanted, &next, &number);
    if (rule == SPEC_ALLOWED) {
        uint64_t made = next.processes[process].handles.entries[number].value;

        world_processes[made] = named(number);
        for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
            if (next.threads[i].alive && next.threads[i].process == made) {
                world_threads[i] =
                    CONTAINER_OF(world_processes[made]->threads.head, struct thread, in_process);
            }
        }
    }
    expect("process_create", rule, number);
}

static void make_container(void)
{
    uint64_t parent = choose_container(process);
    uint64_t pages = choose_pages(process, parent);
    uint64_t weight = lockstep_chance(90) ? 0 : lockstep_boundary(SHARE_WEIGHT_MAXIMUM);
    uint32_t child = SPEC_CONTAINERS - 1; // if it is refused: any that is free
    uint32_t number = SPEC_NONE;

    call(SYS_CONTAINER_SPLIT, parent, pages, weight, 0);
    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        if (kernel_containers.slots[i].used && !spec.containers.slots[i].used) {
            child = i;
        }
    }
    enum spec_rule rule =
        container_make_spec(&spec, process, parent, pages, weight, child, &next, &number);
    if (rule == NEW_HANDLE_ROOM) { // it was made, and ended at once
        for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
            spec.containers.slots[i].generation = kernel_containers.slots[i].generation;
        }
    }
    expect("container_split", rule, number);
}

// -- steps: ends ---------------------------------------------------------------------------------

// True when the first process would lose a container for good, and its pages with it.
static bool loses_pages(uint64_t number)
{
    struct spec_handle handle;

    return process == 0 && number >= HANDLE_FIRST_PASSED &&
           process_handle_spec(&spec, 0, number, SPEC_HANDLE_CONTAINER, &handle) == SPEC_ALLOWED;
}

static void close_handle(void)
{
    uint64_t number = choose_handle(process, 1 + lockstep_below(SPEC_HANDLE_CHANNEL));

    if (!loses_pages(number)) {
        call(SYS_HANDLE_CLOSE, number, 0, 0, 0);
        expect("handle_close", handle_close_spec(&spec, process, number, &next), 0);
    }
}

static void destroy(void)
{
    uint64_t number = choose_handle(process, SPEC_HANDLE_PROCESS);

    enum spec_rule rule = process_destroy_spec(&spec, process, number, &next);
    call(SYS_PROCESS_DESTROY, number, 0, 0, 0);
    expect("process_destroy", rule, 0);
}

static void end_container(void)
{
    uint64_t number = choose_container(process);
    bool left = false;
    enum spec_rule rule = container_end_spec(&spec, process, number, &next, &left);

    call(SYS_CONTAINER_REVOKE, number, 0, 0, 0);
    if (rule != SPEC_ALLOWED || !left) {
        expect("container_revoke", rule, 0);
        return;
    }
    spec = next;
    world_settle("container_revoke", program, self);
    lockstep_equal("something is left", status(), STATUS_BUSY);
    lockstep_counted(SPEC_ALLOWED);
}

// The caller ends, alone or with its process.
static void leave(void)
{
    uint64_t code = lockstep_random();
    bool alone = process == 0 || lockstep_chance(60);

    if (self == 0) {
        return; // ends the machine at last
    }
    call(alone ? SYS_THREAD_EXIT : SYS_PROCESS_EXIT, code, 0, 0, 0);
    if (alone) {
        process_thread_exit_spec(&spec, self, &spec);
    } else {
        process_exit_spec(&spec, process, code, &spec);
    }
    world_settle("an exit", program, self);
    lockstep_counted(SPEC_ALLOWED);
}

// CLI in ring 3 is such an exception; it ends the process, and it is told why.
static void fault(void)
{
    static const uint64_t vectors[] = {VECTOR_GENERAL_PROTECTION, VECTOR_PAGE_FAULT,
                                       VECTOR_INVALID_OPCODE, VECTOR_DIVIDE_ERROR};
    uint64_t vector = vectors[lockstep_below(ARRAY_COUNT(vectors))];
    uint64_t address = lockstep_random();

    if (process == 0) {
        return;
    }
    world_fault(cpu, program, vector, address, PROGRAM_CODE + 5);
    process_fault_spec(&spec, process, vector, &spec);
    world_settle("an exception", program, self);
    lockstep_equal("trap_info_ret", cpu_of(cpu)->trap.return_address, PROGRAM_CODE + 5);
    lockstep_equal("trap_info_get", cpu_of(cpu)->trap.fault_address,
                   vector == VECTOR_PAGE_FAULT ? address : 0);
    lockstep_counted(SPEC_ALLOWED);
}

// -- steps: others -------------------------------------------------------------------------------

static void check_status(const struct spec_process *asked)
{
    struct process_status result;

    world_read(world_processes[process], PROGRAM_DATA, &result, sizeof(result));
    lockstep_equal("ended", result.ended, !asked->alive);
    lockstep_equal("code", result.code, asked->code);
    lockstep_equal("faulted", result.faulted, asked->faulted);
}

static void check_container(uint32_t id)
{
    struct container_info result;
    struct spec_container container;
    uint32_t children = 0;

    world_read(world_processes[process], PROGRAM_DATA, &result, sizeof(result));
    (void)container_get_spec(&spec.containers, id, &container, &children);
    lockstep_equal("quota told", result.quota_pages, container.quota);
    lockstep_equal("usage told", result.used_pages, container.usage);
    lockstep_equal("children told", result.children, children);
}

// Asks about a process, a container or a module.
static void ask(void)
{
    static const uint64_t numbers[] = {[SPEC_HANDLE_CONTAINER] = SYS_CONTAINER_INFO,
                                       [SPEC_HANDLE_PROCESS] = SYS_PROCESS_STATUS,
                                       [SPEC_HANDLE_MODULE] = SYS_MODULE_INFO};
    uint32_t kind = lockstep_chance(50)   ? SPEC_HANDLE_PROCESS
                    : lockstep_chance(70) ? SPEC_HANDLE_CONTAINER
                                          : SPEC_HANDLE_MODULE;
    uint64_t number = choose_handle(process, kind);
    bool writable = lockstep_chance(85);
    struct spec_handle handle;

    enum spec_rule rule = process_ask_spec(&spec, process, number, kind, writable, &handle);
    next = spec;
    call(numbers[kind], number, writable ? PROGRAM_DATA : PROGRAM_CODE, 0, 0);
    expect("a question", rule, 0);
    if (rule == SPEC_ALLOWED && kind == SPEC_HANDLE_PROCESS) {
        check_status(&spec.processes[handle.value]);
    } else if (rule == SPEC_ALLOWED && kind == SPEC_HANDLE_CONTAINER) {
        check_container((uint32_t)handle.value);
    }
}

static void signal_thread(void)
{
    uint64_t number = choose_handle(process, SPEC_HANDLE_THREAD);
    uint64_t bits =
        lockstep_chance(80) ? 1ull << lockstep_below(63) : lockstep_boundary(1ull << 63);

    call(SYS_EVENT_SIGNAL, number, bits, 0, 0);
    expect("event_signal", event_signal_spec(&spec, process, number, bits, &next), 0);
}

static void bind_process(void)
{
    uint64_t number = choose_handle(process, SPEC_HANDLE_PROCESS);
    uint64_t bit = lockstep_chance(90) ? lockstep_below(63) : lockstep_boundary(63);

    call(SYS_PROCESS_BIND, number, bit, 0, 0);
    expect("process_bind", process_bind_spec(&spec, process, self, number, bit, &next), 0);
}

// The device owner's calls. What they do the lock-step test of the serial port compares.
static void use_device(void)
{
    static const struct {
        uint64_t number;
        bool has_port;
    } calls[] = {
        {SYS_SERIAL_PUTC, true},   {SYS_SERIAL_WRITE, true},        {SYS_SERIAL_READ, true},
        {SYS_CONS_BUF_READ, true}, {SYS_SERIAL_INTR_DISABLE, true}, {SYS_SERIAL_INTR_ENABLE, true},
        {SYS_SERIAL_BIND, true},   {SYS_LOG_READ, false},           {SYS_LOG_BIND, false},
        {SYS_DEBUG_WRITE, false},  {SYS_MACHINE_END, false}};
    uint32_t which = lockstep_below(ARRAY_COUNT(calls) - (process == 0));
    uint64_t port = lockstep_below(3);

    if (calls[which].number == SYS_SERIAL_BIND && process == 0) {
        return; // holds on to the thread
    }
    enum spec_rule rule =
        device_owner_spec(&spec, process, calls[which].has_port ? (uint32_t)port : SPEC_NONE);
    call(calls[which].number, calls[which].has_port ? port : PROGRAM_DATA, 'x', 0, 0);
    world_settle("a call of the device owner", program, self);
    if (rule == SPEC_ALLOWED) {
        lockstep_counted(rule);
    } else {
        lockstep_same("a call of the device owner", rule, status());
    }
}

// Another one may have had its turn after a call: waits for the same thread; false: it has ended.
static bool await_turn(void)
{
    uint32_t thread = SPEC_NONE;

    while (spec.threads[self].alive && (world_program(cpu, &thread) == NULL || thread != self)) {
        world_rest(cpu);
    }
    return spec.threads[self].alive;
}

// The table of handles is full; more is asked for.
static void fill_table(void)
{
    static void (*const makers[])(void) = {open_module, make_channel, make_thread, make_process,
                                           make_container};

    for (uint32_t i = 0; i < SPEC_HANDLES && process == 0 && await_turn(); i++) {
        open_module();
    }
    for (uint32_t i = 0; i < 30 && await_turn(); i++) {
        makers[lockstep_below(ARRAY_COUNT(makers))]();
    }
    for (uint32_t i = 0; i < 60 && await_turn(); i++) {
        close_handle();
    }
}

typedef void step_function(void);

// The first process makes the others, and ends them.
static step_function *first_step(void)
{
    static step_function *const steps[] = {
        open_module,   make_channel,   make_thread,    make_process,   make_process,
        make_process,  make_process,   make_process,   make_process,   make_process,
        make_process,  make_container, close_handle,   close_handle,   close_handle,
        end_container, destroy,        make_container, make_container, ask,
        signal_thread, use_device,     leave,          bind_process,   bind_process};

    return steps[lockstep_below(ARRAY_COUNT(steps))];
}

static step_function *other_step(void)
{
    static step_function *const steps[] = {
        open_module,    make_channel,   make_channel, make_channel,
        make_thread,    make_thread,    make_thread,  make_process,
        make_process,   make_process,   make_process, make_process,
        make_container, make_container, close_handle, close_handle,
        destroy,        end_container,  ask,          signal_thread,
        use_device,     make_container, bind_process};

    return lockstep_chance(2)   ? leave
           : lockstep_chance(1) ? fault
                                : steps[lockstep_below(ARRAY_COUNT(steps))];
}

static void step(void)
{
    cpu = lockstep_below(WORLD_CPUS);
    program = world_program(cpu, &self);
    if (program == NULL || lockstep_chance(spec.threads[self].process == 0 ? 85 : 20)) {
        world_rest(cpu);
        return;
    }
    process = spec.threads[self].process;
    if (lockstep_below(1500) == 0) {
        fill_table();
    } else {
        (process == 0 ? first_step() : other_step())();
    }
}

// The device owner's end is the machine's.
static void end_machine(void)
{
    cpu = 0;
    while ((program = world_program(cpu, &self)) == NULL || spec.threads[self].process != 0) {
        world_rest(cpu);
    }
    call(SYS_PROCESS_EXIT, 3, 0, 0, 0);
    for (uint32_t i = 0; i < 100 && !world_ended(); i++) {
        world_rest(i % WORLD_CPUS);
    }
    lockstep_equal("the machine has ended", world_ended(), true);
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_PROCESS};

    lockstep_begin(argc, argv, "processes, handles, device owner", 50000);
    world_start();
    while (lockstep_more()) {
        step();
    }
    end_machine();
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
