// SPDX-License-Identifier: MIT
// Tests which controls the intercepts need, and that what a processor lacks is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/controls.h"
#include "kernel/abi/syscall.h"

#define ALL ((VM_INTERCEPT_BAD_NESTED << 1) - 1)

static void controls_add_up(void **state)
{
    uint32_t primary, secondary;

    (void)state;
    vmx_intercept_controls(0, &primary, &secondary);
    assert_int_equal(primary | secondary, 0);
    vmx_intercept_controls(VM_INTERCEPT_CR3 | VM_INTERCEPT_TABLES, &primary, &secondary);
    assert_int_equal(primary, PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE);
    assert_int_equal(secondary, SECONDARY_TABLES);
    vmx_intercept_controls(VM_INTERCEPT_USER_WAIT, &primary, &secondary);
    assert_int_equal(primary, PRIMARY_RDTSC); // without it they would not exit
    assert_int_equal(secondary, SECONDARY_USER_WAIT);
    vmx_intercept_controls(ALL, &primary, &secondary);
    assert_int_equal(primary & (PRIMARY_HLT | PRIMARY_TSC_OFFSET | PRIMARY_SECONDARY), 0);
    assert_int_equal(secondary & (SECONDARY_EPT | SECONDARY_VPID | SECONDARY_UNRESTRICTED), 0);
}

// A processor that offers everything, and each thing taken away from it.
static void what_is_lacking_is_told(void **state)
{
    struct vmx_capabilities all = {.primary = UINT64_MAX,
                                   .secondary = UINT64_MAX,
                                   .cr4_fixed1 = UINT64_MAX,
                                   .ept_vpid = UINT64_MAX};

    (void)state;
    assert_int_equal(vmx_intercepts_lacking(&all, ALL), 0);
    assert_int_equal(vmx_intercepts_lacking(&all, UINT32_MAX), ~ALL);
    for (uint32_t bit = 1; bit <= VM_INTERCEPT_TPR; bit <<= 1) {
        struct vmx_capabilities some = all;
        uint32_t primary, secondary;

        vmx_intercept_controls(bit, &primary, &secondary);
        some.primary &= ~((uint64_t)primary << 32);
        some.secondary &= ~((uint64_t)secondary << 32);
        assert_int_equal(vmx_intercepts_lacking(&some, bit), bit == VM_INTERCEPT_GETSEC ? 0 : bit);
        assert_int_equal(vmx_intercepts_lacking(&some, 0), 0);
    }
    all.cr4_fixed1 &= ~CR4_SMXE;
    all.ept_vpid &= ~EPT_CAP_DIRTY;
    assert_int_equal(vmx_intercepts_lacking(&all, ALL), VM_INTERCEPT_GETSEC | VM_INTERCEPT_DIRTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_add_up),
        cmocka_unit_test(what_is_lacking_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
