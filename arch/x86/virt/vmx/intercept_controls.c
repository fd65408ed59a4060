// SPDX-License-Identifier: MIT
// Which controls the exits need that a monitor can ask for (VM_INTERCEPT_*), and which of them a
// processor lacks. Pure; called by intercept.c and by host tests.
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/controls.h"
#include "kernel/abi/syscall.h"

// In the order of the bits.
static const struct {
    uint32_t primary, secondary;
} intercept_controls[] = {
    {PRIMARY_INVLPG, 0},
    {PRIMARY_RDTSC, 0},
    {PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE, 0},
    {PRIMARY_MOV_DR, 0},
    {PRIMARY_PAUSE, 0},
    {PRIMARY_STEP, 0},
    {0, SECONDARY_TABLES},
    {0, SECONDARY_RDRAND},
    {0, SECONDARY_RDSEED},
    {0, SECONDARY_VMFUNC},
    {PRIMARY_RDTSC, SECONDARY_USER_WAIT},
    {0, 0}, // GETSEC exits where CR4.SMXE is 1
    {0, SECONDARY_PAGE_LOG},
    {0, SECONDARY_APIC_PAGE},
    {PRIMARY_TPR_SHADOW, SECONDARY_APIC_PAGE},
    {0, 0}, // the deliberate errors need no control
    {0, 0},
};
#define INTERCEPTS ARRAY_COUNT(intercept_controls)

void vmx_intercept_controls(uint32_t intercepts, uint32_t *primary, uint32_t *secondary)
{
    *primary = *secondary = 0;
    for (uint32_t i = 0; i < INTERCEPTS; i++) {
        if ((intercepts >> i & 1) != 0) {
            *primary |= intercept_controls[i].primary;
            *secondary |= intercept_controls[i].secondary;
        }
    }
}

// Features besides the controls that intercepts need.
static bool has_feature(const struct vmx_capabilities *capabilities, uint32_t intercept)
{
    switch (intercept) {
    case VM_INTERCEPT_GETSEC:
        return (capabilities->cr4_fixed1 & CR4_SMXE) != 0;
    case VM_INTERCEPT_DIRTY:
        return (capabilities->ept_vpid & EPT_CAP_DIRTY) != 0;
    default:
        return true;
    }
}

uint32_t vmx_intercepts_lacking(const struct vmx_capabilities *capabilities, uint32_t intercepts)
{
    uint32_t lacking = intercepts & ~((1u << INTERCEPTS) - 1);

    for (uint32_t i = 0; i < INTERCEPTS; i++) {
        bool offered = (intercept_controls[i].primary & ~(capabilities->primary >> 32)) == 0 &&
                       (intercept_controls[i].secondary & ~(capabilities->secondary >> 32)) == 0 &&
                       has_feature(capabilities, 1u << i);

        lacking |= offered ? 0 : intercepts & 1u << i;
    }
    return lacking;
}
