// SPDX-License-Identifier: MIT
// The instructions of VMX, SMX and SMM on a processor whose CPUID shows none of them, or outside of
// their modes of operation: each raises #UD, says its page of the manual.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

#define SIGNATURE_LEAF 0x40000100u
#define SIGNATURE      0x4b4d564bu // how "KVMKVMKVM" begins

static uint64_t operand[2] __attribute__((aligned(16)));

#define UNDEFINED(name, text)                                                                      \
    check(name, TRY(text, : : "a"(0), "c"(0), "D"(operand) : "rdx", "memory", "cc"), VECTOR_UD)

// Where CPUID shows the signature "KVMKVMKVM", its interface has an answer to it.
static void check_unknown_hypercall(void)
{
    static const char name[] = "vmcall of no hypercall";
    uint64_t result = 77;

    if (suite_is_native() || cpuid(SIGNATURE_LEAF, 0).ebx != SIGNATURE) {
        UNDEFINED(name, "mov $77, %%eax; vmcall");
    } else {
        __asm__ volatile("vmcall" : "+a"(result) : : "memory");
        check(name, result, (uint64_t)-1000);
    }
}

void subject_vmx(void)
{
    check_unknown_hypercall();
    if (!suite_is_native()) {
        check("vmcall 0 does nothing", TRY("vmcall", : : "a"(0) : "memory"), TRAP_NONE);
    }
    UNDEFINED("vmclear", "vmclear (%%rdi)");
    UNDEFINED("vmlaunch", "vmlaunch");
    UNDEFINED("vmresume", "vmresume");
    UNDEFINED("vmptrld", "vmptrld (%%rdi)");
    UNDEFINED("vmptrst", "vmptrst (%%rdi)");
    UNDEFINED("vmread to memory", "vmread %%rax, (%%rdi)");
    UNDEFINED("vmread to a register", "vmread %%rax, %%rdx");
    UNDEFINED("vmwrite from memory", "vmwrite (%%rdi), %%rax");
    UNDEFINED("vmwrite from a register", "vmwrite %%rax, %%rcx");
    UNDEFINED("vmxoff", "vmxoff");
    UNDEFINED("vmxon", "vmxon (%%rdi)");
    UNDEFINED("invept", "invept (%%rdi), %%rax");
    UNDEFINED("invvpid", "invvpid (%%rdi), %%rax");
    UNDEFINED("vmfunc", "vmfunc");
    UNDEFINED("getsec", ".byte 0x0f, 0x37");
    UNDEFINED("rsm", "rsm");
}
