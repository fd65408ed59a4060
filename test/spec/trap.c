// SPDX-License-Identifier: MIT
// Traps (trap.h).
#include "test/spec/trap.h"

static bool is_serial(uint64_t vector)
{
    return vector >= SPEC_VECTOR_SERIAL && vector < SPEC_VECTOR_SERIAL + SPEC_SERIAL_PORTS;
}

bool spec_vector_known(uint64_t vector)
{
    return vector == SPEC_VECTOR_WAKE || vector == SPEC_VECTOR_TIMER ||
           vector == SPEC_VECTOR_SPURIOUS || is_serial(vector);
}

static void interrupt(const struct spec_trap *trap, struct spec_trap_effect *effect)
{
    effect->ended = trap->vector != SPEC_VECTOR_SPURIOUS; // that one is not in service
    if (is_serial(trap->vector)) {
        effect->handler = SPEC_HANDLER_SERIAL;
        effect->port = (uint32_t)(trap->vector - SPEC_VECTOR_SERIAL);
    } else {
        effect->handler = trap->vector == SPEC_VECTOR_TIMER      ? SPEC_HANDLER_TIMER
                          : trap->vector == SPEC_VECTOR_WAKE     ? SPEC_HANDLER_WAKE
                          : trap->vector == SPEC_VECTOR_SPURIOUS ? SPEC_HANDLER_NONE
                                                                 : SPEC_HANDLER_WARN;
    }
}

static void keep_information(const struct spec_trap *trap, struct spec_trap_state *next)
{
    next->fault_address = trap->vector == SPEC_VECTOR_PAGE_FAULT ? trap->cr2 : 0;
    next->return_address = trap->rip;
}

enum spec_rule trap_spec(const struct spec_trap_state *now, const struct spec_trap *trap,
                         struct spec_trap_state *next, struct spec_trap_effect *effect)
{
    bool abort =
        trap->vector == SPEC_VECTOR_DOUBLE_FAULT || trap->vector == SPEC_VECTOR_MACHINE_CHECK;
    bool exception = trap->vector < SPEC_VECTOR_EXCEPTIONS && trap->vector != SPEC_VECTOR_NMI;
    bool steps = trap->vector == SPEC_VECTOR_DEBUG && trap->at_entry && !trap->from_user;

    if (abort) {
        return TRAP_ABORT;
    }
    if (exception && !trap->from_user && !steps) {
        return TRAP_KERNEL;
    }
    *next = *now;
    *effect = (struct spec_trap_effect){.handler = SPEC_HANDLER_END};
    if (steps) {
        effect->handler = SPEC_HANDLER_STEP;
        effect->unsteps = true;
    } else if (trap->vector == SPEC_VECTOR_NMI) {
        effect->handler = SPEC_HANDLER_NMI;
        effect->again = trap->at_leave;
    } else if (trap->vector >= SPEC_VECTOR_EXCEPTIONS) {
        interrupt(trap, effect);
    } else {
        keep_information(trap, next);
        if (trap->vector == SPEC_VECTOR_NO_FPU) {
            effect->handler = SPEC_HANDLER_FPU;
        } else {
            next->user = false; // and does not come back
        }
    }
    return SPEC_ALLOWED;
}
