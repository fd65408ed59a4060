// SPDX-License-Identifier: MIT
// Tests what the hardware is loaded with for the control registers that a guest sees.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/vmx.h"

static const struct vmx_capabilities processor = {
    .cr0_fixed0 = 0x80000021,
    .cr0_fixed1 = 0xffffffff,
    .cr4_fixed0 = 0x2000,
    .cr4_fixed1 = 0x3727ff,
};

static void cr0_gets_its_fixed_bits(void **state)
{
    uint64_t value = 0;

    (void)state;
    assert_int_equal(vmx_cr0_load_value(&processor, 0x60000010, &value), STATUS_OK); // reset
    assert_int_equal(value, CR0_ET | CR0_NE); // caching on; PE and PG as the guest has them
    assert_int_equal(vmx_cr0_load_value(&processor, 0x80050033, &value), STATUS_OK); // Linux
    assert_int_equal(value, 0x80050033);
}

static void cr0_combinations_that_mov_refuses(void **state)
{
    uint64_t value = 1;

    (void)state;
    assert_int_equal(vmx_cr0_load_value(&processor, CR0_PG, &value), STATUS_INVALID);
    assert_int_equal(vmx_cr0_load_value(&processor, CR0_NW, &value), STATUS_INVALID);
    assert_int_equal(vmx_cr0_load_value(&processor, 1ull << 32, &value), STATUS_INVALID);
    assert_int_equal(value, 1);
}

static void cr4_hides_vmx_and_keeps_the_hosts_machine_checks(void **state)
{
    uint64_t value = 0;

    (void)state;
    assert_int_equal(vmx_cr4_load_value(&processor, CR4_PAE, CR4_MCE | CR4_SMEP, &value),
                     STATUS_OK);
    assert_int_equal(value, CR4_PAE | CR4_VMXE | CR4_MCE);
    assert_int_equal(vmx_cr4_load_value(&processor, CR4_MCE, 0, &value), STATUS_OK);
    assert_int_equal(value, CR4_VMXE);
    assert_int_equal(vmx_cr4_load_value(&processor, CR4_VMXE, 0, &value), STATUS_INVALID);
    assert_int_equal(vmx_cr4_load_value(&processor, CR4_LA57, 0, &value), STATUS_INVALID);
    assert_int_equal(vmx_cr4_load_value(&processor, CR4_UMIP, 0, &value), STATUS_INVALID);
    assert_int_equal(vmx_cr4_guest_bits(&processor) & (CR4_VMXE | CR4_SMXE | CR4_MCE), 0);
}

static void lma_follows(void **state)
{
    uint64_t value = 0;

    (void)state;
    assert_int_equal(vmx_efer_load_value(EFER_LME | EFER_NXE, CR0_PG | CR0_PE, &value), STATUS_OK);
    assert_int_equal(value, EFER_LME | EFER_NXE | EFER_LMA);
    assert_int_equal(vmx_efer_load_value(EFER_LME | EFER_LMA, CR0_PE, &value), STATUS_OK);
    assert_int_equal(value, EFER_LME);
    assert_int_equal(vmx_efer_load_value(EFER_SVME, 0, &value), STATUS_INVALID);
}

static void xcr0_rules(void **state)
{
    const uint64_t mask = XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512;

    (void)state;
    assert_int_equal(vmx_xcr0_check(1, mask), STATUS_OK);
    assert_int_equal(vmx_xcr0_check(3, mask), STATUS_OK);
    assert_int_equal(vmx_xcr0_check(7, mask), STATUS_OK);
    assert_int_equal(vmx_xcr0_check(0xe7, mask), STATUS_OK);
    assert_int_equal(vmx_xcr0_check(0, mask), STATUS_INVALID);
    assert_int_equal(vmx_xcr0_check(6, mask), STATUS_INVALID);
    assert_int_equal(vmx_xcr0_check(5, mask), STATUS_INVALID);
    assert_int_equal(vmx_xcr0_check(0x27, mask), STATUS_INVALID);
    assert_int_equal(vmx_xcr0_check(0xe3, mask), STATUS_INVALID);
    assert_int_equal(vmx_xcr0_check(7, XCR0_X87 | XCR0_SSE), STATUS_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cr0_gets_its_fixed_bits),
        cmocka_unit_test(cr0_combinations_that_mov_refuses),
        cmocka_unit_test(cr4_hides_vmx_and_keeps_the_hosts_machine_checks),
        cmocka_unit_test(lma_follows),
        cmocka_unit_test(xcr0_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
