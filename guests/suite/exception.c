// SPDX-License-Identifier: MIT
// Exceptions: vectors, error codes, saved RIP; faults during the delivery of another event; the
// double fault. "Interrupt and Exception Handling", "Exception and Interrupt Reference".
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/page_tables.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

#define ERROR_IDT 2u
#define ERROR_EXT 1u

static volatile uint64_t traps, trap_rip;

static void count(struct trap_frame *frame)
{
    traps++;
    trap_rip = frame->rip;
}

static void check_simple(void)
{
    check("#DE",
          TRY("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx; div %%ecx",
              :
              :
              : "rax", "rcx", "rdx", "memory", "cc"),
          VECTOR_DE);
    check("#UD", TRY("ud2", : : : "memory"), VECTOR_UD);
    check("#UD by lock", TRY(".byte 0xf0, 0x90", : : : "memory"), VECTOR_UD);
    check("#GP, address not canonical",
          TRY("mov (%0), %%rax",
              :
              : "r"(1ull << 63)
              : "rax", "memory"),
          VECTOR_GP);
    check("#GP, error code", trap_last.error_code, 0);
    check("#GP, selector beyond the table",
          TRY("mov %0, %%fs",
              :
              : "r"(0x1230)
              : "memory"),
          VECTOR_GP);
    check("#GP, selector as error code", trap_last.error_code, 0x1230);
    check("#SS, address not canonical",
          TRY("mov %0, %%rbp; mov (%%rbp), %%rax",
              :
              : "r"(1ull << 63)
              : "rax", "memory", "rbp"),
          VECTOR_SS);
    check("#GP, code segment without execution",
          TRY("push $0x10; push $0; lretq",
              :
              :
              : "memory"),
          VECTOR_GP);
}

static void check_fpu(void)
{
    uint64_t cr0 = cr0_read();

    cr0_write(cr0 | CR0_TS);
    check("#NM by ts", TRY("fninit", : : : "memory"), VECTOR_NM);
    cr0_write((cr0 | CR0_EM) & ~CR0_TS);
    check("#NM by em", TRY("fninit", : : : "memory"), VECTOR_NM);
    cr0_write((cr0 | CR0_TS | CR0_MP) & ~CR0_EM);
    check("#NM by wait", TRY("fwait", : : : "memory"), VECTOR_NM);
    cr0_write(cr0 & ~(CR0_TS | CR0_EM));
    check("no #NM", TRY("fninit", : : : "memory"), TRAP_NONE);
    cr0_write((cr0 & ~(CR0_TS | CR0_EM)) | 1u << 5);
    check("#MF",
          TRY("fninit; pushw $0; fldcw (%%rsp); add $2, %%rsp; fldz; fldz; fdivp; fwait;"
              "fninit",
              :
              :
              : "memory"),
          VECTOR_MF);
    __asm__ volatile("fninit");
    cr0_write(cr0);
}

static void check_software(void)
{
    trap_set_hook(VECTOR_BP, count);
    traps = 0;
    __asm__ volatile("int3" : : : "memory");
    check("int3", traps, 1);
    __asm__ volatile("int $3" : : : "memory");
    check("int 3", traps, 2);
    trap_set_hook(VECTOR_BP, 0);
    trap_set_hook(0x30, count);
    traps = 0;
    __asm__ volatile("int $0x30" : : : "memory");
    check("int 0x30", traps, 1);
    trap_set_hook(0x30, 0);
    check("int beyond the table", TRY("int $0x50", : : : "memory"), VECTOR_GP);
    check("int beyond the table, error code", trap_last.error_code, 0x50 * 8 + ERROR_IDT);
}

