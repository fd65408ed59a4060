// SPDX-License-Identifier: MIT
// The benchmark's IDT and exception handler. See traps.h.
#include "guests/bench_exits/traps.h"
#include "guests/library/guest.h"

#define VECTORS          32u
#define VECTOR_UD        6u
#define VECTOR_GP        13u
#define GATE_INTERRUPT   0x8e00u // present, DPL 0, interrupt gate
#define CODE_SELECTOR    0x08u
#define TRAP_EXIT_STATUS 2u

// As the stubs leave the stack.
struct trap_frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector;
    uint64_t error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

// "64-Bit IDT Gate Descriptors".
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t attributes;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
static_assert(sizeof(struct gate) == 16, "gate descriptor layout");

struct PACKED table_register {
    uint16_t limit;
    uint64_t base;
};
static_assert(sizeof(struct table_register) == 10, "IDTR layout");

extern const uintptr_t trap_stubs[VECTORS];
void trap_handle(struct trap_frame *frame);

uintptr_t trap_resume;
static bool taken;
static struct gate gates[VECTORS];

void traps_install(void)
{
    struct table_register table = {sizeof(gates) - 1, (uintptr_t)gates};

    for (unsigned i = 0; i < VECTORS; i++) {
        uintptr_t stub = trap_stubs[i];

        gates[i] = (struct gate){.offset_low = (uint16_t)stub,
                                 .selector = CODE_SELECTOR,
                                 .attributes = GATE_INTERRUPT,
                                 .offset_middle = (uint16_t)(stub >> 16),
                                 .offset_high = (uint32_t)(stub >> 32)};
    }
    __asm__ volatile("lidt %0" : : "m"(table));
}

bool trap_taken(void)
{
    bool result = taken;

    taken = false;
    return result;
}

void trap_handle(struct trap_frame *frame)
{
    if (trap_resume != 0 && (frame->vector == VECTOR_UD || frame->vector == VECTOR_GP)) {
        taken = true;
        frame->rip = trap_resume;
        return;
    }
    print_text("FAIL: exception ");
    print_decimal((uint32_t)frame->vector);
    print_text(" at ");
    print_hexadecimal(frame->rip);
    print_text("\n");
    test_exit(TRAP_EXIT_STATUS);
}
