// SPDX-License-Identifier: MIT
// Tests the entry checker: a legal state breaks no rule, and each change breaks just the rule that
// it should.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/monitor/entry_check_state.h"

#define CAPABILITY(msr) VCPU_FIELD_CAPABILITY((uint32_t)(msr))

#define PLACE(name, encoding, text, need) {(encoding), 0, 0},
static struct vcpu_field fields[] = {
    VMCS_FIELDS(PLACE){CAPABILITY(CAPABILITY_PIN), 0, 0x7f00000016},
    {CAPABILITY(CAPABILITY_PRIMARY), 0, 0xfff9fffe04006172},
    {CAPABILITY(CAPABILITY_SECONDARY), 0, 0x00553cfe00000000},
    {CAPABILITY(CAPABILITY_EXIT), 0, 0x007fffff00036dfb},
    {CAPABILITY(CAPABILITY_ENTRY), 0, 0x0000ffff000011fb},
    {CAPABILITY(CAPABILITY_MISC), 0, 0x00000000000401c0},
    {CAPABILITY(CAPABILITY_CR0_FIXED0), 0, 0x80000021},
    {CAPABILITY(CAPABILITY_CR0_FIXED1), 0, 0xffffffff},
    {CAPABILITY(CAPABILITY_CR4_FIXED0), 0, 0x2000},
    {CAPABILITY(CAPABILITY_CR4_FIXED1), 0, 0x3727ff},
    {VCPU_FIELD_PHYSICAL_BITS, 0, 40},
};
#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))

static char text[8192];

static void set(uint32_t encoding, uint64_t value)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (fields[i].encoding == encoding) {
            fields[i].value = value;
            return;
        }
    }
    fail_msg("no field 0x%x", encoding);
}

struct setting {
    uint32_t field;
    uint64_t value;
};

// A 64-bit guest in ring 0 under our controls.
static const struct setting legal[] = {
    {FIELD_PIN_CONTROLS, 0x7f},
    {FIELD_PRIMARY_CONTROLS, 0xb5186dfa},
    {FIELD_SECONDARY_CONTROLS, 0x1010aa},
    {FIELD_EXIT_CONTROLS, 0x3fefff},
    {FIELD_ENTRY_CONTROLS, 0xd3ff},
    {FIELD_VPID, 1},
    {FIELD_EPT_POINTER, 0x10001e},
    {FIELD_MSR_BITMAP, 0x2000},
    {FIELD_LINK_POINTER, UINT64_MAX},
    {FIELD_HOST_CR0, 0x8005003b},
    {FIELD_HOST_CR4, 0x1426e0},
    {FIELD_HOST_EFER, 0xd00},
    {FIELD_HOST_PAT, 0x0007040600070406},
    {FIELD_HOST_CS_SELECTOR, 8},
    {FIELD_HOST_SS_SELECTOR, 16},
    {FIELD_HOST_TR_SELECTOR, 0x38},
    {FIELD_HOST_RIP, 0xffffffff80100000},
    {FIELD_GUEST_CR0, 0x80050033},
    {FIELD_GUEST_CR4, 0x20a0},
    {FIELD_GUEST_EFER, 0xd01},
    {FIELD_GUEST_PAT, 0x0007040600070406},
    {FIELD_GUEST_DR7, 0x400},
    {FIELD_GUEST_RIP, 0xffffffff81000000},
    {FIELD_GUEST_RFLAGS, 0x202},
    {FIELD_GUEST_CS_SELECTOR, 0x10},
    {FIELD_GUEST_CS_LIMIT, 0xffffffff},
    {FIELD_GUEST_CS_RIGHTS, 0xa09b},
    {FIELD_GUEST_SS_SELECTOR, 0x18},
    {FIELD_GUEST_SS_LIMIT, 0xffffffff},
    {FIELD_GUEST_SS_RIGHTS, 0xc093},
    {FIELD_GUEST_DS_RIGHTS, 0x10000},
    {FIELD_GUEST_ES_RIGHTS, 0x10000},
    {FIELD_GUEST_FS_RIGHTS, 0xc093},
    {FIELD_GUEST_FS_LIMIT, 0xffffffff},
    {FIELD_GUEST_GS_RIGHTS, 0x10000},
    {FIELD_GUEST_GS_BASE, 0xffff888000000000},
    {FIELD_GUEST_LDTR_RIGHTS, 0x10000},
    {FIELD_GUEST_TR_RIGHTS, 0x8b},
    {FIELD_GUEST_TR_LIMIT, 0x67},
    {FIELD_GUEST_GDTR_LIMIT, 0x7f},
    {FIELD_GUEST_IDTR_LIMIT, 0xfff},
};

