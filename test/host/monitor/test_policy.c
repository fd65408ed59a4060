// SPDX-License-Identifier: MIT
// The CPUID and MSR policies: what is shown, what is hidden, what each row does.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kernel/lib/processor.h"
#include "test/host/monitor/machine_fixture.h"
#include "vmm/monitor/cpuid.h"

// A processor with every feature bit set.
static struct cpuid_words everything(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    if (leaf == 0) {
        return (struct cpuid_words){0x20, 0x756e6547, 0x6c65746e, 0x49656e69};
    }
    if (leaf == 0x80000000) {
        return (struct cpuid_words){0x80000021, 0, 0, 0};
    }
    if (leaf == 0x80000008) {
        return (struct cpuid_words){0x3027, 0xffff, 0xffff, 0};
    }
    return (struct cpuid_words){~0u, ~0u, ~0u, ~0u};
}

// One whose XSAVE does not know AVX.
static struct cpuid_words without_avx(uint32_t leaf, uint32_t subleaf)
{
    if (leaf == 0xd && subleaf == 0) {
        return (struct cpuid_words){3, 576, 576, 0};
    }
    return everything(leaf, subleaf);
}

// An old one: leaves 0 and 1 only, nothing in leaf 1 but what long mode needs.
static struct cpuid_words nothing(uint32_t leaf, uint32_t subleaf)
{
    (void)subleaf;
    if (leaf == 1) {
        return (struct cpuid_words){0x600, 0, 0, 0x178bfbff};
    }
    return (struct cpuid_words){leaf == 0 ? 1 : leaf & 0x80000000u ? 0x80000001u : 0, 0, 0, 0};
}

static const struct vm_cpuid_entry *find(const struct vm_cpuid_entry *entries, uint32_t count,
                                         uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].leaf == leaf &&
            (!(entries[i].flags & VM_CPUID_SUBLEAF) || entries[i].subleaf == subleaf)) {
            return &entries[i];
        }
    }
    return NULL;
}

static void test_cpuid_hides(void **state)
{
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    struct machine_features features = {0};
    uint32_t count;
    const struct vm_cpuid_entry *entry;

    (void)state;
    cpuid_features(everything, 100000000, &features);
    assert_int_equal(features.xcr0_allowed, 7);
    assert_int_equal(features.physical_bits, 0x27);
    assert_int_equal(features.cr4_allowed & (1u << 13 | 1u << 14 | 1u << 12 | 1u << 22), 0);
    assert_true(features.cr4_allowed & CR4_SMEP);
    count = cpuid_build(everything, &features, entries);
    assert_true(count <= VM_CPUID_MAXIMUM);
    entry = find(entries, count, 0, 0);
    assert_int_equal(entry->eax, 0x16);
    entry = find(entries, count, 1, 0);
    // MONITOR, VMX, SMX, x2APIC, TSC deadline, PDCM, OSXSAVE (dynamic)
    assert_int_equal(
        entry->ecx & (1u << 3 | 1u << 5 | 1u << 6 | 1u << 21 | 1u << 24 | 1u << 15 | 1u << 27), 0);
    assert_true(entry->ecx & 1u << 31);
    assert_true(entry->flags & VM_CPUID_OSXSAVE);
    assert_int_equal(entry->edx & (1u << 9 | 1u << 28 | 1u << 22), 0); // APIC, HTT, ACPI
    assert_int_equal(entry->ebx, 0x1ff00);
    entry = find(entries, count, 7, 0);
    // SGX, TSC_ADJUST, HLE, RTM, MPX, PT, AVX-512
    assert_int_equal(
        entry->ebx & (1u << 2 | 1u << 1 | 1u << 4 | 1u << 11 | 1u << 14 | 1u << 25 | 1u << 16), 0);
    assert_int_equal(entry->ecx & (1u << 16 | 1u << 3), 0);  // five-level paging, keys
    assert_int_equal(entry->edx & (1u << 26 | 1u << 29), 0); // speculation MSRs
    assert_null(find(entries, count, 6, 0));
    assert_null(find(entries, count, 0xa, 0));
    assert_null(find(entries, count, 0xb, 0));
    entry = find(entries, count, 0xd, 0);
    assert_true(entry->flags & VM_CPUID_ASK);
    assert_int_equal(find(entries, count, 0xd, 1)->eax, 7);
    assert_null(find(entries, count, 0xd, 5));
}

static void test_cpuid_frequencies(void **state)
{
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    static const uint64_t rates[] = {20000000, 100000000, 2999999999, 4294967295, 5400000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        struct machine_features features = {.tsc_hz = rates[i]};
        uint32_t count = cpuid_build(everything, &features, entries);
        const struct vm_cpuid_entry *tsc = find(entries, count, 0x15, 0);

        assert_int_equal((uint64_t)tsc->ecx * tsc->ebx / tsc->eax, rates[i]);
        assert_int_equal(find(entries, count, 0x16, 0)->eax, (rates[i] + 500000) / 1000000);
        assert_int_equal(find(entries, count, 0x40000010, 0)->eax, rates[i] / 1000);
    }
}

