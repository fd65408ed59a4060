// SPDX-License-Identifier: MIT
// Lock-step: exceptions, NMIs and interrupts of the host, out of ring 3 and of the kernel
// (arch/x86/cpu/trap.c, kernel/core/interrupt.c, the serial driver and the scheduler behind them),
// and the specification of traps. Programs of processes of their own are in ring 3.
#include <string.h>
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap_internal.h"
#include "drivers/serial.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/memory/container.h"
#include "kernel/thread/scheduler.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/process_world.h"
#include "test/spec/trap.h"

#define PROGRAM_CPUS 3u // the last CPU stays in the kernel
#define IDLE_CPU     3u
#define PORT_0       0x3f8
#define PORT_1       0x2f8
#define IDENTITY     2 // register by which a serial interrupt is told

extern char system_call_entry[1];
extern char system_call_leave[2];

static struct process *processes[WORLD_CPUS]; // one on each CPU; the last one's sleeps
static struct thread *threads[WORLD_CPUS];
static struct spec_trap_state states[WORLD_CPUS];
static uint32_t warnings, errors, asked[SPEC_SERIAL_PORTS];
static uint8_t scratch[SPEC_SERIAL_PORTS];

// -- what handlers leave behind -------------------------------------------------------------------

void log_line(enum log_level level, const char *format, ...)
{
    (void)format;
    warnings += level == LOG_WARNING;
    errors += level == LOG_ERROR;
}

// UARTs without anything to do.
static uint8_t read_port(uint16_t port)
{
    bool second = (port & ~7) == PORT_1;

    if ((port & ~7) != PORT_0 && !second) {
        return 0xff;
    }
    switch (port & 7) {
    case IDENTITY:
        asked[second]++;
        return 1;
    case 5:
        return 0x60;
    case 6:
        return 0x90; // what the loopback of the detection shows
    default:
        return scratch[second];
    }
}

static void write_port(uint16_t port, uint8_t value)
{
    if ((port & 7) == 7) {
        scratch[(port & ~7) == PORT_1] = value;
    }
}

// -- processes ------------------------------------------------------------------------------------

static void make(void *argument)
{
    uint32_t cpu = *(uint32_t *)argument;
    const struct process_options options = {.container = container_handle(CONTAINER_ROOT),
                                            .cpu = cpu};

    lockstep_equal("a process", process_create(&options, &processes[cpu]), STATUS_OK);
}

static void let_go(void *process)
{
    object_release(process);
}

static void make_on(uint32_t cpu)
{
    host_on_cpu(IDLE_CPU, make, &cpu);
    threads[cpu] = CONTAINER_OF(processes[cpu]->threads.head, struct thread, in_process);
    world_threads[cpu + 1] = threads[cpu];
    spec.threads[cpu + 1] = (struct spec_process_thread){.exists = true, .alive = true};
}

// The program that is in ring 3 on the CPU, of its process, which is made anew after its end.
static struct program *in_ring_3(uint32_t cpu)
{
    struct program *program;
    uint32_t thread;

    if (processes[cpu] == NULL) {
        make_on(cpu);
    }
    while ((program = world_program(cpu, &thread)) == NULL || thread != cpu + 1) {
        world_rest(cpu);
    }
    return program;
}

// The exception has ended the process, and its creator can read why.
static void check_end(uint32_t cpu, struct program *program, const struct spec_trap *trap)
{
    const struct process_status *status = &processes[cpu]->status;

    for (uint32_t i = 0; i < 100 && !status->ended; i++) {
        world_rest(cpu);
    }
    lockstep_equal("ended", status->ended, true);
    lockstep_equal("by an exception", status->faulted, true);
    lockstep_equal("which", status->vector, trap->vector);
    lockstep_equal("at", status->fault_rip, trap->rip);
    lockstep_equal("address", status->fault_address, states[cpu].fault_address);
    lockstep_equal("it is told", errors, 1);
    program->thread = NULL;
    spec.threads[cpu + 1].alive = false;
    host_on_cpu(IDLE_CPU, let_go, processes[cpu]);
    processes[cpu] = NULL;
    states[cpu].user = true; // the next one
}

