// SPDX-License-Identifier: MIT
// See traps.h.
#include "guests/legacy/traps.h"

#define GATE_INTERRUPT   0x8e00u
#define GATE_TASK        0x8500u
#define TRAP_EXIT_STATUS 2u

extern const uint32_t trap_stubs[TRAP_VECTORS];
uint32_t trap_handle(struct trap_frame *frame); // where to go on; 0: back

uint64_t gdt[ENTRY_COUNT];
struct trap_frame trap_last;
uint32_t trap_resume, trap_stack;

static uint64_t gates[TRAP_VECTORS];
static unsigned taken = TRAP_NONE;
static trap_hook *hooks[TRAP_VECTORS];

void gdt_set(unsigned entry, uint32_t base, uint32_t limit, uint32_t rights)
{
    gdt[entry] = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)rights << 40 |
                 (uint64_t)(limit >> 16 & 0xf) << 48 | (uint64_t)(base >> 24) << 56;
}

uint32_t gdt_rights(unsigned entry)
{
    return (uint32_t)(gdt[entry] >> 40) & 0xff;
}

void trap_set_hook(unsigned vector, trap_hook *hook)
{
    hooks[vector] = hook;
}

void trap_set_task(unsigned vector, unsigned entry)
{
    uint32_t stub = trap_stubs[vector];

    gates[vector] = entry != 0 ? (uint64_t)SELECTOR(entry) << 16 | (uint64_t)GATE_TASK << 32
                               : (stub & 0xffff) | SELECTOR(ENTRY_CODE) << 16 |
                                     (uint64_t)((stub & 0xffff0000) | GATE_INTERRUPT) << 32;
}

void traps_install(void)
{
    struct table_register descriptors = {sizeof(gdt) - 1, (uint32_t)gdt};
    struct table_register table = {sizeof(gates) - 1, (uint32_t)gates};

    gdt_set(ENTRY_CODE, 0, 0xfffff, RIGHTS_CODE);
    gdt_set(ENTRY_DATA, 0, 0xfffff, RIGHTS_DATA);
    for (unsigned i = 0; i < TRAP_VECTORS; i++) {
        trap_set_task(i, 0);
    }
    __asm__ volatile("lgdt %0; lidt %1; ljmp %2, $1f; 1: mov %3, %%ds; mov %3, %%es; mov %3, %%ss;"
                     "mov %3, %%fs; mov %3, %%gs"
                     :
                     : "m"(descriptors), "m"(table), "i"(SELECTOR(ENTRY_CODE)),
                       "r"(SELECTOR(ENTRY_DATA))
                     : "memory");
}

unsigned trap_taken(void)
{
    unsigned vector = taken;

    taken = TRAP_NONE;
    return vector;
}

uint32_t trap_handle(struct trap_frame *frame)
{
    if (hooks[frame->vector] != 0) {
        hooks[frame->vector](frame);
        return 0;
    }
    if (trap_resume == 0) {
        print_text("FAIL unexpected vector ");
        print_decimal(frame->vector);
        print_text(": error code ");
        print_hexadecimal(frame->error_code);
        print_text(", eip ");
        print_hexadecimal(frame->eip);
        print_text("\n");
        test_exit(TRAP_EXIT_STATUS);
    }
    taken = frame->vector;
    trap_last = *frame;
    return trap_resume;
}
