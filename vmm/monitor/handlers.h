// SPDX-License-Identifier: MIT
// The exit handlers and the table that names them. Each is of the form (machine, exit) ->
// (machine', outcome); machine.h says what that means.
#pragma once

#include "vmm/monitor/machine.h"

struct exit_row {
    const char *name;
    enum outcome (*handle)(struct machine *machine);
};

extern const struct exit_row exit_table[EXIT_KIND_COUNT];

// Name of an exit kind, for reports; any number is allowed.
const char *exit_kind_name(uint32_t kind);

// handle_simple.c
enum outcome handle_nothing(struct machine *machine);
enum outcome handle_halt(struct machine *machine);
enum outcome handle_skip(struct machine *machine);
enum outcome handle_undefined(struct machine *machine);
enum outcome handle_vmcall(struct machine *machine);
enum outcome handle_rdpmc(struct machine *machine);
enum outcome handle_rdtsc(struct machine *machine);
enum outcome handle_triple_fault(struct machine *machine);
enum outcome handle_entry_refused(struct machine *machine);
enum outcome handle_unknown(struct machine *machine);

enum outcome handle_start_up(struct machine *machine);
enum outcome handle_apic(struct machine *machine);
enum outcome handle_end_of_interrupt(struct machine *machine);
enum outcome handle_misconfiguration(struct machine *machine);

// handle_exception.c
enum outcome handle_exception(struct machine *machine);

// handle_task_switch.c
enum outcome handle_task_switch(struct machine *machine);

// handle_tables.c
enum outcome handle_descriptor_table(struct machine *machine);

// handle_operand.c
enum outcome handle_invlpg(struct machine *machine);
enum outcome handle_invpcid(struct machine *machine);
enum outcome handle_random(struct machine *machine);

// handle_access.c
enum outcome handle_port(struct machine *machine);
enum outcome handle_memory(struct machine *machine);
enum outcome handle_apic_access(struct machine *machine);

// handle_registers.c
enum outcome handle_control_register(struct machine *machine);
enum outcome handle_debug_register(struct machine *machine);
enum outcome handle_xsetbv(struct machine *machine);

// cpuid.c, msr.c
enum outcome handle_cpuid(struct machine *machine);
enum outcome handle_rdmsr(struct machine *machine);
enum outcome handle_wrmsr(struct machine *machine);
