// SPDX-License-Identifier: MIT
// Constants for the assembly files of arch/x86/cpu and arch/x86/boot; see asm_offsets.h. Never
// linked.
#include "arch/x86/cpu/asm_offsets.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "kernel/lib/status.h"

void asm_constants_cpu(void);
void asm_constants_cpu(void)
{
    ASM_CONSTANT(ASM_SELECTOR_KERNEL_CODE, SELECTOR_KERNEL_CODE);
    ASM_CONSTANT(ASM_SELECTOR_KERNEL_DATA, SELECTOR_KERNEL_DATA);
    ASM_CONSTANT(ASM_SELECTOR_USER_CODE, SELECTOR_USER_CODE);
    ASM_CONSTANT(ASM_SELECTOR_USER_DATA, SELECTOR_USER_DATA);
    ASM_CONSTANT(ASM_CR0_BOOT, CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    ASM_CONSTANT(ASM_CR4_PAE, CR4_PAE);
    ASM_CONSTANT(ASM_EFER_LME, EFER_LME);
    ASM_CONSTANT(ASM_EFER_LME_NXE, EFER_LME | EFER_NXE);
    ASM_CONSTANT(ASM_MSR_EFER, MSR_EFER);
    ASM_CONSTANT(ASM_RFLAGS_CLEAR, RFLAGS_RESERVED);
    ASM_CONSTANT(ASM_RFLAGS_USER, RFLAGS_RESERVED | RFLAGS_IF);
    ASM_CONSTANT(ASM_VECTOR_GENERAL_PROTECTION, VECTOR_GENERAL_PROTECTION);
    ASM_CONSTANT(ASM_USER_ADDRESS_BITS, 47);
    ASM_CONSTANT(ASM_STATUS_INVALID, STATUS_INVALID);
    ASM_CONSTANT(ASM_CPU_MODE, offsetof(struct cpu, mode));
    ASM_CONSTANT(ASM_CPU_RSP0, offsetof(struct cpu, tss.rsp));
    ASM_CONSTANT(ASM_MODE_CROSSING, MODE_USER ^ MODE_KERNEL);
}
