// SPDX-License-Identifier: MIT
// Tests how capability words decide the VMX controls, and what is told and said where something is
// missing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/virt/vmx/controls.h"
#include "kernel/lib/status.h"
#include "vmm/console/no_vms.h"

#define OPEN (FEATURE_CONTROL_LOCKED | FEATURE_CONTROL_VMX_OUTSIDE_SMX)

static struct vm_support support;
static struct vmx_controls controls;

static uint64_t capability(uint32_t forced, uint32_t allowed)
{
    return (uint64_t)allowed << 32 | forced;
}

// A processor that has everything, with the usual forced bits.
static struct vmx_capabilities *complete(void)
{
    support = (struct vm_support){
        .capabilities = {.basic = BASIC_TRUE_CONTROLS,
                         .pin = capability(0x16, 0x7f),
                         .primary = capability(0x4006172, 0xfff9fffe),
                         .secondary = capability(0, 0x553cfe),
                         .exit = capability(0x36dfb, 0x1fffffff),
                         .entry = capability(0x11fb, 0x3ffff),
                         .ept_vpid = 0xf0106734141ull},
    };
    return &support.capabilities;
}

static void required_bits_are_set_and_forced_ones_kept(void **state)
{
    struct vmx_capabilities *found = complete();

    (void)state;
    found->secondary = capability(0x10000, 0x553cfe & ~SECONDARY_INVPCID);
    vmx_decide(&support, OPEN, &controls);
    assert_int_equal(support.lack, VM_LACKS_NOTHING);
    // Required, forced, and those of the optional ones that are allowed.
    assert_int_equal(controls.secondary, SECONDARY_EPT | SECONDARY_VPID | SECONDARY_UNRESTRICTED |
                                             0x10000 | SECONDARY_RDTSCP | SECONDARY_WBINVD);
}

static void what_cannot_be_is_told(void **state)
{
    struct vmx_capabilities *found = complete();

    (void)state;
    found->primary = capability(PRIMARY_RDTSC, 0xfff9fffe & ~PRIMARY_HLT);
    found->ept_vpid = 0; // the first lack counts
    vmx_decide(&support, OPEN, &controls);
    assert_int_equal(support.lack, VM_LACKS_PRIMARY);
    assert_int_equal(support.bits, PRIMARY_HLT | PRIMARY_RDTSC); // not allowed, and forced
}

static void a_complete_processor_is_accepted(void **state)
{
    (void)state;
    (void)complete();
    vmx_decide(&support, OPEN, &controls);
    assert_int_equal(support.lack, VM_LACKS_NOTHING);
    assert_int_equal(support.bits, 0);
    assert_int_equal(controls.pin & (PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER),
                     PIN_EXTERNAL_INTERRUPT | PIN_PREEMPTION_TIMER);
    assert_int_equal(controls.primary & PRIMARY_CR3_LOAD, 0);
    assert_int_equal(controls.entry & ENTRY_IA32E, 0);
    assert_int_equal(controls.secondary & SECONDARY_TABLES, 0);
}

static void says(const char *hypervisor, const char *words)
{
    char reason[256] = "";

    no_vms_explain(&support, hypervisor, reason, sizeof(reason));
    if (strstr(reason, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", reason, words);
    }
    assert_true(strlen(reason) < sizeof(reason) - 1); // not cut
}

static void refused(uint64_t feature_control, enum vm_lack lack, const char *words)
{
    vmx_decide(&support, feature_control, &controls);
    assert_int_equal(support.lack, lack);
    says("", words);
}

static void every_lack_is_explained(void **state)
{
    (void)state;
    support = (struct vm_support){.lack = VM_LACKS_VMX};
    says("TCGTCGTCGTCG", "QEMU's TCG has no VMX");
    says("KVMKVMKVM", "KVMKVMKVM) does not offer VMX");
    says("", "this processor has no VMX");
    support = (struct vm_support){.lack = VM_LACKS_START, .bits = STATUS_UNSUPPORTED};
    says("", "could not be turned on (unsupported)");

    (void)complete();
    refused(FEATURE_CONTROL_LOCKED, VM_LACKS_FIRMWARE, "firmware has locked VMX off");
    complete()->secondary &= ~((uint64_t)SECONDARY_EPT << 32);
    refused(OPEN, VM_LACKS_SECONDARY, "secondary processor-based control \"enable EPT");
    complete()->secondary &= ~((uint64_t)SECONDARY_UNRESTRICTED << 32);
    refused(OPEN, VM_LACKS_SECONDARY, "unrestricted guest");
    complete()->primary |= PRIMARY_CR3_LOAD;
    refused(OPEN, VM_LACKS_PRIMARY, "CR3-load exiting off");
    complete()->pin &= ~((uint64_t)PIN_PREEMPTION_TIMER << 32);
    refused(OPEN, VM_LACKS_PIN, "preemption timer");
    complete()->exit &= ~((uint64_t)EXIT_SAVE_PAT << 32);
    refused(OPEN, VM_LACKS_EXIT, "VM-exit control \"save IA32_PAT");
    complete()->entry &= ~((uint64_t)ENTRY_LOAD_EFER << 32);
    refused(OPEN, VM_LACKS_ENTRY, "VM-entry control \"load IA32_EFER");
    complete()->ept_vpid &= ~EPT_CAP_2M;
    refused(OPEN, VM_LACKS_EPT, "2 MiB pages");
    complete()->ept_vpid = 0;
    refused(OPEN, VM_LACKS_EPT, "page-walk length");
    complete()->pin = capability(0x10000, 0x7f & ~PIN_NMI);
    refused(OPEN, VM_LACKS_PIN, "without a name here\" (bits 0x8)");
}

// An unlocked MSR is locked by us, so it is no reason to refuse.
static void an_open_feature_control_is_fine(void **state)
{
    (void)state;
    (void)complete();
    vmx_decide(&support, 0, &controls);
    assert_int_equal(support.lack, VM_LACKS_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(required_bits_are_set_and_forced_ones_kept),
        cmocka_unit_test(what_cannot_be_is_told),
        cmocka_unit_test(a_complete_processor_is_accepted),
        cmocka_unit_test(every_lack_is_explained),
        cmocka_unit_test(an_open_feature_control_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
