// SPDX-License-Identifier: MIT
// Lock-step: the end of the machine on several CPUs (kernel/core/stop.c), and its specification.
// CPUs answer the NMI or do not, and panic by themselves before or after it. A machine ends once,
// so the file is compiled into this one, which makes its records new for each machine.
#include <stdio.h>
#include <string.h>
#include "kernel/core/stop.c" // NOLINT(bugprone-suspicious-include): as said above
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/stop.h"

static struct spec_stop spec;
static struct spec_doing doing[SPEC_STOP_CPUS];
static uint32_t answering; // CPUs that take NMIs
static uint32_t told;      // that an NMI was sent to
static bool halts;

// -- the machine ----------------------------------------------------------------------------------

void halt_forever(void)
{
    halts = true;
    host_leave();
}

uint64_t time_base_microseconds(uint64_t count)
{
    lockstep_equal("patience", count, 100000);
    return 200; // looks at the clock
}

static char report[4096];

void log_raw(const char *text)
{
    size_t length = strlen(report);

    lockstep_equal("room for the report", length + strlen(text) < sizeof(report), true);
    memcpy(report + length, text, strlen(text) + 1);
}

const char *trap_name(uint64_t vector)
{
    return vector == VECTOR_PAGE_FAULT ? "page fault" : "another";
}

static struct trap_frame frames[SPEC_STOP_CPUS]; // what an NMI interrupts there

static void answer(void *unused)
{
    (void)unused;
    stop_answer(&frames[host_cpu]);
}

static void interrupt(uint32_t cpu)
{
    const struct trap_frame *frame = &frames[cpu];
    bool before = halts;

    halts = false;
    host_on_cpu(cpu, answer, NULL);
    lockstep_equal("halts", stop_answer_spec(&spec, cpu, frame->rip, trap_from_user(frame), &spec),
                   halts);
    halts = before;
}

void host_nmi_sent(uint32_t apic_id)
{
    told |= 1u << apic_id;
    if (answering >> apic_id & 1) {
        interrupt(apic_id);
    }
}

// -- steps ----------------------------------------------------------------------------------------

static bool claimed;

static void call_claim(void *unused)
{
    (void)unused;
    claimed = stop_claim();
}

static void claim(uint32_t cpu)
{
    host_on_cpu(cpu, call_claim, NULL);
    lockstep_same("stop_claim", stop_claim_spec(&spec, cpu, &spec),
                  claimed ? STATUS_OK : STATUS_BUSY);
}

static char message[300];

static NORETURN PRINTF(1, 2) void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    stop_here(format, arguments);
}

static void call_here(void *unused)
{
    (void)unused;
    say("%s", message);
}

// A CPU panics, and is not the first.
static void panic_too(uint32_t cpu)
{
    uint32_t length = lockstep_chance(70) ? 1 + lockstep_below(100) : 190 + lockstep_below(20);

    memset(message, 'a' + (int)cpu, length);
    message[length] = 0;
    halts = false;
    host_on_cpu(cpu, call_here, NULL);
    lockstep_equal("halts", halts, true);
    stop_here_spec(&spec, cpu, message, records[cpu].rip, &spec);
    lockstep_counted(SPEC_ALLOWED);
}

static void call_others(void *unused)
{
    (void)unused;
    stop_others();
}

// Whoever does not answer costs a bounded time.
static void stop_all(void)
{
    uint32_t expected = stop_others_spec(&spec);
    uint64_t start = host_tsc;

    told = 0;
    host_on_cpu(spec.ender, call_others, NULL);
    lockstep_counted(SPEC_ALLOWED);
    lockstep_equal("told by NMI", told, expected);
    lockstep_equal("in bounded time", host_tsc - start < 300, true);
}

static void call_report(void *unused)
{
    (void)unused;
    stop_report();
}

