// SPDX-License-Identifier: MIT
// Control registers: "Control Registers", MOV to and from them, LMSW, SMSW, CLTS, CR8, XSETBV.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"
#include "kernel/lib/processor.h"

static unsigned try_cr0(uint64_t value)
{
    return TRY("mov %0, %%cr0", : : "r"(value) : "memory");
}

static unsigned try_cr4(uint64_t value)
{
    return TRY("mov %0, %%cr4", : : "r"(value) : "memory");
}

static void lmsw(uint16_t value)
{
    __asm__ volatile("lmsw %0" : : "r"(value) : "memory");
}

static void check_cr0(void)
{
    uint64_t cr0 = cr0_read();

    cr0_write(cr0 ^ CR0_WP);
    check("cr0 wp", cr0_read(), cr0 ^ CR0_WP);
    cr0_write((cr0 & ~CR0_NW) | CR0_CD);
    check("cr0 cache disable", cr0_read() & (CR0_CD | CR0_NW), CR0_CD);
    cr0_write(cr0 | CR0_CD | CR0_NW);
    check("cr0 cache disable and not write-through", cr0_read() & (CR0_CD | CR0_NW),
          CR0_CD | CR0_NW);
    cr0_write((cr0 & ~(CR0_CD | CR0_NW)) ^ CR0_NE);
    check("cr0 ne", cr0_read() & CR0_NE, ~cr0 & CR0_NE);
    cr0_write(cr0 & ~CR0_ET);
    check("cr0 et is always one", cr0_read() & CR0_ET, CR0_ET);
    cr0_write(cr0);
    check("cr0 as before", cr0_read(), cr0);
    check("cr0 not write-through alone", try_cr0((cr0 & ~CR0_CD) | CR0_NW), VECTOR_GP);
    check("cr0 paging off in 64-bit mode", try_cr0(cr0 & ~CR0_PG), VECTOR_GP);
    check("cr0 paging without protection", try_cr0(cr0 & ~1ull), VECTOR_GP);
    check("cr0 upper half", try_cr0(cr0 | 1ull << 32), VECTOR_GP);
    check("cr0 after what was refused", cr0_read(), cr0);
}

static void check_machine_status_word(void)
{
    uint64_t cr0 = cr0_read();
    uint64_t word = 0;
    uint16_t memory = (uint16_t)(cr0 | CR0_TS);

    lmsw((uint16_t)(cr0 | CR0_TS | CR0_MP));
    check("lmsw sets ts and mp", cr0_read() & 0xf, (cr0 & 0xf) | CR0_TS | CR0_MP);
    lmsw((uint16_t)((cr0 | CR0_EM) & ~CR0_TS));
    check("lmsw clears ts, sets em", cr0_read() & (CR0_TS | CR0_EM), CR0_EM);
    lmsw(0);
    check("lmsw does not clear pe", cr0_read() & 0xf, 1);
    lmsw(0xfff1);
    check("lmsw changes four bits only", cr0_read(), (cr0 & ~0xfull) | 1);
    __asm__ volatile("lmsw %0" : : "m"(memory) : "memory");
    check("lmsw from memory", cr0_read() & CR0_TS, CR0_TS);
    __asm__ volatile("smsw %0" : "=r"(word));
    check("smsw", word & 0xffff, cr0_read() & 0xffff);
    __asm__ volatile("clts" : : : "memory");
    check("clts", cr0_read() & CR0_TS, 0);
    cr0_write(cr0);
}

static void check_cr2_and_cr3(void)
{
    uint64_t cr3 = cr3_read();

    cr2_write(0x123456789abcdef0);
    check("cr2", cr2_read(), 0x123456789abcdef0);
    cr3_write(cr3 | 0x18);
    check("cr3 with caching bits", cr3_read(), cr3 | 0x18);
    cr3_write(cr3);
    check("cr3 as before", cr3_read(), cr3);
    check("cr3 beyond the physical addresses",
          TRY("mov %0, %%cr3",
              :
              : "r"(cr3 | 1ull << 60)
              : "memory"),
          VECTOR_GP);
}