// -- traps ----------------------------------------------------------------------------------------

static struct trap_frame frame;
static bool panicked;

static void dispatch(void *unused)
{
    (void)unused;
    trap_dispatch(&frame);
}

static void dispatch_in_kernel(void *unused)
{
    (void)unused;
    panicked = host_panics(dispatch, NULL);
}

static uint64_t any_vector(void)
{
    static const uint64_t known[] = {SPEC_VECTOR_TIMER, SPEC_VECTOR_WAKE,   SPEC_VECTOR_SPURIOUS,
                                     SPEC_VECTOR_NMI,   SPEC_VECTOR_SERIAL, SPEC_VECTOR_SERIAL + 1,
                                     SPEC_VECTOR_DEBUG, SPEC_VECTOR_NO_FPU};

    return lockstep_chance(70)   ? known[lockstep_below(ARRAY_COUNT(known))]
           : lockstep_chance(20) ? lockstep_below(SPEC_VECTOR_EXCEPTIONS)
                                 : SPEC_VECTOR_EXCEPTIONS + lockstep_below(224);
}

// The CPU is told by another one to wake a thread.
static void post(void *thread)
{
    thread_signal(thread, 1);
}

struct before {
    uint64_t ends, nmis;
    bool posted;
    uint64_t armed;
};

static struct before look(uint32_t cpu)
{
    struct scheduler *scheduler = scheduler_of(cpu);

    warnings = errors = asked[0] = asked[1] = 0;
    return (struct before){world_interrupts_ended, world_nmis, wake_queue_holds(&scheduler->woken),
                           scheduler->armed};
}

static void check_handler(uint32_t cpu, const struct before *before,
                          const struct spec_trap_effect *effect)
{
    bool serial = effect->handler == SPEC_HANDLER_SERIAL;

    lockstep_equal("ends of interrupt", world_interrupts_ended - before->ends, effect->ended);
    lockstep_equal("NMIs", world_nmis - before->nmis, effect->handler == SPEC_HANDLER_NMI);
    lockstep_equal("warnings", warnings, effect->handler == SPEC_HANDLER_WARN);
    lockstep_equal("first port", asked[0], serial && effect->port == 0);
    lockstep_equal("second port", asked[1], serial && effect->port == 1);
    lockstep_equal("in an interrupt", cpu_of(cpu)->in_interrupt, 0);
    lockstep_equal("trap_info_get", cpu_of(cpu)->trap.fault_address, states[cpu].fault_address);
    lockstep_equal("trap_info_ret", cpu_of(cpu)->trap.return_address, states[cpu].return_address);
}

// In the kernel, nothing else happens to the CPU.
static void check_kernel(const struct before *before, const struct spec_trap_effect *effect)
{
    const struct scheduler *scheduler = scheduler_of(IDLE_CPU);
    bool timer = effect->handler == SPEC_HANDLER_TIMER;
    bool takes = timer || effect->handler == SPEC_HANDLER_WAKE;

    lockstep_equal("posted", wake_queue_holds(&scheduler->woken), before->posted && !takes);
    lockstep_equal("timer", scheduler->armed, timer ? DEADLINE_NONE : before->armed);
    lockstep_equal("mode", cpu_of(IDLE_CPU)->mode, MODE_KERNEL);
}

