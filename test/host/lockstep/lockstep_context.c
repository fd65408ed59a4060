// SPDX-License-Identifier: MIT
// Lock-step: kernel/thread/user_context.c and the specification of uctx_get and uctx_set. The
// kernel keeps the registers with which a thread starts, RIP, RSP and RDI: the others are 0 then,
// and from the first entry on live where the program has them.
#include <string.h>
#include "kernel/thread/user_context.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/machine.h"

#define THREAD 0u

static struct user_context context;
static struct user_context before;
static struct spec_machine spec; // THREAD runs on its CPU 0

static const uint32_t registers[UCTX_COUNT] = {
    [UCTX_RIP] = SPEC_RIP, [UCTX_RSP] = SPEC_RSP, [UCTX_RDI] = SPEC_RDI};

static uint32_t in_spec(uint32_t index)
{
    return index < UCTX_COUNT ? registers[index] : SPEC_REGISTERS;
}

// Nothing but register `index` (UCTX_COUNT: nothing at all) changed, and all is as specified.
static void compare(const char *what, uint32_t index)
{
    struct lockstep_field fields[2] = {{context.registers, 0}, {&context.set, 0}};
    uint32_t set = 0;

    if (index < UCTX_COUNT) {
        fields[0] = (struct lockstep_field)LOCKSTEP_FIELD(context.registers[index]);
        fields[1] = (struct lockstep_field)LOCKSTEP_FIELD(context.set);
    }
    lockstep_only(what, &context, &before, sizeof(context), fields, 2);
    for (uint32_t i = 0; i < UCTX_COUNT; i++) {
        if (spec.threads[THREAD].registers_set >> registers[i] & 1) {
            set |= 1u << i;
            lockstep_equal(what, context.registers[i],
                           spec.threads[THREAD].registers[registers[i]]);
        }
    }
    lockstep_equal("which are set", context.set, set);
    lockstep_equal("complete", uctx_complete(&context), set == (1u << UCTX_COUNT) - 1);
}

static void get(uint32_t index)
{
    uint64_t value = 77;
    uint64_t model = 77;
    enum status status = uctx_get(&context, index, &value);

    lockstep_same("uctx_get", uctx_get_spec(&spec, 0, THREAD, in_spec(index), &model), status);
    lockstep_equal("value", value, model);
    compare("uctx_get", UCTX_COUNT);
}

static void set(uint32_t index, uint64_t value)
{
    enum status status = uctx_set(&context, index, value);

    lockstep_same("uctx_set", uctx_set_spec(&spec, 0, THREAD, in_spec(index), value, &spec),
                  status);
    compare("uctx_set", status == STATUS_OK ? index : UCTX_COUNT);
}

static void set_pointer(uint32_t index, uint64_t address)
{
    enum status status = uctx_set_pointer(&context, index, address);

    lockstep_same("uctx_set_pointer",
                  uctx_set_pointer_spec(&spec, 0, THREAD, in_spec(index), address, &spec), status);
    compare("uctx_set_pointer", status == STATUS_OK ? index : UCTX_COUNT);
}

static void start(void)
{
    memset(&context, 0, sizeof(context));
    spec_machine_init(&spec, 1, 10);
    (void)thread_spawn_spec(&spec, 0, THREAD, 0, 0, 0, &spec);
    (void)thread_wake_spec(&spec, 0, THREAD, &spec);
    (void)thread_switch_spec(&spec, 0, THREAD, &spec);
}

int main(int argc, char **argv)
{
    static const enum spec_rule rules[] = {UCTX_OFFSET, UCTX_UNSET, UCTX_CHECKED, UCTX_PLAIN,
                                           UCTX_POINTER};

    lockstep_begin(argc, argv, "user contexts", 50000);
    for (uint64_t i = 0; lockstep_more(); i++) {
        uint32_t index = lockstep_chance(95) ? lockstep_below(UCTX_COUNT)
                                             : (uint32_t)lockstep_boundary(UCTX_COUNT);

        if (i % 16 == 0) {
            start();
        }
        before = context;
        switch (lockstep_below(3)) {
        case 0:
            get(index);
            break;
        case 1:
            set(index, lockstep_random());
            break;
        default:
            set_pointer(index, lockstep_boundary(USER_LIMIT));
            break;
        }
    }
    return lockstep_end_rules(rules, ARRAY_COUNT(rules));
}
