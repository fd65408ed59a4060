// SPDX-License-Identifier: MIT
// Debug registers and debug exceptions: "Debug Registers", "Debug Exceptions", also over
// instructions that a hypervisor finishes for the guest.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

#define DR6_B0     (1ull << 0)
#define DR6_RESET  0xffff0ff0ull
#define DR7_RESET  0x400ull
#define DR7_G0     (1ull << 1)
#define DR7_WRITE0 (1ull << 16)
#define DR7_IO0    (2ull << 16)
#define DR7_LEN4   (3ull << 18)

static void check_registers(void)
{
    uint64_t cr4 = cr4_read(), value;

    dr0_write(0x1122334455667788);
    dr3_write(0x123456);
    check("dr0", dr0_read(), 0x1122334455667788);
    check("dr3", dr3_read(), 0x123456);
    dr6_write(0);
    check("dr6 bits that are one", dr6_read(), DR6_RESET);
    dr7_write(0);
    check("dr7 bits that are one", dr7_read(), DR7_RESET);
    check("dr7 upper half", TRY("mov %0, %%dr7", : : "r"(1ull << 32) : "memory"), VECTOR_GP);
    check("dr6 upper half", TRY("mov %0, %%dr6", : : "r"(1ull << 32) : "memory"), VECTOR_GP);
    __asm__ volatile("mov %%dr4, %0" : "=r"(value));
    check("dr4 is dr6", value, DR6_RESET);
    cr4_write(cr4 | CR4_DE);
    check("dr4 with debugging extensions",
          TRY("mov %%dr4, %%rax",
              :
              :
              : "rax", "memory"),
          VECTOR_UD);
    check("dr5 with debugging extensions", TRY("mov %%rax, %%dr5", : : : "memory"), VECTOR_UD);
    cr4_write(cr4);
    dr0_write(0);
    dr3_write(0);
}

static void check_general_detect(void)
{
    unsigned vector;

    dr7_write(DR7_RESET | DR7_GD);
    vector = TRY("mov %%dr0, %%rax", : : : "rax", "memory");
    check("dr7 general detect", vector, VECTOR_DB);
    check("dr7 general detect, dr6", dr6_read() & ~DR6_RESET, DR6_BD);
    check("dr7 general detect is off in the handler", dr7_read(), DR7_RESET);
    dr6_write(DR6_RESET);
}

static volatile uint64_t steps, last_dr6, last_rip;

static void count_step(struct trap_frame *frame)
{
    steps++;
    last_rip = frame->rip;
    last_dr6 = dr6_read() & ~DR6_RESET;
    dr6_write(DR6_RESET);
}

static void count_breakpoint(struct trap_frame *frame)
{
    count_step(frame);
    frame->rflags |= RFLAGS_RF;
}

// Single-steps over `instruction` between two NOPs, and the POPF that ends it.
#define STEP(name, wanted, instruction)                                                            \
    do {                                                                                           \
        steps = 0;                                                                                 \
        __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq\n\t"                                  \
                         "nop\n\t" instruction "\n\tnop\n\t"                                       \
                         "pushfq; andl $~0x100, (%%rsp); popfq"                                    \
                         :                                                                         \
                         : "D"(scratch), "S"(scratch)                                              \
                         : "rax", "rbx", "rcx", "rdx", "memory", "cc");                            \
        check("single step over " name, steps, (wanted) + 5);                                      \
        check("single step over " name ", dr6", last_dr6, DR6_BS);                                 \
    } while (0)

static uint64_t scratch[4];

// Five steps belong to the frame: two NOPs, PUSHF, AND, POPF (whose trap still comes).
static void check_single_step(void)
{
    trap_set_hook(VECTOR_DB, count_step);
    STEP("nop", 1, "nop");
    STEP("cpuid", 2, "xor %%eax, %%eax; cpuid");
    STEP("rdmsr", 2, "mov $0x1b, %%ecx; rdmsr");
    STEP("in", 1, "in $0x21, %%al");
    STEP("out", 2, "in $0x21, %%al; out %%al, $0x21");
    STEP("in from an absent port", 2, "mov $0x5555, %%edx; inl %%dx, %%eax");
    STEP("mov from cr0", 1, "mov %%cr0, %%rax");
    STEP("mov to cr3", 2, "mov %%cr3, %%rax; mov %%rax, %%cr3");
    STEP("mov to cr8", 2, "xor %%eax, %%eax; mov %%rax, %%cr8");
    STEP("a read of a device", 2, "mov $0xf0000000, %%eax; mov (%%rax), %%ecx");
    STEP("rdtsc", 1, "rdtsc");
    STEP("wbinvd", 1, "wbinvd");
    STEP("mov ss and its shadow", 2, "mov %%ss, %%eax; mov %%eax, %%ss; cpuid");
    trap_set_hook(VECTOR_DB, 0);
}

static void check_breakpoints(void)
{
    static volatile uint32_t watched;

    trap_set_hook(VECTOR_DB, count_breakpoint);
    steps = 0;
    dr0_write((uintptr_t)&watched);
    dr7_write(DR7_RESET | DR7_G0 | DR7_WRITE0 | DR7_LEN4);
    watched = 1;
    check("data breakpoint", steps, 1);
    check("data breakpoint, dr6", last_dr6, DR6_B0);
    steps = 0;
    __asm__ volatile("lea 1f, %%rax; mov %%rax, %%dr0; mov %0, %%rax; mov %%rax, %%dr7\n"
                     "1: nop"
                     :
                     : "i"(DR7_RESET | DR7_G0)
                     : "rax", "memory");
    check("instruction breakpoint comes once", steps, 1);
    check("instruction breakpoint, dr6", last_dr6, DR6_B0);
    steps = 0;
    __asm__ volatile("lea 1f, %%rax; mov %%rax, %%dr0; xor %%eax, %%eax\n"
                     "1: cpuid"
                     :
                     :
                     : "rax", "rbx", "rcx", "rdx", "memory");
    check("instruction breakpoint at cpuid comes once", steps, 1);
    dr7_write(DR7_RESET);
    dr0_write(0);
    trap_set_hook(VECTOR_DB, 0);
}

static void check_icebp(void)
{
    trap_set_hook(VECTOR_DB, count_step);
    steps = 0;
    __asm__ volatile(".byte 0xf1" : : : "memory");
    check("int1", steps, 1);
    trap_set_hook(VECTOR_DB, 0);
}

void subject_debug(void)
{
    check_registers();
    check_general_detect();
    check_single_step();
    check_breakpoints();
    check_icebp();
}