static int reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if ((fields[i].encoding & 0x80000000) == 0) {
            fields[i].value = 0;
        }
    }
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        set(legal[i].field, legal[i].value);
    }
    return 0;
}

static size_t check(void)
{
    return entry_check_all(fields, FIELD_COUNT, text, sizeof(text));
}

static void a_legal_state_breaks_nothing(void **state)
{
    (void)state;
    size_t broken = check();
    if (broken != 0) {
        fail_msg("%zu rules: %s", broken, text);
    }
    assert_string_equal(text, "");
}

// The reset state of a processor, in real mode.
static void the_reset_state_breaks_nothing(void **state)
{
    static const struct setting changes[] = {
        {FIELD_ENTRY_CONTROLS, 0xd1ff},    {FIELD_GUEST_CR0, 0x30},
        {FIELD_GUEST_CR4, 0x2000},         {FIELD_GUEST_EFER, 0},
        {FIELD_GUEST_RIP, 0xfff0},         {FIELD_GUEST_RFLAGS, 2},
        {FIELD_GUEST_CS_SELECTOR, 0xf000}, {FIELD_GUEST_CS_BASE, 0xffff0000},
        {FIELD_GUEST_CS_LIMIT, 0xffff},    {FIELD_GUEST_CS_RIGHTS, 0x93},
        {FIELD_GUEST_SS_LIMIT, 0xffff},    {FIELD_GUEST_SS_RIGHTS, 0x93},
        {FIELD_GUEST_LDTR_RIGHTS, 0x82},   {FIELD_GUEST_LDTR_LIMIT, 0xffff},
        {FIELD_GUEST_FS_LIMIT, 0xffff},    {FIELD_GUEST_FS_RIGHTS, 0x93},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        set(changes[i].field, changes[i].value);
    }
    if (check() != 0) {
        fail_msg("%s", text);
    }
}

struct violation {
    struct setting change;
    const char *section; // words of the one line expected
    const char *rule;
};

