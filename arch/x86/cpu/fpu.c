// SPDX-License-Identifier: MIT
// Lazy switching of extended processor state; see fpu.h. Each CPU works on its own registers.
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/lib/string.h"

// "Layout of the Legacy Region of an XSAVE Area"
#define OFFSET_FCW        0
#define OFFSET_MXCSR      24
#define OFFSET_MXCSR_MASK 28
#define OFFSET_XSTATE_BV  512

#define MXCSR_RESET 0x1f80u

static uint64_t mask; // XCR0 of the host; 0: FXSAVE only
uint64_t fpu_mask(void)
{
    return mask;
}

void fpu_discover(void)
{
    const struct cpu_features *features = cpu_features();
    if (!features->xsave || features->maximum_leaf < 13) {
        return;
    }
    struct cpuid_result supported = cpuid(13, 0);
    mask = supported.eax & (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512);
    if ((mask & XCR0_AVX512) != XCR0_AVX512) {
        mask &= ~XCR0_AVX512;
    }
}

// For contracts: what an area holds is left out.
/*@
  terminates \true;
  assigns \nothing;
*/
static void save(void *area)
{
    if (mask != 0) {
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"((uint32_t)mask), "d"(0) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    }
}

/*@
  terminates \true;
  assigns \nothing;
*/
static void restore(const void *area)
{
    if (mask != 0) {
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"((uint32_t)mask), "d"(0) : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
    }
}

void fpu_area_initialize(void *area, uint16_t fcw)
{
    uint8_t *bytes = area;
    uint32_t mxcsr = MXCSR_RESET;
    uint64_t present = XCR0_X87 | XCR0_SSE; // the rest: initial configuration
    memset(area, 0, FPU_AREA_SIZE);
    memcpy(bytes + OFFSET_FCW, &fcw, sizeof fcw);
    memcpy(bytes + OFFSET_MXCSR, &mxcsr, sizeof mxcsr);
    if (mask != 0) {
        memcpy(bytes + OFFSET_XSTATE_BV, &present, sizeof present);
    }
}

// A vCPU that owns the registers may have left its guest's XCR0 in force.
/*@
  terminates \true;
  assigns cpu_xcr0;
  ensures mask != 0 ==> cpu_xcr0 == mask;
  ensures mask == 0 ==> cpu_xcr0 == \old(cpu_xcr0);
*/
static void restore_host_mask(void)
{
    if (mask != 0 && xcr0_read() != mask) {
        xcr0_write(mask);
    }
}

void fpu_claim(void *area)
{
    struct cpu *cpu = this_cpu();
    task_switched_clear();
    if (cpu->fpu_owner == area) {
        return;
    }
    restore_host_mask();
    if (cpu->fpu_owner) {
        save(cpu->fpu_owner);
    }
    restore(area);
    cpu->fpu_owner = area;
}

void fpu_release(void *area)
{
    struct cpu *cpu = this_cpu();
    if (cpu->fpu_owner == area) {
        task_switched_clear();
        restore_host_mask();
        save(area);
        cpu->fpu_owner = NULL;
        task_switched_set();
    }
}

void fpu_guard(void)
{
    task_switched_set();
}

void fpu_initialize_cpu(void)
{
    restore_host_mask();
    this_cpu()->fpu_owner = NULL;
    task_switched_set();
}
