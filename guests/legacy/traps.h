// SPDX-License-Identifier: MIT
// Descriptor tables and exceptions of the 32-bit suite. As guests/library/traps.h, for 32 bits: TRY
// catches what an instruction raises.
#pragma once

#include "guests/library/guest.h"

#define TRAP_NONE    0x100u
#define TRAP_VECTORS 0x48u

enum vector {
    VECTOR_DB = 1,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_IRQ = 0x20,
    VECTOR_TASK = 0x40
};

struct trap_frame {
    uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax; // as PUSHA leaves them
    uint32_t vector;
    uint32_t error_code;
    uint32_t eip, cs, eflags;
};

typedef void trap_hook(struct trap_frame *frame);

// Entries of the GDT.
enum {
    ENTRY_NULL,
    ENTRY_CODE,
    ENTRY_DATA,
    ENTRY_MAIN,
    ENTRY_TASK,
    ENTRY_FAULT,
    ENTRY_TASK16,
    ENTRY_CODE16,
    ENTRY_LDT,
    ENTRY_SMALL,
    ENTRY_ABSENT,
    ENTRY_READ_ONLY,
    ENTRY_COUNT
};
#define SELECTOR(entry) ((uint16_t)((entry)*8))

#define RIGHTS_CODE    0xc09bu
#define RIGHTS_CODE_16 0x009bu
#define RIGHTS_DATA    0xc093u
#define RIGHTS_BYTES   0x4093u // data, limit in bytes
#define RIGHTS_READ    0x4091u
#define RIGHTS_ABSENT  0x4013u
#define RIGHTS_TSS     0x0089u
#define RIGHTS_TSS_16  0x0081u
#define RIGHTS_LDT     0x0082u
#define RIGHTS_BUSY    0x0002u

extern uint64_t gdt[ENTRY_COUNT];
extern struct trap_frame trap_last;
extern uint32_t trap_resume, trap_stack; // TRY's own

void traps_install(void);
void gdt_set(unsigned entry, uint32_t base, uint32_t limit, uint32_t rights);
uint32_t gdt_rights(unsigned entry);
void trap_set_hook(unsigned vector, trap_hook *hook);
// The vector's gate leads to the task of a TSS; 0: to the handler again.
void trap_set_task(unsigned vector, unsigned entry);
unsigned trap_taken(void);

#define TRY(text, ...)                                                                             \
    __extension__({                                                                                \
        __asm__ volatile("movl $77f, trap_resume\n\tmovl %%esp, trap_stack\n\t" text               \
                         "\n77:\n\tmovl $0, trap_resume" __VA_ARGS__);                             \
        trap_taken();                                                                              \
    })
