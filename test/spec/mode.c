// SPDX-License-Identifier: MIT
// Mode flags, user contexts and trap information (machine.h).
#include <string.h>
#include "test/spec/machine.h"
#include "test/spec/machine_private.h"

#define USER_LIMIT    0x0000800000000000ull
#define ALL_REGISTERS ((1u << SPEC_REGISTERS) - 1)

enum spec_rule hostout_spec(const struct spec_machine *now, uint32_t cpu, struct spec_machine *next)
{
    const struct spec_modes *mode = &now->cpus[cpu].mode;

    if (!mode->init || !mode->ikern || !mode->ihost || !mode->pg) {
        return HOSTOUT_MODE;
    }
    if (!spec_lock_free(now, cpu)) {
        return HOSTOUT_LOCKS;
    }
    spec_begin(now, next);
    next->cpus[cpu].mode.ihost = false;
    return SPEC_ALLOWED;
}

enum spec_rule hostin_spec(const struct spec_machine *now, uint32_t cpu, struct spec_machine *next)
{
    const struct spec_modes *mode = &now->cpus[cpu].mode;

    if (!mode->init || !mode->ikern || mode->ihost) {
        return HOSTIN_MODE;
    }
    spec_begin(now, next);
    next->cpus[cpu].mode.ihost = true;
    return SPEC_ALLOWED;
}

static const struct spec_thread *current(const struct spec_machine *now, uint32_t cpu)
{
    uint32_t thread = now->cpus[cpu].current;

    return thread != SPEC_NONE ? &now->threads[thread] : NULL;
}

// True when a thread runs here and is charged to a container in use.
static bool charged(const struct spec_machine *now, const struct spec_thread *thread)
{
    return thread != NULL && spec_container_used(now, thread->container);
}

enum spec_rule proc_start_user_spec(const struct spec_machine *now, uint32_t cpu,
                                    struct spec_machine *next)
{
    const struct spec_modes *mode = &now->cpus[cpu].mode;
    const struct spec_thread *thread = current(now, cpu);

    if (!mode->init || !mode->ikern || !mode->ihost || !mode->pg || !mode->ipt) {
        return START_MODE;
    }
    if (!spec_lock_free(now, cpu)) {
        return START_LOCKS;
    }
    if (!charged(now, thread)) {
        return START_CONTAINER;
    }
    if (thread->registers_set != ALL_REGISTERS) {
        return START_CONTEXT;
    }
    if (thread->registers[SPEC_RIP] >= USER_LIMIT) {
        return START_RIP;
    }
    spec_begin(now, next);
    next->cpus[cpu].mode.ikern = false;
    next->cpus[cpu].mode.ipt = false;
    next->cpus[cpu].page_table = thread->process;
    return SPEC_ALLOWED;
}

enum spec_rule proc_exit_user_spec(const struct spec_machine *now, uint32_t cpu,
                                   const uint64_t registers[SPEC_REGISTERS], uint64_t stack,
                                   struct spec_machine *next)
{
    const struct spec_modes *mode = &now->cpus[cpu].mode;
    const struct spec_thread *thread = current(now, cpu);

    if (mode->ikern || !mode->ihost || !mode->pg) {
        return EXIT_USER_MODE;
    }
    if (!charged(now, thread)) {
        return EXIT_USER_CONTAINER;
    }
    if (stack != 0 && (stack < thread->stack_low || stack > thread->stack_high)) {
        return EXIT_USER_STACK;
    }
    spec_begin(now, next);
    next->cpus[cpu].mode.ikern = true;
    next->cpus[cpu].mode.ipt = true;
    next->cpus[cpu].page_table = SPEC_KERNEL;
    if (registers != NULL) {
        struct spec_thread *saved = &next->threads[next->cpus[cpu].current];

        memcpy(saved->registers, registers, sizeof(saved->registers));
        saved->registers_set = ALL_REGISTERS;
    }
    return SPEC_ALLOWED;
}

static enum spec_rule context_check(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                    uint32_t index)
{
    if (!now->cpus[cpu].mode.init) {
        return UCTX_INIT;
    }
    if (thread == SPEC_NONE || thread != now->cpus[cpu].current) {
        return UCTX_CURRENT;
    }
    if (!charged(now, &now->threads[thread])) {
        return UCTX_CONTAINER;
    }
    return index < SPEC_REGISTERS ? SPEC_ALLOWED : UCTX_OFFSET;
}

enum spec_rule uctx_get_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                             uint32_t index, uint64_t *value)
{
    enum spec_rule rule = context_check(now, cpu, thread, index);

    if (rule == SPEC_ALLOWED && (now->threads[thread].registers_set >> index & 1) == 0) {
        rule = UCTX_UNSET;
    }
    if (rule == SPEC_ALLOWED) {
        *value = now->threads[thread].registers[index];
    }
    return rule;
}

static bool is_pointer(uint32_t index)
{
    return index == SPEC_RIP || index == SPEC_RSP;
}

static void set_register(const struct spec_machine *now, uint32_t thread, uint32_t index,
                         uint64_t value, struct spec_machine *next)
{
    spec_begin(now, next);
    next->threads[thread].registers[index] = value;
    next->threads[thread].registers_set |= 1u << index;
}

enum spec_rule uctx_set_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                             uint32_t index, uint64_t value, struct spec_machine *next)
{
    enum spec_rule rule = context_check(now, cpu, thread, index);

    if (rule == SPEC_ALLOWED && is_pointer(index)) {
        rule = UCTX_CHECKED;
    }
    if (rule == SPEC_ALLOWED) {
        set_register(now, thread, index, value, next);
    }
    return rule;
}

enum spec_rule uctx_set_pointer_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                     uint32_t index, uint64_t address, struct spec_machine *next)
{
    enum spec_rule rule = context_check(now, cpu, thread, index);

    if (rule == SPEC_ALLOWED && !is_pointer(index)) {
        rule = UCTX_PLAIN;
    }
    if (rule == SPEC_ALLOWED && address >= USER_LIMIT) {
        rule = UCTX_POINTER;
    }
    if (rule == SPEC_ALLOWED) {
        set_register(now, thread, index, address, next);
    }
    return rule;
}

void spec_context_fill(struct spec_machine *machine, uint32_t thread, uint64_t rip, uint64_t rsp)
{
    struct spec_thread *filled = &machine->threads[thread];

    memset(filled->registers, 0, sizeof(filled->registers));
    filled->registers[SPEC_RIP] = rip;
    filled->registers[SPEC_RSP] = rsp;
    filled->registers_set = ALL_REGISTERS;
}

void trap_info_save_spec(const struct spec_machine *now, uint32_t cpu, uint64_t fault_address,
                         uint64_t return_address, struct spec_machine *next)
{
    spec_begin(now, next);
    next->cpus[cpu].fault_address = fault_address;
    next->cpus[cpu].return_address = return_address;
}

uint64_t trap_info_get_spec(const struct spec_machine *now, uint32_t cpu)
{
    return now->cpus[cpu].fault_address;
}

uint64_t trap_info_ret_spec(const struct spec_machine *now, uint32_t cpu)
{
    return now->cpus[cpu].return_address;
}