static void trap_in_kernel(void)
{
    struct spec_trap trap = {.vector = any_vector(), .rip = lockstep_random()};
    struct spec_trap_effect effect;

    trap.at_entry = lockstep_chance(30);
    trap.at_leave = !trap.at_entry && lockstep_chance(30);
    trap.rip = trap.at_entry   ? (uint64_t)system_call_entry
               : trap.at_leave ? (uint64_t)system_call_leave + 1
                               : trap.rip;
    frame = (struct trap_frame){.vector = trap.vector, .rip = trap.rip, .cs = 8};
    frame.rflags = RFLAGS_RESERVED | RFLAGS_IF | RFLAGS_TF;
    frame.rsp = 8; // of no kernel stack
    const struct before before = look(IDLE_CPU);
    host_on_cpu(IDLE_CPU, dispatch_in_kernel, NULL);
    enum spec_rule rule = trap_spec(&states[IDLE_CPU], &trap, &states[IDLE_CPU], &effect);
    lockstep_same("in the kernel", rule, panicked ? SPEC_PANIC : STATUS_OK);
    if (rule != SPEC_ALLOWED) {
        effect = (struct spec_trap_effect){.handler = SPEC_HANDLER_NONE};
    }
    lockstep_equal("goes on", frame.rip, trap.rip - effect.again);
    lockstep_equal("interrupts", (frame.rflags & RFLAGS_IF) == 0, effect.again);
    lockstep_equal("steps", (frame.rflags & RFLAGS_TF) == 0, effect.unsteps);
    check_handler(IDLE_CPU, &before, &effect);
    check_kernel(&before, &effect);
}

static void trap_in_ring_3(void)
{
    uint32_t cpu = lockstep_below(PROGRAM_CPUS);
    struct program *program = in_ring_3(cpu);
    struct spec_trap trap = {.vector = any_vector(),
                             .from_user = true,
                             .rip = lockstep_random() >> 17,
                             .cr2 = lockstep_random()};
    struct spec_trap_effect effect;

    if (trap.vector == SPEC_VECTOR_DOUBLE_FAULT || trap.vector == SPEC_VECTOR_MACHINE_CHECK) {
        return; // on stacks of their own; the kernel's trap is the same
    }
    const struct before before = look(cpu);
    lockstep_equal("mode in ring 3", cpu_of(cpu)->mode, MODE_USER);
    world_fault(cpu, program, trap.vector, trap.cr2, trap.rip);
    enum spec_rule rule = trap_spec(&states[cpu], &trap, &states[cpu], &effect);
    lockstep_same("in ring 3", rule, STATUS_OK);
    check_handler(cpu, &before, &effect);
    if (effect.handler == SPEC_HANDLER_END) {
        check_end(cpu, program, &trap);
        return;
    }
    for (uint32_t i = 0; i < 100 && !program->done; i++) {
        host_run(cpu); // others may have had their turn
    }
    lockstep_equal("back in ring 3", program->done && cpu_of(cpu)->mode == MODE_USER, true);
    if (effect.handler == SPEC_HANDLER_FPU) {
        lockstep_equal("FPU", (uint64_t)cpu_of(cpu)->fpu_owner, (uint64_t)threads[cpu]->fpu_area);
        lockstep_equal("TS", host_processors[cpu].registers[HOST_CR0] & CR0_TS, 0);
    }
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_TRAP};

    lockstep_begin(argc, argv, "traps, interrupts of the host", 100000);
    host_hooks.port_read = read_port;
    host_hooks.port_write = write_port;
    world_start();
    lockstep_equal("a second port", serial_initialize(1), true);
    make_on(IDLE_CPU);
    while (threads[IDLE_CPU]->state != THREAD_SLEEPING || !threads[IDLE_CPU]->begun) {
        world_rest(IDLE_CPU);
    }
    for (uint32_t cpu = 0; cpu < PROGRAM_CPUS; cpu++) {
        states[cpu].user = true;
    }
    while (lockstep_more()) {
        if (lockstep_chance(40)) {
            if (lockstep_chance(50)) {
                host_on_cpu(0, post, threads[IDLE_CPU]);
            }
            trap_in_kernel();
        } else {
            trap_in_ring_3();
        }
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