static const struct violation violations[] = {
    {{FIELD_PIN_CONTROLS, 0x7d}, "VM-Execution Control Fields", "must be 1: 0x2"},
    {{FIELD_PIN_CONTROLS, 0x17f}, "VM-Execution Control Fields", "must be 0: 0x100"},
    {{FIELD_PIN_CONTROLS, 0x77}, "VM-Execution Control Fields", "needs \"NMI exiting\""},
    {{FIELD_SECONDARY_CONTROLS, 0x1010ab}, "VM-Execution Control Fields", "must be 0: 0x1"},
    {{FIELD_CR3_TARGET_COUNT, 5}, "VM-Execution Control Fields", "IA32_VMX_MISC"},
    {{FIELD_VPID, 0}, "VM-Execution Control Fields", "enable VPID"},
    {{FIELD_MSR_BITMAP, 0x2010}, "VM-Execution Control Fields", "aligned"},
    {{FIELD_EPT_POINTER, 0x100019}, "VM-Execution Control Fields", "memory type"},
    {{FIELD_EPT_POINTER, 0x100016}, "VM-Execution Control Fields", "page-walk length"},
    {{FIELD_EXIT_CONTROLS, 0x3feffd}, "VM-Exit Control Fields", "must be 1: 0x2"},
    {{FIELD_ENTRY_CONTROLS, 0x1d3ff}, "VM-Entry Control Fields", "must be 0: 0x10000"},
    {{FIELD_MSR_BITMAP, 1ull << 40}, "VM-Execution Control Fields", "within physical memory"},
    {{FIELD_ENTRY_CONTROLS, 0xdbff}, "VM-Entry Control Fields", "system-management mode"},
    {{FIELD_HOST_CR3, 1ull << 40}, "Checks on Host Control Registers", "physical memory"},
    {{FIELD_GUEST_CR3, 1ull << 40}, "Checks on Guest Control Registers", "physical memory"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80000120}, "VM-Entry Control Fields", "type 1"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80000203}, "VM-Entry Control Fields", "vector 2"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80000320}, "VM-Entry Control Fields", "below 32"},
    {{FIELD_ENTRY_INTERRUPTION, 0x8000030d}, "VM-Entry Control Fields", "bit 11"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80000b06}, "VM-Entry Control Fields", "bit 11"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80000480}, "VM-Entry Control Fields", "1 to 15 bytes"},
    {{FIELD_ENTRY_INTERRUPTION, 0x80001020}, "VM-Entry Control Fields", "must be 0: 0x1000"},
    {{FIELD_HOST_CR0, 0x8005001b}, "Checks on Host Control Registers", "must be 1: 0x20"},
    {{FIELD_HOST_CR4, 0x1406e0}, "Checks on Host Control Registers", "must be 1: 0x2000"},
    {{FIELD_HOST_PAT, 2}, "Checks on Host Control Registers", "memory type"},
    {{FIELD_HOST_EFER, 0x900}, "Checks on Host Control Registers", "LMA and LME"},
    {{FIELD_HOST_SYSENTER_EIP, 1ull << 47}, "Checks on Host Control Registers", "canonical"},
    {{FIELD_HOST_SS_SELECTOR, 0x13}, "Checks on Host Segment", "must be 0: 0x3"},
    {{FIELD_HOST_TR_SELECTOR, 0}, "Checks on Host Segment", "null"},
    {{FIELD_HOST_TR_BASE, 1ull << 63}, "Checks on Host Segment", "canonical"},
    {{FIELD_HOST_RIP, 1ull << 50}, "Checks Related to Address-Space Size", "canonical"},
    {{FIELD_GUEST_CR0, 0x80050013}, "Checks on Guest Control Registers", "must be 1: 0x20"},
    {{FIELD_GUEST_CR4, 0x2020 | 1u << 22}, "Checks on Guest Control", "must be 0: 0x400000"},
    {{FIELD_GUEST_CR4, 0x2080}, "Checks on Guest Control Registers", "needs PAE"},
    {{FIELD_GUEST_EFER, 0x1d01}, "Checks on Guest Control Registers", "must be 0: 0x1000"},
    {{FIELD_GUEST_PAT, 0x0307040600070406}, "Checks on Guest Control", "memory type"},
    {{FIELD_GUEST_DR7, 1ull << 32}, "Checks on Guest Control Registers", "reserved"},
    {{FIELD_GUEST_SYSENTER_ESP, 1ull << 60}, "Checks on Guest Control", "canonical"},
    {{FIELD_GUEST_CS_RIGHTS, 0xa097}, "Checks on Guest Segment Registers", "type must be 9"},
    {{FIELD_GUEST_CS_RIGHTS, 0xa0fb}, "Checks on Guest Segment Registers", "equal that of SS"},
    {{FIELD_GUEST_CS_RIGHTS, 0xe09b}, "Checks on Guest Segment Registers", "L and D/B"},
    {{FIELD_GUEST_CS_RIGHTS, 0xa01b}, "Checks on Guest Segment Registers", "P (bit 7)"},
    {{FIELD_GUEST_CS_RIGHTS, 0xa08b}, "Checks on Guest Segment Registers", "S (bit 4)"},
    {{FIELD_GUEST_CS_LIMIT, 0xfffff000}, "Checks on Guest Segment", "G (bit 15) must be 0"},
    {{FIELD_GUEST_CS_BASE, 1ull << 32}, "Checks on Guest Segment Registers", "bits 63:32"},
    {{FIELD_GUEST_SS_RIGHTS, 0xc091}, "Checks on Guest Segment Registers", "3 or 7"},
    {{FIELD_GUEST_FS_RIGHTS, 0xc092}, "Checks on Guest Segment Registers", "accessed"},
    {{FIELD_GUEST_FS_RIGHTS, 0xc099}, "Checks on Guest Segment Registers", "readable"},
    {{FIELD_GUEST_GS_BASE, 1ull << 47}, "Checks on Guest Segment Registers", "canonical"},
    {{FIELD_GUEST_TR_RIGHTS, 0x83}, "Checks on Guest Segment Registers", "busy TSS"},
    {{FIELD_GUEST_TR_RIGHTS, 0x1008b}, "Checks on Guest Segment Registers", "usable"},
    {{FIELD_GUEST_TR_LIMIT, 0x100000}, "Checks on Guest Segment", "G (bit 15) must be 1"},
    {{FIELD_GUEST_TR_SELECTOR, 4}, "Checks on Guest Segment Registers", "TI"},
    {{FIELD_GUEST_LDTR_RIGHTS, 0x83}, "Checks on Guest Segment Registers", "LDT"},
    {{FIELD_GUEST_GDTR_LIMIT, 0x10000}, "Descriptor-Table Registers", "bits 31:16"},
    {{FIELD_GUEST_IDTR_BASE, 1ull << 62}, "Descriptor-Table Registers", "canonical"},
    {{FIELD_GUEST_RIP, 1ull << 48}, "Checks on Guest RIP", "canonical"},
    {{FIELD_GUEST_RFLAGS, 0x200}, "Checks on Guest RIP", "must be 1: 0x2"},
    {{FIELD_GUEST_RFLAGS, 0x20a}, "Checks on Guest RIP", "must be 0: 0x8"},
    {{FIELD_GUEST_ACTIVITY, 4}, "Checks on Guest Non-Register State", "0 to 3"},
    {{FIELD_GUEST_INTERRUPTIBILITY, 3}, "Checks on Guest Non-Register State", "exclude"},
    {{FIELD_GUEST_INTERRUPTIBILITY, 4}, "Checks on Guest Non-Register State", "SMI"},
    {{FIELD_GUEST_INTERRUPTIBILITY, 32}, "Checks on Guest Non-Register State", "reserved"},
    {{FIELD_GUEST_PENDING_DEBUG, 16}, "Checks on Guest Non-Register State", "reserved"},
    {{FIELD_LINK_POINTER, 1}, "Checks on Guest Non-Register State", "all ones"},
};

