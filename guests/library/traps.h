// SPDX-License-Identifier: MIT
// The interrupt descriptor table of 64-bit test kernels: exceptions that a check expects are caught
// and the check goes on behind the instruction; what nobody expects ends the kernel with a report.
#pragma once

#include "guests/library/guest.h"

#define TRAP_NONE    0x100u // no exception came
#define TRAP_VECTORS 64u

enum vector {
    VECTOR_DE = 0,
    VECTOR_DB = 1,
    VECTOR_NMI = 2,
    VECTOR_BP = 3,
    VECTOR_OF = 4,
    VECTOR_BR = 5,
    VECTOR_UD = 6,
    VECTOR_NM = 7,
    VECTOR_DF = 8,
    VECTOR_TS = 10,
    VECTOR_NP = 11,
    VECTOR_SS = 12,
    VECTOR_GP = 13,
    VECTOR_PF = 14,
    VECTOR_MF = 16,
    VECTOR_AC = 17,
    VECTOR_XM = 19,
    VECTOR_IRQ = 0x20, // where the tests put the interrupt controller's first line
};

// As the stubs leave the stack.
struct trap_frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector;
    uint64_t error_code; // 0 where the vector has none
    uint64_t rip, cs, rflags, rsp, ss;
};

// "64-Bit IDT Gate Descriptors".
struct trap_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(struct trap_gate) == 16, "gate descriptor layout");

#define GATE_PRESENT 0x8000u

typedef void trap_hook(struct trap_frame *frame);

void traps_install(void);
extern struct trap_gate trap_gates[TRAP_VECTORS];
extern struct trap_frame trap_last; // of the last exception that TRY caught
extern uint64_t trap_cr2;           // at its time
extern uintptr_t trap_resume;       // TRY's own
extern uintptr_t trap_stack;

// What happens at a vector; null: TRY catches it, or it is an error.
void trap_set_hook(unsigned vector, trap_hook *hook);

// The vector that the last TRY caught, or TRAP_NONE.
unsigned trap_taken(void);

// Runs instructions (with operands as of an asm statement behind them) and gives the vector of the
// exception they raised, or TRAP_NONE.
#define TRY(text, ...)                                                                             \
    __extension__({                                                                                \
        __asm__ volatile("movq $77f, trap_resume\n\tmovq %%rsp, trap_stack\n\t" text               \
                         "\n77:\n\tmovq $0, trap_resume" __VA_ARGS__);                             \
        trap_taken();                                                                              \
    })