static void check_cr4(void)
{
    uint64_t cr4 = cr4_read();

    cr4_write(cr4 | CR4_TSD);
    check("cr4 tsd", cr4_read(), cr4 | CR4_TSD);
    cr4_write(cr4);
    check("cr4 pae off in long mode", try_cr4(cr4 & ~CR4_PAE), VECTOR_GP);
    check("cr4 reserved bit", try_cr4(cr4 | 1ull << 31), VECTOR_GP);
    check("cr4 upper half", try_cr4(cr4 | 1ull << 40), VECTOR_GP);
    if (suite_is_native()) {
        skip("cr4 vmxe without vmx", "this machine has VMX");
    } else {
        check("cr4 vmxe without vmx", try_cr4(cr4 | CR4_VMXE), VECTOR_GP);
    }
    check("cr4 after what was refused", cr4_read(), cr4);
}

// "Task Priority Register" in 64-bit mode.
static void check_cr8(void)
{
    cr8_write(9);
    check("cr8", cr8_read(), 9);
    cr8_write(0);
    check("cr8 zero", cr8_read(), 0);
    check("cr8 reserved bit", TRY("mov %0, %%cr8", : : "r"(16ull) : "memory"), VECTOR_GP);
}

static void check_registers_that_are_none(void)
{
    check("cr1 read", TRY(".byte 0x0f, 0x20, 0xc8", : : : "rax", "memory"), VECTOR_UD);
    check("cr5 write", TRY(".byte 0x0f, 0x22, 0xe8", : : : "rax", "memory"), VECTOR_UD);
    check("cr15 read", TRY(".byte 0x44, 0x0f, 0x20, 0xf8", : : : "rax", "memory"), VECTOR_UD);
}

// CR0 and CR3 through each general register, RSP included.
#define THROUGH(name)                                                                              \
    __asm__ volatile("mov %%rsp, %%rdx; mov %%cr3, %%" name "; mov %%" name ", %%cr3;"             \
                     "mov %%cr0, %%" name "; mov %%" name ", %%cr0; mov %%" name                   \
                     ", %%rax; mov %%rdx, %%rsp"                                                   \
                     : "=a"(seen)                                                                  \
                     :                                                                             \
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",  \
                       "r14", "r15", "memory");                                                    \
    check("cr0 and cr3 through " name, seen, cr0)

static void check_each_register(void)
{
    uint64_t cr0 = cr0_read(), seen;

    THROUGH("rax");
    THROUGH("rcx");
    THROUGH("rbx");
    THROUGH("rsp");
    THROUGH("rsi");
    THROUGH("rdi");
    THROUGH("r8");
    THROUGH("r9");
    THROUGH("r10");
    THROUGH("r11");
    THROUGH("r12");
    THROUGH("r13");
    THROUGH("r14");
    THROUGH("r15");
}

static unsigned try_xsetbv(uint32_t index, uint64_t value)
{
    return TRY("xsetbv",
               :
               : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
               : "memory");
}

static void check_xcr0(void)
{
    uint64_t cr4 = cr4_read();
    uint32_t low, high;

    if ((cpuid(1, 0).ecx >> 26 & 1) == 0) {
        skip("xsetbv", "the processor has no XSAVE");
        return;
    }
    check("xsetbv without osxsave", try_xsetbv(0, 1), VECTOR_UD);
    cr4_write(cr4 | CR4_OSXSAVE);
    check("xsetbv x87 and sse", try_xsetbv(0, 3), TRAP_NONE);
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    check("xgetbv", (uint64_t)high << 32 | low, 3);
    check("xsetbv without x87", try_xsetbv(0, 2), VECTOR_GP);
    check("xsetbv avx without sse", try_xsetbv(0, 5), VECTOR_GP);
    check("xsetbv reserved bit", try_xsetbv(0, 1ull << 62 | 1), VECTOR_GP);
    check("xsetbv other index", try_xsetbv(1, 1), VECTOR_GP);
    (void)try_xsetbv(0, 1);
    cr4_write(cr4);
}

void subject_control(void)
{
    check_cr0();
    check_machine_status_word();
    check_cr2_and_cr3();
    check_cr4();
    check_cr8();
    check_registers_that_are_none();
    check_each_register();
    check_xcr0();
}