static void each_change_breaks_its_rule(void **state)
{
    for (size_t i = 0; i < sizeof(violations) / sizeof(violations[0]); i++) {
        const struct violation *violation = &violations[i];
        size_t broken;

        (void)reset(state);
        set(violation->change.field, violation->change.value);
        broken = check();
        if (broken != 1 || strstr(text, violation->rule) == NULL ||
            strstr(text, violation->section) == NULL) {
            fail_msg("case %zu, field 0x%x: %zu rules: %s", i, violation->change.field, broken,
                     text);
        }
        assert_int_equal(text[strlen(text) - 1], '\n');
        assert_non_null(strstr(text, ") = 0x")); // the field's name, encoding and value
    }
}

static void injection_agrees_with_interruptibility(void **state)
{
    (void)state;
    set(FIELD_ENTRY_INTERRUPTION, 0x80000020);
    assert_int_equal(check(), 0);
    set(FIELD_GUEST_INTERRUPTIBILITY, 1);
    assert_int_equal(check(), 1);
    set(FIELD_GUEST_INTERRUPTIBILITY, 0);
    set(FIELD_GUEST_RFLAGS, 2);
    assert_int_equal(check(), 1);
    assert_non_null(strstr(text, "external interrupt"));
    set(FIELD_ENTRY_INTERRUPTION, 0x80000202);
    assert_int_equal(check(), 0);
    set(FIELD_GUEST_INTERRUPTIBILITY, 8);
    assert_int_equal(check(), 1);
    set(FIELD_GUEST_INTERRUPTIBILITY, 0);
    set(FIELD_GUEST_ACTIVITY, 3); // waits for a SIPI
    assert_int_equal(check(), 1);
    set(FIELD_GUEST_ACTIVITY, 1);
    assert_int_equal(check(), 0);
    set(FIELD_ENTRY_INTERRUPTION, 0x80000b0d); // #GP does not end HLT
    assert_int_equal(check(), 1);
    assert_non_null(strstr(text, "event to be injected"));
}

