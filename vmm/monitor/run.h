// SPDX-License-Identifier: MIT
// What the two run loops share: that of one processor at the PIC (run.c) and that of processors
// with local APICs (smp.c, which holds the VM's lock around all of this).
#pragma once

#include "vmm/emulate/emulate.h"
#include "vmm/monitor/handlers.h"
#include "vmm/monitor/monitor.h"
#include "vmm/runtime/tsc.h"

// Both loops are to have these in line: they are on the path of each exit.
#define RUN_INLINE static ALWAYS_INLINE

// Fills groups of the page without entering the guest; the exit stays as it is.
void run_fetch(struct virtual_cpu *cpu, uint32_t groups);

// Ends the VM as the processor's machine.stop says.
NORETURN void run_stop(struct virtual_cpu *cpu);

// Something arrived from the console process.
void run_take_messages(struct virtual_cpu *cpu);

// A single step ran over an emulated instruction.
void run_raise_step(struct virtual_cpu *cpu);

// The processor does not see that `ticks` of the host's TSC have passed.
void run_hide_time(struct virtual_cpu *cpu, uint64_t ticks);

// Looks where the processor is, for the watchdog. The page is of the exit that it has just made.
void run_sample(struct virtual_cpu *cpu);

// Runs the device timers that are due, and sends output that is. Returns run_next_deadline.
uint64_t run_what_is_due(struct virtual_cpu *cpu, uint64_t now);

// Host TSC at which a device timer or the output has its turn; CLOCK_NEVER: nothing waits.
RUN_INLINE uint64_t run_next_deadline(const struct monitor *monitor)
{
    uint64_t timer = monitor->platform.clock.earliest_tsc;
    uint64_t flush = monitor->link.flush_at;

    return timer < flush ? timer : flush;
}

#define RUN_MINIMUM 5000u // ticks: the way from the monitor into the guest, and some instructions

// `deadline`, or later where the last run ended at one: a guest whose timers expire faster than it
// can be entered still gets to run.
RUN_INLINE uint64_t run_allow_progress(const struct vcpu_page *page, uint64_t deadline)
{
    if (UNLIKELY(page->exit.kind == EXIT_DEADLINE)) {
        uint64_t soonest = tsc_now() + RUN_MINIMUM;

        return deadline > soonest ? deadline : soonest;
    }
    return deadline;
}

// Goes on after a handler that has not simply done the instruction: calls it again when it needs
// registers that are not in the page yet.
void run_finish_exit(struct virtual_cpu *cpu, enum outcome outcome);

// Past the instruction, where the processor most often is already.
RUN_INLINE void run_advance(struct machine *machine, struct vcpu_page *page)
{
    if (LIKELY(page->exit.advanced != 0)) {
        page->rip += page->exit.instruction_length;
    } else {
        machine->trap_due = emulate_advance(page, page->exit.instruction_length);
    }
}

RUN_INLINE void run_handle_exit(struct virtual_cpu *cpu, struct vcpu_page *page)
{
    struct machine *machine = &cpu->machine;
    uint32_t kind = page->exit.kind; // the kernel knows no others than the table
    enum outcome outcome;

    machine->counts.exits[kind]++;
    exit_trail_add(&cpu->trail, page, kind);
    outcome = exit_table[kind].handle(machine);
    if (LIKELY(outcome == OUTCOME_ADVANCE)) {
        run_advance(machine, page);
    } else {
        run_finish_exit(cpu, outcome);
    }
}

// Console traffic after an exit; returns quickly when there is none.
RUN_INLINE void run_serve_console(struct monitor *monitor, struct virtual_cpu *cpu,
                                  struct vcpu_page *page)
{
    struct link *link = &monitor->link;

    if (UNLIKELY(page->events != 0)) {
        page->events = 0;
        run_take_messages(cpu);
    }
    if (UNLIKELY(link->consumed_due)) {
        link_tell_consumed(link);
        if (link->receive_blocked) {
            run_take_messages(cpu);
        }
    }
}

// Time goes on to the exit's. An event or a deadline may have come without the guest having run:
// then exit_tsc is an old one.
RUN_INLINE void run_set_time(struct monitor *monitor, struct virtual_cpu *cpu,
                             struct vcpu_page *page)
{
    if (UNLIKELY(page->exit.kind <= EXIT_DEADLINE)) {
        page->exit_tsc = tsc_now();
        if (cpu->sample_due && page->exit.kind == EXIT_EVENT) {
            run_sample(cpu);
        }
    }
    platform_set_time(&monitor->platform, page->exit_tsc);
}
