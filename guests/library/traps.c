// SPDX-License-Identifier: MIT
// See traps.h.
#include "guests/library/traps.h"
#include "kernel/lib/processor.h"

#define GATE_INTERRUPT   0x8e00u // present, DPL 0, interrupt gate
#define CODE_SELECTOR    0x08u
#define TRAP_EXIT_STATUS 2u

extern const uintptr_t trap_stubs[TRAP_VECTORS];
void trap_handle(struct trap_frame *frame);

struct trap_gate trap_gates[TRAP_VECTORS];
struct trap_frame trap_last;
uint64_t trap_cr2;
uintptr_t trap_resume;
uintptr_t trap_stack;

static unsigned taken = TRAP_NONE;
static trap_hook *hooks[TRAP_VECTORS];

void traps_install(void)
{
    struct table_register table = {sizeof(trap_gates) - 1, (uintptr_t)trap_gates};

    for (unsigned i = 0; i < TRAP_VECTORS; i++) {
        uintptr_t stub = trap_stubs[i];

        trap_gates[i] = (struct trap_gate){.offset_low = (uint16_t)stub,
                                           .selector = CODE_SELECTOR,
                                           .attributes = GATE_INTERRUPT,
                                           .offset_middle = (uint16_t)(stub >> 16),
                                           .offset_high = (uint32_t)(stub >> 32)};
    }
    __asm__ volatile("lidt %0" : : "m"(table));
}

void trap_set_hook(unsigned vector, trap_hook *hook)
{
    hooks[vector] = hook;
}

unsigned trap_taken(void)
{
    unsigned vector = taken;

    taken = TRAP_NONE;
    return vector;
}

static void report(const struct trap_frame *frame)
{
    print_text("FAIL unexpected vector ");
    print_decimal((uint32_t)frame->vector);
    print_text(": error code ");
    print_hexadecimal(frame->error_code);
    print_text(", rip ");
    print_hexadecimal(frame->rip);
    print_text(", cr2 ");
    print_hexadecimal(trap_cr2);
    print_text("\n");
}

void trap_handle(struct trap_frame *frame)
{
    if (hooks[frame->vector] != 0) {
        hooks[frame->vector](frame);
        return;
    }
    __asm__ volatile("mov %%cr2, %0" : "=r"(trap_cr2));
    if (trap_resume == 0) {
        report(frame);
        test_exit(TRAP_EXIT_STATUS);
    }
    taken = (unsigned)frame->vector;
    trap_last = *frame;
    frame->rip = trap_resume;
    frame->rsp = trap_stack;
    frame->rflags &= ~RFLAGS_TF;
}