// Legal as it is: 32-bit protected mode with PAE paging.
static void use_pae(void)
{
    set(FIELD_ENTRY_CONTROLS, 0xd1ff);
    set(FIELD_GUEST_EFER, 0);
    set(FIELD_GUEST_RIP, 0x1000);
    set(FIELD_GUEST_CS_RIGHTS, 0xc09b);
    set(FIELD_GUEST_PDPTE0, 0x1001);
    set(FIELD_GUEST_PDPTE1, 0xffffffe61e); // not present: nothing else counts
    set(FIELD_GUEST_PDPTE2, 0xfffffffe19); // present, write-through, all that may be 1
    set(FIELD_GUEST_PDPTE3, 0);
}

static void entries_of_pae_paging(void **state)
{
    static const uint64_t reserved[] = {2, 4, 0x20, 0x40, 0x80, 0x100, 1ull << 40, 1ull << 63};

    use_pae();
    if (check() != 0) {
        fail_msg("%s", text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(reserved) * 4; i++) {
        (void)reset(state);
        use_pae();
        set(FIELD_GUEST_PDPTE0 + 2 * (uint32_t)(i & 3), 0x2001 | reserved[i / 4]);
        assert_int_equal(check(), 1);
        assert_non_null(strstr(text, "Guest Page-Directory-Pointer-Table Entries"));
        assert_non_null(
            strstr(text, (const char *[]){"PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3"}[i & 3]));
        set(FIELD_GUEST_CR4, 0x2080); // 32-bit paging
        assert_int_equal(check(), 0);
    }
    (void)reset(state); // a 64-bit guest has none
    set(FIELD_GUEST_PDPTE0, UINT64_MAX);
    assert_int_equal(check(), 0);
}

static void a_short_buffer_keeps_whole_lines(void **state)
{
    char small[200];
    size_t length;

    (void)state;
    set(FIELD_GUEST_RFLAGS, 0x200);
    set(FIELD_GUEST_DR7, 1ull << 40);
    set(FIELD_GUEST_GDTR_LIMIT, 0x10000);
    memset(small, 'x', sizeof(small));
    assert_int_equal(entry_check_all(fields, FIELD_COUNT, small, sizeof(small)), 3);
    length = strlen(small);
    assert_true(length < sizeof(small) && length > 0 && small[length - 1] == '\n');
    assert_int_equal(entry_check_all(fields, FIELD_COUNT, small, 0), 3);
}

// A processor without a field, or a dump without capabilities, is no violation.
static void what_is_absent_is_not_checked(void **state)
{
    (void)state;
    assert_int_equal(entry_check_all(fields, 0, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    assert_string_equal(entry_check_field_name(0x6820), "guest RFLAGS");
    assert_string_equal(entry_check_field_name(0x7777), "unknown field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_legal_state_breaks_nothing, reset),
        cmocka_unit_test_setup(the_reset_state_breaks_nothing, reset),
        cmocka_unit_test_setup(each_change_breaks_its_rule, reset),
        cmocka_unit_test_setup(injection_agrees_with_interruptibility, reset),
        cmocka_unit_test_setup(entries_of_pae_paging, reset),
        cmocka_unit_test_setup(a_short_buffer_keeps_whole_lines, reset),
        cmocka_unit_test_setup(what_is_absent_is_not_checked, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
