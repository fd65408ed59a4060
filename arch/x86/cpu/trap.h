// SPDX-License-Identifier: MIT
// Traps: the frame that entry code builds, and the hooks through which arch reaches the kernel.
//
// arch calls no kernel symbol: the kernel installs one const table at start. All hooks run with
// interrupts off, on the kernel stack of the thread that was interrupted (machine check: on its own
// stack, where no thread may be switched). No lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"
#include "kernel/lib/compiler.h"

enum vector {
    VECTOR_DIVIDE_ERROR = 0,
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_BREAKPOINT = 3,
    VECTOR_OVERFLOW = 4,
    VECTOR_BOUND = 5,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_DEVICE_NOT_AVAILABLE = 7,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_INVALID_TSS = 10,
    VECTOR_SEGMENT_NOT_PRESENT = 11,
    VECTOR_STACK_FAULT = 12,
    VECTOR_GENERAL_PROTECTION = 13,
    VECTOR_PAGE_FAULT = 14,
    VECTOR_FPU_ERROR = 16,
    VECTOR_ALIGNMENT_CHECK = 17,
    VECTOR_MACHINE_CHECK = 18,
    VECTOR_SIMD_ERROR = 19,
    VECTOR_FIRST_INTERRUPT = 32,
    VECTOR_COUNT = 256
};

// What the entry code leaves at the top of the kernel stack. Changes to it are what is returned to.
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector;
    uint64_t error_code; // 0 where the vector has none
    // Pushed by the processor.
    uint64_t rip;
    uint64_t cs;
    uint64_t rflags;
    uint64_t rsp;
    uint64_t ss;
};
static_assert(sizeof(struct trap_frame) == 176,
              "trap_entry.asm builds it; keeps RSP aligned to 16");
static_assert(offsetof(struct trap_frame, vector) == 120, "trap_entry.asm builds it");

static inline bool trap_from_user(const struct trap_frame *frame)
{
    return (frame->cs & 3) == 3;
}

struct trap_operations {
    // An exception of ring-3 code (device-not-available and page fault included), or a SYSENTER
    // that gave a bad return address (vector 13). `information` stays valid and unchanged during
    // the call. Returning resumes the program at `frame`; it need not return.
    void (*user_exception)(struct trap_frame *frame, const struct trap_information *information);

    // Vectors 32 to 255, from ring 3 or from an interrupt window or idle loop of the kernel. The
    // hook acknowledges the interrupt controller. It may switch threads when from ring 3.
    void (*interrupt)(uint32_t vector, struct trap_frame *frame);

    // An NMI, whatever it interrupted, on a stack of its own: takes no lock and switches nothing.
    void (*nmi)(struct trap_frame *frame);

    // An exception in ring 0 that nothing recovers: a bug or broken hardware. `fault_address` is
    // CR2. trap_describe() turns the frame into text.
    NORETURN void (*kernel_exception)(const struct trap_frame *frame, uint64_t fault_address);
};

// Installs the hooks. `operations` and its members are non-null and live for ever. Until then every
// trap ends in a message on both serial ports and a halt.
void trap_install(const struct trap_operations *operations);

// The fault address / the return address of this CPU's last trap from ring 3.
/*@
  requires \valid_read(running_cpu);
  terminates \true;
  assigns \nothing;
  ensures \result == running_cpu->trap.fault_address;
*/
static inline uint64_t trap_info_get(void)
{
    return this_cpu()->trap.fault_address;
}

/*@
  requires \valid_read(running_cpu);
  terminates \true;
  assigns \nothing;
  ensures \result == running_cpu->trap.return_address;
*/
static inline uint64_t trap_info_ret(void)
{
    return this_cpu()->trap.return_address;
}

// The kernel's: says on all serial ports why it cannot start, and halts. For what goes wrong before
// it has its hooks installed.
NORETURN void kernel_cannot_start(const char *reason);

// A short name of an exception vector ("page fault"); "interrupt" from 32 on.
const char *trap_name(uint64_t vector);

// Writes a multi-line report (LF line ends) of a trap: vector, error code, registers, CR2 and the
// kernel text addresses found on the stack. Allocates nothing and reads only mapped stack memory.
// Returns the length written, below `size`.
size_t trap_describe(char *buffer, size_t size, const struct trap_frame *frame,
                     uint64_t fault_address);

// Its last part, of any stack; returns the length of the whole text.
size_t stack_describe(char *buffer, size_t size, uint64_t rsp);