static void test_cpuid_signature(void **state)
{
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    struct machine_features features = {.tsc_hz = 1000000000};
    uint32_t count = cpuid_build(everything, &features, entries);
    const struct vm_cpuid_entry *entry = find(entries, count, 0x40000000, 0);
    char name[13] = "";

    (void)state;
    memcpy(name, &entry->ebx, 4);
    memcpy(name + 4, &entry->ecx, 4);
    memcpy(name + 8, &entry->edx, 4);
    assert_string_equal(name, "GatehouseVMM");
}

static void test_cpuid_old_processor(void **state)
{
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    struct machine_features features = {0};
    uint32_t count;

    (void)state;
    cpuid_features(nothing, 1000000000, &features);
    count = cpuid_build(nothing, &features, entries);
    assert_int_equal(find(entries, count, 1, 0)->flags & VM_CPUID_OSXSAVE, 0);
    assert_int_equal(find(entries, count, 7, 0)->ebx, 0);
    assert_int_equal(find(entries, count, 0xd, 0)->flags & VM_CPUID_ASK, 0);
    assert_int_equal(find(entries, count, 0x80000008, 0)->eax, 0);
    assert_int_equal(features.physical_bits, 36);
    assert_int_equal(features.cr4_allowed & CR4_OSXSAVE, 0);
    cpuid_features(without_avx, 1000000000, &features);
    assert_int_equal(features.xcr0_allowed, 3);
    count = cpuid_build(without_avx, &features, entries);
    assert_int_equal(find(entries, count, 1, 0)->ecx & (1u << 28 | 1u << 12), 0);
    assert_int_equal(find(entries, count, 7, 0)->ebx & 1u << 5, 0);
}

static void test_cpuid_of_processors(void **state)
{
    struct vm_cpuid_entry entries[VM_CPUID_MAXIMUM];
    struct fixture *fixture = fixture_new();
    struct machine *machine = &fixture->machine;
    struct local_apic apic = {.index = 4, .base = APIC_BASE_ENABLE};
    uint32_t count;

    (void)state;
    machine->features.processors = 6;
    machine->apic = &apic;
    count = cpuid_build(everything, &machine->features, entries);
    assert_true(find(entries, count, 1, 0)->flags & VM_CPUID_ASK);
    assert_true(find(entries, count, 0xb, 0)->flags & VM_CPUID_ASK);
    assert_true(find(entries, count, 7, 0)->ebx & 1u << 1); // TSC_ADJUST
    assert_int_equal(find(entries, count, 4, 0)->eax >> 26, 7);
    fixture->page.gpr[GPR_RAX] = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_CPUID), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.gpr[GPR_RBX], 0x0408ff00);
    assert_true(fixture->page.gpr[GPR_RDX] & 1u << 9);
    assert_true(fixture->page.gpr[GPR_RCX] & 1u << 21);
    assert_true(fixture->page.gpr[GPR_RCX] & 1u << 24);
    assert_false(fixture->page.gpr[GPR_RCX] & 1u << 27);
    apic.base = 0;
    fixture->page.cr4 |= CR4_OSXSAVE;
    fixture->page.gpr[GPR_RAX] = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_CPUID), OUTCOME_ADVANCE);
    assert_false(fixture->page.gpr[GPR_RDX] & 1u << 9);
    assert_true(fixture->page.gpr[GPR_RCX] & 1u << 27);
    static const uint32_t levels[3][4] = {{0, 1, 0x100, 4}, {3, 6, 0x201, 4}, {0, 0, 2, 4}};
    for (uint32_t level = 0; level < 3; level++) {
        fixture->page.gpr[GPR_RAX] = 0xb;
        fixture->page.gpr[GPR_RCX] = level;
        assert_int_equal(fixture_handle(fixture, EXIT_CPUID), OUTCOME_ADVANCE);
        assert_int_equal(fixture->page.gpr[GPR_RAX], levels[level][0]);
        assert_int_equal(fixture->page.gpr[GPR_RBX], levels[level][1]);
        assert_int_equal(fixture->page.gpr[GPR_RCX], levels[level][2]);
        assert_int_equal(fixture->page.gpr[GPR_RDX], levels[level][3]);
    }
    free(fixture);
}

static void test_cpuid_state_leaf(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.gpr[GPR_RAX] = 0xd;
    fixture->page.gpr[GPR_RCX] = 0;
    assert_int_equal(fixture_handle(fixture, EXIT_CPUID), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.gpr[GPR_RAX], 7);
    assert_int_equal(fixture->page.gpr[GPR_RBX], 576); // XCR0 is 1
    assert_int_equal(fixture->page.gpr[GPR_RCX], 832);
    assert_int_equal(fixture->page.gpr[GPR_RDX], 0);
    free(fixture);
}

static enum outcome access_msr(struct fixture *fixture, uint32_t kind, uint32_t number,
                               uint64_t value)
{
    fixture->page.gpr[GPR_RCX] = 0xffffffff00000000ull | number; // only ECX counts
    fixture->page.gpr[GPR_RAX] = (uint32_t)value;
    fixture->page.gpr[GPR_RDX] = value >> 32;
    return fixture_handle(fixture, kind);
}

