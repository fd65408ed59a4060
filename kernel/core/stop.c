// SPDX-License-Identifier: MIT
// The end of the machine for all CPUs (stop.h).
#include "kernel/core/stop.h"
#include <stdatomic.h>
#include "arch/x86/cpu/registers.h"
#include "drivers/local_apic.h"
#include "drivers/time_base.h"
#include "kernel/core/log.h"
#include "kernel/core/processors.h"
#include "kernel/lib/format.h"
#include "kernel/process/process.h"
#include "kernel/thread/scheduler.h"

#define ANSWER_WAIT 100000u // microseconds

static _Atomic uint32_t ender; // the CPU that ends the machine, + 1; 0: it goes on

// Written by its own CPU before it sets `stopped`, read by the ender afterwards.
static struct stop_record {
    uint64_t rip;
    char message[200]; // of its own panic, if it had one too
    bool user;
    _Atomic bool stopping; // by itself: an NMI need not do it
    _Atomic bool stopped;
} records[CPU_MAXIMUM];

static bool has_stopped(uint32_t cpu)
{
    return atomic_load_explicit(&records[cpu].stopped, memory_order_acquire);
}

bool stop_claim(void)
{
    uint32_t self = this_cpu()->id + 1;
    uint32_t before = 0;

    return atomic_compare_exchange_strong(&ender, &before, self) || before == self;
}

void stop_others(void)
{
    uint64_t end = tsc_read() + time_base_microseconds(ANSWER_WAIT);
    uint32_t self = this_cpu()->id;
    uint32_t count = processor_count();

    for (uint32_t cpu = 0; cpu < count; cpu++) {
        if (cpu != self && !has_stopped(cpu)) {
            local_apic_send(cpu_of(cpu)->apic_id, LOCAL_APIC_NMI);
        }
    }
    for (uint32_t cpu = 0; cpu < count; cpu++) {
        while (cpu != self && !has_stopped(cpu) && tsc_read() < end) {
            cpu_relax();
        }
    }
}

NORETURN static void halt(struct stop_record *record)
{
    atomic_store_explicit(&record->stopped, true, memory_order_release);
    halt_forever();
}

NORETURN void stop_here(const char *format, va_list arguments)
{
    struct stop_record *record = &records[this_cpu()->id];

    // Before the message, as an NMI on this CPU sees it: it must not stop in the middle of one.
    atomic_store_explicit(&record->stopping, true, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    (void)format_text_va(record->message, sizeof(record->message), format, arguments);
    record->rip = (uint64_t)__builtin_return_address(0);
    halt(record);
}

void stop_answer(const struct trap_frame *frame)
{
    struct stop_record *record = &records[this_cpu()->id];
    uint32_t who = atomic_load_explicit(&ender, memory_order_acquire);

    if (who == 0 || who == this_cpu()->id + 1 || record->stopping) {
        return;
    }
    record->rip = frame->rip;
    record->user = trap_from_user(frame);
    halt(record);
}

// What `cpu` was doing. Its structures no longer change.
static void describe(const struct cpu *cpu, char *line, size_t size)
{
    const struct stop_record *record = &records[cpu->id];
    const struct scheduler *scheduler = cpu->kernel;
    const struct thread *thread = scheduler->running;
    const char *mode = record->user ? "ring 3" : "kernel";

    if (cpu->id + 1 == atomic_load_explicit(&ender, memory_order_relaxed)) {
        (void)format_text(line, size, "it ended the machine");
    } else if (!has_stopped(cpu->id)) {
        (void)format_text(line, size, "it does not answer");
    } else if (thread == &scheduler->idle) {
        (void)format_text(line, size, "idle, rip 0x%lx", record->rip);
    } else {
        (void)format_text(line, size, "%s, rip 0x%lx, thread %u of %s",
                          cpu->mode != MODE_GUEST ? mode : "guest", record->rip, thread->number,
                          thread->process ? thread->process->name : "the kernel");
    }
}

void stop_report(void)
{
    char text[160];
    char line[512];

    for (uint32_t i = 0; i < processor_count() && processor_count() > 1; i++) {
        const struct cpu *cpu = cpu_of(i);
        const struct trap_information *trap = &cpu->trap;

        describe(cpu, text, sizeof(text));
        (void)format_text(line, sizeof(line),
                          "  cpu %u: %s; last trap of ring 3: %s, address 0x%lx, rip 0x%lx\n", i,
                          text, trap->return_address ? trap_name(trap->vector) : "none",
                          trap->fault_address, trap->return_address);
        log_raw(line);
        if (records[i].message[0]) {
            (void)format_text(line, sizeof(line), "  cpu %u: panic: %s\n", i, records[i].message);
            log_raw(line);
        }
    }
}