// A gate that is not present makes the delivery itself fault: #NP with the gate's index.
static void check_missing_gates(void)
{
    trap_gates[0x30].attributes &= (uint16_t)~GATE_PRESENT;
    check("int, gate not present", TRY("int $0x30", : : : "memory"), VECTOR_NP);
    check("int, gate not present, error code", trap_last.error_code, 0x30 * 8 + ERROR_IDT);
    trap_gates[0x30].attributes |= GATE_PRESENT;
    trap_gates[VECTOR_BP].attributes &= (uint16_t)~GATE_PRESENT;
    check("int3, gate not present", TRY("int3", : : : "memory"), VECTOR_NP);
    check("int3, gate not present, error code", trap_last.error_code & ~1ull,
          VECTOR_BP * 8 + ERROR_IDT);
    trap_gates[VECTOR_BP].attributes |= GATE_PRESENT;
    trap_gates[VECTOR_UD].attributes &= (uint16_t)~GATE_PRESENT;
    check("#UD, gate not present", TRY("ud2", : : : "memory"), VECTOR_NP);
    check("#UD, gate not present, error code", trap_last.error_code,
          VECTOR_UD * 8 + ERROR_IDT + ERROR_EXT);
    trap_gates[VECTOR_UD].attributes |= GATE_PRESENT;
}

// "Interrupt 8—Double Fault Exception (#DF)": contributory upon contributory, upon a page fault.
static void check_double_faults(void)
{
    static uint8_t page[4096] __attribute__((aligned(4096)));

    trap_gates[VECTOR_GP].attributes &= (uint16_t)~GATE_PRESENT;
    check("#DF, #NP upon #GP",
          TRY("mov (%0), %%rax",
              :
              : "r"(1ull << 63)
              : "rax", "memory"),
          VECTOR_DF);
    check("#DF, error code", trap_last.error_code, 0);
    if (!suite_is_native()) { // Bochs takes unknown MSRs
        check("#DF, #NP upon #GP of rdmsr",
              TRY("rdmsr",
                  :
                  : "c"(0x12345678)
                  : "rax", "rdx", "memory"),
              VECTOR_DF);
    }
    trap_gates[VECTOR_GP].attributes |= GATE_PRESENT;
    page_set_present(page, false);
    trap_gates[VECTOR_PF].attributes &= (uint16_t)~GATE_PRESENT;
    check("#DF, #NP upon #PF", TRY("movb $1, %0", : : "m"(page[0]) : "memory"), VECTOR_DF);
    trap_gates[VECTOR_PF].attributes |= GATE_PRESENT;
    page_set_present(page, true);
}

// The stack of an interrupt 1 gate with IST lies in a missing page: a #PF during the delivery.

static void check_stack_fault_in_delivery(void)
{
    static uint8_t stack[4096] __attribute__((aligned(4096)));

    task_register_install(stack + sizeof(stack));
    trap_set_hook(0x30, count);
    traps = 0;
    trap_gates[0x30].attributes |= 1; // IST 1
    __asm__ volatile("int $0x30" : : : "memory");
    check("int on a stack of its own", traps, 1);
    page_set_present(stack, false);
    check("#PF while an int is delivered", TRY("int $0x30", : : : "memory"), VECTOR_PF);
    check("#PF while an int is delivered, error code", trap_last.error_code, 2);
    check("#PF while an int is delivered, cr2", trap_cr2, (uintptr_t)stack + sizeof(stack) - 8);
    trap_gates[VECTOR_UD].attributes |= 1;
    check("#PF while #UD is delivered", TRY("ud2", : : : "memory"), VECTOR_PF);
    trap_gates[VECTOR_UD].attributes &= (uint16_t)~1;
    trap_gates[VECTOR_GP].attributes |= 1;
    check("#PF while #GP is delivered",
          TRY("mov (%0), %%rax",
              :
              : "r"(1ull << 63)
              : "rax", "memory"),
          VECTOR_PF);
    trap_gates[VECTOR_GP].attributes &= (uint16_t)~1;
    page_set_present(stack, true);
    trap_gates[0x30].attributes &= (uint16_t)~1;
    trap_set_hook(0x30, 0);
}

void subject_exception(void)
{
    check_simple();
    check_fpu();
    check_software();
    check_missing_gates();
    check_double_faults();
    check_stack_fault_in_delivery();
}