static void check_report(void)
{
    char expected[sizeof(report)];
    uint32_t length = 0;

    report[0] = 0;
    host_on_cpu(spec.ender, call_report, NULL);
    lockstep_counted(SPEC_ALLOWED);
    for (uint32_t i = 0; i < SPEC_STOP_CPUS; i++) {
        length += stop_report_spec(&spec, i, &doing[i], expected + length,
                                   (uint32_t)sizeof(expected) - length);
    }
    if (strcmp(report, expected) != 0) {
        lockstep_fail("the kernel reports\n%sthe specification\n%s", report, expected);
    }
}

// -- machines -------------------------------------------------------------------------------------

static struct thread threads[SPEC_STOP_CPUS];
static struct process process = {.name = "somebody"};

static void give_work(uint32_t i)
{
    struct cpu *cpu = cpu_of(i);
    struct scheduler *scheduler = scheduler_of(i);
    bool user = lockstep_chance(40);
    bool trapped = lockstep_chance(60);

    threads[i].number = lockstep_below(1000);
    threads[i].process = lockstep_chance(60) ? &process : NULL;
    doing[i] = (struct spec_doing){
        .guest = !user && lockstep_chance(40),
        .idle = lockstep_chance(30),
        .thread = threads[i].number,
        .process = threads[i].process != NULL ? process.name : NULL,
        .trap = lockstep_chance(50) ? "page fault" : "another",
        .fault_address = trapped ? lockstep_random() : 0,
        .return_address = trapped ? lockstep_random() | 1 : 0,
    };
    frames[i] = (struct trap_frame){.rip = lockstep_random(), .cs = user ? SELECTOR_USER_CODE : 8};
    cpu->mode = doing[i].guest ? MODE_GUEST : MODE_KERNEL;
    scheduler->running = doing[i].idle ? &scheduler->idle : &threads[i];
    cpu->trap = (struct trap_information){
        .vector = strcmp(doing[i].trap, "another") == 0 ? 13u : (uint64_t)VECTOR_PAGE_FAULT,
        .fault_address = doing[i].fault_address,
        .return_address = doing[i].return_address,
    };
}

static void renew(void)
{
    atomic_store(&ender, 0);
    memset(records, 0, sizeof(records));
    spec = (struct spec_stop){.ender = SPEC_NONE};
    answering = lockstep_chance(70) ? 15 : lockstep_below(16);
    for (uint32_t i = 0; i < SPEC_STOP_CPUS; i++) {
        give_work(i);
    }
}

static void compare(void)
{
    lockstep_equal("who ends it", atomic_load(&ender),
                   spec.ender == SPEC_NONE ? 0 : spec.ender + 1);
    for (uint32_t i = 0; i < SPEC_STOP_CPUS; i++) {
        lockstep_equal("stopped", records[i].stopped, spec.cpus[i].stopped);
        lockstep_equal("stopping", records[i].stopping, spec.cpus[i].stopping);
        lockstep_equal("in ring 3", records[i].user, spec.cpus[i].user);
        lockstep_equal("rip", records[i].rip, spec.cpus[i].rip);
        lockstep_equal("message", strcmp(records[i].message, spec.cpus[i].message), 0);
    }
}

static void end_a_machine(void)
{
    renew();
    for (uint32_t i = lockstep_below(3); i > 0; i--) { // NMIs for something else
        interrupt(lockstep_below(SPEC_STOP_CPUS));
        compare();
    }
    claim(lockstep_below(SPEC_STOP_CPUS));
    for (uint32_t i = lockstep_below(6); i > 0; i--) {
        uint32_t cpu = lockstep_below(SPEC_STOP_CPUS);

        if (spec.cpus[cpu].stopped || (cpu == spec.ender && lockstep_chance(30))) {
            interrupt(cpu); // halted, it still takes them; and so does who ends the machine
        } else {
            claim(cpu);
            if (cpu != spec.ender && lockstep_chance(50)) {
                panic_too(cpu);
            }
        }
        compare();
    }
    stop_all();
    compare();
    check_report();
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_STOP};

    lockstep_begin(argc, argv, "the end of the machine", 50000);
    host_machine_start(SPEC_STOP_CPUS);
    while (lockstep_more()) {
        end_a_machine();
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
