// SPDX-License-Identifier: MIT
// RDMSR and WRMSR: what can be read, what keeps its value, and what raises #GP(0): the pages of
// both instructions, "Model-Specific Registers (MSRs)", "Canonical Address".
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

#define EFER       0xc0000080u
#define PAT        0x277u
#define TSC        0x10u
#define TSC_ADJUST 0x3bu

static unsigned try_read(uint32_t number)
{
    return TRY("rdmsr", : : "c"(number) : "rax", "rdx", "memory");
}

static unsigned try_write(uint32_t number, uint64_t value)
{
    return TRY("wrmsr",
               :
               : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
               : "memory");
}

static void check_kept(void)
{
    static const struct {
        const char *name;
        uint32_t number;
        uint64_t value;
    } rows[] = {
        {"msr star", 0xc0000081, 0x0023001000000000},
        {"msr lstar", 0xc0000082, 0xffffffff81234567},
        {"msr cstar", 0xc0000083, 0x00007fffffffffff},
        {"msr sfmask", 0xc0000084, 0x47700},
        {"msr fs base", 0xc0000100, 0xffff800000001000},
        {"msr kernel gs base", 0xc0000102, 0x123456789abc},
        {"msr sysenter cs", 0x174, 0x10},
        {"msr sysenter esp", 0x175, 0xffffffff80000000},
        {"msr sysenter eip", 0x176, 0x00007ffffffff000},
        {"msr pat", PAT, 0x0007010600070106},
        {"msr mtrr base", 0x200, 0x80000006},
        {"msr mtrr fixed", 0x250, 0x0606060606060606},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = msr_read(rows[i].number);

        msr_write(rows[i].number, rows[i].value);
        check(rows[i].name, msr_read(rows[i].number), rows[i].value);
        msr_write(rows[i].number, before);
    }
}

static void check_refused(void)
{
    check("msr lstar not canonical", try_write(0xc0000082, 0x8000000000000000), VECTOR_GP);
    check("msr lstar not canonical, error code", trap_last.error_code, 0);
    check("msr gs base not canonical", try_write(0xc0000101, 0x0000800000000000), VECTOR_GP);
    check("msr sysenter eip not canonical", try_write(0x176, 0x7fff000000000000), VECTOR_GP);
    check("msr efer reserved bit", try_write(EFER, msr_read(EFER) | 2), VECTOR_GP);
    check("msr efer lme with paging", try_write(EFER, msr_read(EFER) & ~0x100ull), VECTOR_GP);
    check("msr pat reserved type", try_write(PAT, 2), VECTOR_GP);
    check("msr mtrr capabilities is read-only", try_write(0xfe, 0), VECTOR_GP);
}

static void check_unknown(void)
{
    if (suite_is_native()) {
        skip("msrs that are none", "Bochs takes accesses to them unless told otherwise");
        return;
    }
    check("msr unknown, read", try_read(0x12345678), VECTOR_GP);
    check("msr unknown, write", try_write(0x12345678, 0), VECTOR_GP);
    check("msr between the ranges, read", try_read(0x2000), VECTOR_GP);
    check("msr above the ranges, read", try_read(0xc0002000), VECTOR_GP);
}

static void check_efer(void)
{
    uint64_t efer = msr_read(EFER);

    check("msr efer lma and lme", efer & 0x500, 0x500);
    msr_write(EFER, efer | 0x801);
    check("msr efer nxe and sce", msr_read(EFER) & 0x801, 0x801);
    msr_write(EFER, efer);
    check("msr efer as before", msr_read(EFER), efer);
}

// "Time-Stamp Counter", "IA32_TSC_ADJUST MSR".
static void check_tsc(void)
{
    uint64_t before = tsc_read();

    msr_write(TSC, 0x123456789abcull);
    check("msr tsc, upper part", msr_read(TSC) >> 32, 0x1234);
    check("msr tsc counts", tsc_read() > 0x123456789abcull, 1);
    msr_write(TSC, before);
    if ((cpuid(7, 0).ebx >> 1 & 1) == 0) {
        skip("msr tsc adjust", "CPUID says that there is none");
        return;
    }
    uint64_t adjust = msr_read(TSC_ADJUST);
    msr_write(TSC_ADJUST, adjust + 0x1000000000000ull);
    check("msr tsc adjust moves the tsc", tsc_read() >> 48, 1);
    msr_write(TSC_ADJUST, adjust);
    check("msr tsc adjust moves it back", tsc_read() >> 48, 0);
}

void subject_msr(void)
{
    check_kept();
    check_refused();
    check_unknown();
    check_efer();
    check_tsc();
}
