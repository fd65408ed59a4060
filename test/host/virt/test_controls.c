// SPDX-License-Identifier: MIT
// Tests how capability words decide the VMX controls, and what is said where something is missing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/virt/vmx/controls.h"

static uint64_t capability(uint32_t forced, uint32_t allowed)
{
    return (uint64_t)allowed << 32 | forced;
}

// A processor that has everything, with the usual forced bits.
static struct vmx_findings complete(void)
{
    return (struct vmx_findings){
        .cpuid_vmx = true,
        .feature_control_exists = true,
        .feature_control = FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX,
        .capabilities = {.basic = BASIC_TRUE_CONTROLS,
                         .pin = capability(0x16, 0x7f),
                         .primary = capability(0x4006172, 0xfff9fffe),
                         .secondary = capability(0, 0x553cfe),
                         .exit = capability(0x36dfb, 0x1fffffff),
                         .entry = capability(0x11fb, 0x3ffff),
                         .ept_vpid = 0xf0106734141ull},
    };
}

static void required_bits_are_set_and_forced_ones_kept(void **state)
{
    const struct vmx_control_wish wish = {.required = 0x10, .optional = 0x3};
    uint32_t value = 0, missing = 0;

    (void)state;
    assert_int_equal(vmx_control_compute(&wish, capability(0x100, 0x111), &value, &missing),
                     STATUS_OK);
    assert_int_equal(value, 0x111); // 0x10 wanted, 0x100 forced, 0x1 optional and allowed
}

static void what_cannot_be_is_named(void **state)
{
    const struct vmx_control_wish wish = {.required = 0x11, .unwanted = 0x100};
    uint32_t value = 7, missing = 0;

    (void)state;
    assert_int_equal(vmx_control_compute(&wish, capability(0x100, 0x101), &value, &missing),
                     STATUS_UNSUPPORTED);
    assert_int_equal(missing, 0x110); // 0x10 not allowed, 0x100 forced
    assert_int_equal(value, 7);
}

static void a_complete_processor_is_accepted(void **state)
{
    struct vmx_findings findings = complete();
    struct vmx_controls controls;
    char reason[256] = "";

    (void)state;
    assert_int_equal(vmx_explain(&findings, &controls, reason, sizeof(reason)), STATUS_OK);
    assert_string_equal(reason, "");
    assert_int_equal(controls.pin & (PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER),
                     PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER);
    assert_int_equal(controls.primary & PRIMARY_CR3_LOAD, 0);
    assert_int_equal(controls.entry & ENTRY_IA32E, 0);
    assert_int_equal(controls.secondary & SECONDARY_TABLES, 0);
}

static void refused(const struct vmx_findings *findings, const char *words)
{
    struct vmx_controls controls;
    char reason[256] = "";

    assert_int_equal(vmx_explain(findings, &controls, reason, sizeof(reason)), STATUS_UNSUPPORTED);
    if (strstr(reason, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", reason, words);
    }
    assert_true(strlen(reason) < sizeof(reason) - 1); // not cut
}

static void every_lack_is_explained(void **state)
{
    struct vmx_findings findings = {.hypervisor = true, .hypervisor_name = "TCGTCGTCGTCG"};

    (void)state;
    refused(&findings, "QEMU's TCG has no VMX");
    strcpy(findings.hypervisor_name, "KVMKVMKVM");
    refused(&findings, "KVMKVMKVM) does not offer VMX");
    findings.hypervisor = false;
    refused(&findings, "this processor has no VMX");

    findings = complete();
    findings.feature_control = FEATURE_CONTROL_LOCKED;
    refused(&findings, "firmware has locked VMX off");
    findings = complete();
    findings.capabilities.secondary &= ~((uint64_t)SECONDARY_EPT << 32);
    refused(&findings, "enable EPT");
    findings = complete();
    findings.capabilities.secondary &= ~((uint64_t)SECONDARY_UNRESTRICTED << 32);
    refused(&findings, "unrestricted guest");
    findings = complete();
    findings.capabilities.primary |= PRIMARY_CR3_LOAD;
    refused(&findings, "CR3-load exiting off");
    findings = complete();
    findings.capabilities.pin &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
    refused(&findings, "preemption timer");
    findings = complete();
    findings.capabilities.ept_vpid &= ~EPT_CAP_2M;
    refused(&findings, "2 MiB pages");
    findings.capabilities.ept_vpid = 0;
    refused(&findings, "page-walk length");
}

// An unlocked MSR is locked by us, so it is no reason to refuse.
static void an_open_feature_control_is_fine(void **state)
{
    struct vmx_findings findings = complete();
    struct vmx_controls controls;
    char reason[256] = "";

    (void)state;
    findings.feature_control = 0;
    assert_int_equal(vmx_explain(&findings, &controls, reason, sizeof(reason)), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(required_bits_are_set_and_forced_ones_kept),
        cmocka_unit_test(what_cannot_be_is_named),
        cmocka_unit_test(a_complete_processor_is_accepted),
        cmocka_unit_test(every_lack_is_explained),
        cmocka_unit_test(an_open_feature_control_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