static uint64_t read_value(struct fixture *fixture, uint32_t number)
{
    assert_int_equal(access_msr(fixture, EXIT_RDMSR, number, 0), OUTCOME_ADVANCE);
    return fixture->page.gpr[GPR_RDX] << 32 | fixture->page.gpr[GPR_RAX];
}

static void test_msr_table(void **state)
{
    (void)state;
    assert_null(msr_find(0));
    assert_null(msr_find(UINT32_MAX));
    for (unsigned i = 0; i < msr_table_count; i++) {
        assert_true(msr_table[i].first <= msr_table[i].last);
        assert_true(i == 0 || msr_table[i].first > msr_table[i - 1].last);
        assert_ptr_equal(msr_find(msr_table[i].first), &msr_table[i]);
        assert_ptr_equal(msr_find(msr_table[i].last), &msr_table[i]);
        assert_true(msr_find(msr_table[i].last + 1) == NULL ||
                    msr_find(msr_table[i].last + 1) == &msr_table[i + 1]);
        if (msr_table[i].policy == MSR_KEPT) {
            assert_true(msr_table[i].value +
                            8 * (uint64_t)(msr_table[i].last - msr_table[i].first + 1) <=
                        sizeof(struct machine_msrs));
        }
    }
}

static void test_msr_unknown(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(access_msr(fixture, EXIT_RDMSR, 0x12345, 0), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, 0x12345, 0), OUTCOME_RESUME);
    assert_int_equal(fixture->machine.counts.msr_refused, 2);
    assert_int_equal(fixture->log_lines, 1); // once for each number
    for (uint32_t i = 0; i < 100; i++) {
        (void)access_msr(fixture, EXIT_RDMSR, 0x20000 + i, 0);
    }
    assert_int_equal(fixture->machine.counts.msr_refused, 102);
    assert_int_equal(fixture->log_lines, 16); // a guest cannot flood the log
    free(fixture);
}

static void test_msr_rows(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(access_msr(fixture, EXIT_WRMSR, 0x200 + i, 0x1100000000 + i),
                         OUTCOME_ADVANCE);
    }
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(access_msr(fixture, EXIT_WRMSR, 0x268 + i, 0x600 + i), OUTCOME_ADVANCE);
    }
    assert_int_equal(read_value(fixture, 0x20f), 0x110000000f);
    assert_int_equal(read_value(fixture, 0x26f), 0x607);
    assert_int_equal(read_value(fixture, 0x2ff), 0x806);
    assert_int_equal(read_value(fixture, MSR_MTRR_CAPABILITY), 0x508);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_MTRR_CAPABILITY, 0), OUTCOME_RESUME);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_BIOS_SIGN_ID, 5), OUTCOME_ADVANCE);
    assert_int_equal(read_value(fixture, MSR_BIOS_SIGN_ID), 0);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_LSTAR, 0x800000000000), OUTCOME_RESUME);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_LSTAR, 0xffffffff81000000),
                     OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.lstar, 0xffffffff81000000);
    assert_int_equal(fixture->page.dirty, VCPU_GROUP_MSRS);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_GS_BASE, 0x7000), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.segment[SEGMENT_GS].base, 0x7000);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_PAT, 0x0007040600070402), OUTCOME_RESUME);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_PAT, 0x0007040600070406), OUTCOME_ADVANCE);
    free(fixture);
}

static void test_msr_fetches(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.valid = VCPU_GROUP_RIP;
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_STAR, 1), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need, VCPU_GROUP_MSRS);
    assert_int_equal(access_msr(fixture, EXIT_RDMSR, MSR_EFER, 0), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need, VCPU_GROUP_CONTROL);
    assert_int_equal(access_msr(fixture, EXIT_RDMSR, MSR_MISC_ENABLE, 0), OUTCOME_ADVANCE);
    free(fixture);
}

static void test_msr_efer_and_tsc(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_EFER, 0xd01), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.efer, 0x901); // LMA is not the guest's to set
    fixture_long_mode(fixture);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_EFER, 0x401), OUTCOME_RESUME);
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_EFER, 0x1500), OUTCOME_RESUME); // SVME
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_EFER, 0x901), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.efer, 0xd01);
    fixture->page.exit_tsc = 1000;
    assert_int_equal(access_msr(fixture, EXIT_WRMSR, MSR_TSC, 10), OUTCOME_ADVANCE);
    fixture->page.exit_tsc = 1500;
    assert_int_equal(read_value(fixture, MSR_TSC), 510);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cpuid_hides),
        cmocka_unit_test(test_cpuid_frequencies),
        cmocka_unit_test(test_cpuid_signature),
        cmocka_unit_test(test_cpuid_old_processor),
        cmocka_unit_test(test_cpuid_of_processors),
        cmocka_unit_test(test_cpuid_state_leaf),
        cmocka_unit_test(test_msr_table),
        cmocka_unit_test(test_msr_unknown),
        cmocka_unit_test(test_msr_rows),
        cmocka_unit_test(test_msr_fetches),
        cmocka_unit_test(test_msr_efer_and_tsc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
