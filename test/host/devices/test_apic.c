// SPDX-License-Identifier: MIT
// Local APICs in a platform of four processors: both faces, routing between them, modes.
#include "test/host/devices/apic_machine.h"

static void power_on_state(void **state)
{
    struct machine *m = *state;
    assert_int_equal(get(m, 0, APIC_ID), 0);
    assert_int_equal(get(m, 3, APIC_ID), 3u << 24);
    assert_int_equal(get(m, 1, APIC_VERSION), 0x50014);
    assert_int_equal(get(m, 0, APIC_DFR), 0xffffffff);
    assert_int_equal(get(m, 0, APIC_SPURIOUS), 0x1ff); // as firmware leaves the boot processor
    assert_int_equal(get(m, 0, APIC_LVT + LVT_LINT0), 0x700);
    assert_int_equal(get(m, 1, APIC_SPURIOUS), 0xff);
    assert_int_equal(get(m, 1, APIC_LVT + LVT_LINT0), APIC_MASKED);
    assert_int_equal(apic(m, 0)->base, 0xfee00900);
    assert_int_equal(apic(m, 1)->base, 0xfee00800);
}

static void registers_keep_what_they_have(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint32_t reg, value, shown;
    } rows[] = {
        {APIC_ID, 0xffffffff, 0xff000000},
        {APIC_VERSION, 0, 0x50014},
        {APIC_TPR, 0xffffff35, 0x35},
        {APIC_PPR, 0xff, 0x35},
        {APIC_LDR, 0xffffffff, 0xff000000},
        {APIC_DFR, 0, 0x0fffffff},
        {APIC_ICR_HIGH, 0xffffffff, 0xff000000},
        {APIC_LVT + LVT_TIMER, 0xffffffff, 0x700ff},
        {APIC_LVT + LVT_THERMAL, 0xffffffff, 0x107ff},
        {APIC_LVT + LVT_PERFORMANCE, 0xffffffff, 0x107ff},
        {APIC_LVT + LVT_LINT0, 0xffffffff, 0x1a7ff},
        {APIC_LVT + LVT_LINT1, 0xffffffff, 0x1a7ff},
        {APIC_LVT + LVT_ERROR, 0xffffffff, 0x100ff},
        {APIC_DIVIDE, 0xffffffff, 0xb},
        {APIC_SPURIOUS, 0xffffffff, 0x1ff},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
        set(m, 0, rows[i].reg, rows[i].value);
        assert_int_equal(get(m, 0, rows[i].reg), rows[i].shown);
    }
}

static void software_disabling_masks(void **state)
{
    struct machine *m = *state;
    set(m, 0, APIC_LVT + LVT_ERROR, 0x50);
    set(m, 0, APIC_SPURIOUS, 0xff);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10050);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x51);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10051);
    set(m, 0, APIC_SPURIOUS, 0x1ff);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10051);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x51);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x51);
    set(m, 1, APIC_SPURIOUS, 0xff);
    assert_false(local_apic_accept(apic(m, 1), 0x40, false));
    assert_false(waits(m, 1));
}

static void priorities(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    assert_true(local_apic_accept(apic(m, 1), 0x41, false));
    assert_false(local_apic_accept(apic(m, 1), 0x41, false)); // it waits already
    assert_true(local_apic_accept(apic(m, 1), 0x52, false));
    assert_int_equal(m->platform.apic_bus.wake, 2);
    assert_int_equal(get(m, 1, APIC_IRR + 2), 1u << 1 | 1u << 18);
    assert_int_equal(take(m, 1), 0x52);
    assert_int_equal(get(m, 1, APIC_PPR), 0x50);
    assert_int_equal(get(m, 1, APIC_ISR + 2), 1u << 18);
    assert_false(waits(m, 1));
    local_apic_accept(apic(m, 1), 0x5f, false); // the same class
    assert_false(waits(m, 1));
    local_apic_accept(apic(m, 1), 0x60, false);
    assert_int_equal(take(m, 1), 0x60);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    set(m, 1, APIC_EOI, 0);
    assert_int_equal(take(m, 1), 0x5f);
    set(m, 1, APIC_TPR, 0x4f);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    assert_int_equal(get(m, 1, APIC_PPR), 0x4f);
    local_apic_set_task_priority(apic(m, 1), 3);
    assert_int_equal(get(m, 1, APIC_TPR), 0x30);
    assert_int_equal(take(m, 1), 0x41);
    set(m, 1, APIC_EOI, 0);
    set(m, 1, APIC_EOI, 0);                                     // nothing in service: no effect
    assert_int_equal(local_apic_acknowledge(apic(m, 1)), 0xff); // spurious, not in service
    assert_int_equal(get(m, 1, APIC_ISR + 7), 0);
}

static void ipis_by_xapic(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_ICR_HIGH, 2u << 24);
    set(m, 0, APIC_ICR, 0x40); // physical, to 2
    assert_int_equal(m->platform.apic_bus.wake, 4);
    assert_int_equal(take(m, 2), 0x40);
    set(m, 2, APIC_EOI, 0);
    set(m, 0, APIC_ICR_HIGH, 0xau << 24);
    set(m, 0, APIC_ICR, 0x841); // logical flat, to 1 and 3
    assert_false(waits(m, 0) || waits(m, 2));
    assert_int_equal(take(m, 1), 0x41);
    assert_int_equal(take(m, 3), 0x41);
    set(m, 0, APIC_ICR, 0xc0042); // all but self
    assert_false(waits(m, 0));
    for (unsigned i = 1; i < PROCESSORS; i++)
        assert_true(vector_set_has(&apic(m, i)->irr, 0x42));
    set(m, 0, APIC_ICR, 0x40043); // self
    assert_int_equal(take(m, 0), 0x43);
    set(m, 0, APIC_ICR, 0x80054); // all
    for (unsigned i = 0; i < PROCESSORS; i++)
        assert_int_equal(take(m, i), 0x54);
    set(m, 0, APIC_ICR_HIGH, 0xffu << 24);
    set(m, 0, APIC_ICR, 0x65); // broadcast
    for (unsigned i = 0; i < PROCESSORS; i++)
        assert_int_equal(take(m, i), 0x65);
}

static void cluster_model(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    for (unsigned i = 0; i < PROCESSORS; i++) {
        set(m, i, APIC_DFR, 0x0fffffff);
        set(m, i, APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    set(m, 0, APIC_ICR_HIGH, 0x12u << 24); // cluster 1, member 1
    set(m, 0, APIC_ICR, 0x840);
    assert_false(waits(m, 0) || waits(m, 1) || waits(m, 2));
    assert_int_equal(take(m, 3), 0x40);
}

static void lowest_priority(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_TPR, 0x20);
    set(m, 1, APIC_TPR, 0x20);
    set(m, 3, APIC_TPR, 0x20);
    set(m, 0, APIC_ICR_HIGH, 0xfu << 24);
    set(m, 0, APIC_ICR, 0x940);
    assert_false(waits(m, 0) || waits(m, 1) || waits(m, 3));
    assert_int_equal(take(m, 2), 0x40);
    set(m, 2, APIC_EOI, 0);
    unsigned seen = 0;
    for (unsigned i = 0; i < PROCESSORS; i++)
        set(m, i, APIC_TPR, 0);
    for (unsigned turn = 0; turn < PROCESSORS; turn++) // equals take turns
        set(m, 0, APIC_ICR, 0x900 | (0x50 + 0x10 * turn));
    for (unsigned i = 0; i < PROCESSORS; i++)
        seen |= (unsigned)waits(m, i) << i;
    assert_int_equal(seen, 0xf);
}

static void errors_are_recorded(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x70);
    set(m, 0, APIC_ICR_HIGH, 1u << 24);
    set(m, 0, APIC_ICR, 0x0f); // an illegal vector
    assert_false(waits(m, 1));
    assert_int_equal(take(m, 0), 0x70);
    assert_int_equal(get(m, 0, APIC_ESR), 0);
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), APIC_ERROR_SEND_VECTOR);
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), 0);
    assert_int_equal(get(m, 0, 0x3f), 0); // no such register in memory
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), APIC_ERROR_REGISTER);
    local_apic_accept(apic(m, 1), 3, false);
    set(m, 1, APIC_ESR, 0);
    assert_int_equal(get(m, 1, APIC_ESR), APIC_ERROR_RECEIVE_VECTOR);
}

static void start_up_signals(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 1, APIC_TPR, 0x10);
    set(m, 0, APIC_ICR, 0xc4500); // INIT to all but self
    assert_int_equal(m->platform.apic_bus.wake, 0xe);
    assert_int_equal(apic(m, 1)->attention, APIC_ATTENTION_INIT);
    assert_int_equal(apic(m, 0)->attention, 0);
    local_apic_init_signal(apic(m, 1));
    assert_int_equal(get(m, 1, APIC_TPR), 0);
    assert_int_equal(get(m, 1, APIC_ID), 1u << 24);
    set(m, 0, APIC_ICR, 0xc8500); // INIT level de-assert: nothing
    assert_int_equal(apic(m, 1)->attention, 0);
    set(m, 0, APIC_ICR, 0xc4699);
    assert_int_equal(apic(m, 1)->attention, APIC_ATTENTION_SIPI);
    assert_int_equal(apic(m, 1)->startup_page, 0x99);
    assert_true(set_base(m, 2, 0));
    m->platform.apic_bus.wake = 0;
    set(m, 0, APIC_ICR, 0xc0400); // NMI; 2 is off
    assert_int_equal(m->platform.apic_bus.wake, 0xa);
    set(m, 0, APIC_ICR, 0x40500); // INIT to self by shorthand is not allowed
    assert_int_equal(apic(m, 0)->attention, 0);
}

static void base_transitions(void **state)
{
    struct machine *m = *state;
    const uint64_t at = LOCAL_APIC_ADDRESS;
    struct local_apic *a = apic(m, 1);
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_X2APIC));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1ull << 9));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1ull << 40));
    set(m, 1, APIC_TPR, 0x50);
    assert_true(platform_set_apic_base(&m->platform, a, at));
    assert_int_equal(get(m, 1, APIC_TPR), 0xffffffff); // nobody answers
    assert_false(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_true(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE));
    assert_int_equal(get(m, 1, APIC_TPR), 0);
    assert_int_equal(get(m, 1, APIC_SPURIOUS), 0xff);
    assert_true(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_int_equal(get(m, 1, APIC_TPR), 0xffffffff);
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE));
    assert_true(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_true(platform_set_apic_base(&m->platform, a, at));
    assert_true(platform_set_apic_base(&m->platform, a, 0x42000000 | APIC_BASE_ENABLE));
    assert_int_equal(get(m, 1, APIC_VERSION), 0xffffffff);
    assert_int_equal(mmio_bus_read(&m->platform.processor[1].mmio, gpa(0x42000030), 4), 0x50014);
    assert_int_equal(get(m, 0, APIC_VERSION), 0x50014); // the others stay
}

static void x2apic_face(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    assert_false(local_apic_read_msr(apic(m, 3), APIC_ID, &value)); // not in xAPIC mode
    enable_all_x2apic(m);
    assert_int_equal(get_msr(m, 3, APIC_ID), 3);
    assert_int_equal(get_msr(m, 3, APIC_LDR), 8);
    static const uint32_t unreadable[] = {0x00, APIC_APR,      APIC_EOI, APIC_RRD,     APIC_DFR,
                                          0x2f, APIC_ICR_HIGH, 0x3a,     APIC_SELF_IPI};
    for (unsigned i = 0; i < ARRAY_COUNT(unreadable); i++)
        assert_false(local_apic_read_msr(apic(m, 3), unreadable[i], &value));
    static const struct {
        uint32_t reg;
        uint64_t value;
    } refused[] = {
        {APIC_ID, 3},
        {APIC_VERSION, 0},
        {APIC_PPR, 0},
        {APIC_LDR, 8},
        {APIC_DFR, 0},
        {APIC_EOI, 1},
        {APIC_ESR, 1},
        {APIC_TPR, 0x100},
        {APIC_TPR, 1ull << 32},
        {APIC_ISR, 0},
        {APIC_IRR + 7, 0},
        {APIC_CURRENT_COUNT, 0},
        {APIC_DIVIDE, 4},
        {APIC_SELF_IPI, 0x100},
        {APIC_SPURIOUS, 0x1000},
        {APIC_ICR, 1u << 13},
        {APIC_ICR, 1u << 16},
        {APIC_ICR, 1u << 20},
        {APIC_ICR_HIGH, 0},
        {APIC_LVT, 1u << 19},
        {APIC_LVT + LVT_LINT0, 1u << 11},
        {APIC_INITIAL_COUNT, 1ull << 32},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(set_msr(m, 3, refused[i].reg, refused[i].value));
    assert_true(set_msr(m, 3, APIC_LVT + LVT_LINT0, 0x15000 | APIC_MODE_EXTINT)); // read-only bits
    assert_true(set_msr(m, 3, APIC_SELF_IPI, 0x77));
    assert_int_equal(take(m, 3), 0x77);
    assert_true(set_msr(m, 3, APIC_EOI, 0));
    assert_true(set_msr(m, 0, APIC_ICR, 3ull << 32 | 0x1040)); // physical
    assert_int_equal(get_msr(m, 0, APIC_ICR), 3ull << 32 | 0x40);
    assert_int_equal(take(m, 3), 0x40);
    assert_true(set_msr(m, 0, APIC_ICR, 6ull << 32 | 0x850)); // logical
    assert_int_equal(take(m, 1), 0x50);
    assert_int_equal(take(m, 2), 0x50);
    assert_true(set_msr(m, 0, APIC_ICR, 0x10006ull << 32 | 0x860)); // another cluster
    assert_false(waits(m, 1) || waits(m, 2));
    assert_true(set_msr(m, 0, APIC_ICR, 0xffull << 32 | 0x60)); // no broadcast here
    assert_false(waits(m, 1));
    assert_true(set_msr(m, 0, APIC_ICR, 0xffffffffull << 32 | 0x60));
    assert_int_equal(take(m, 1), 0x60);
}

static void too_many_processors(void **state)
{
    struct machine *m = *state;
    struct platform_config config = {
        .tsc_hz = NANOSECONDS,
        .processors = APIC_BUS_PROCESSORS + 1,
        .console_output = machine_output,
        .console_input = machine_input,
    };
    assert_int_equal(platform_init(&m->platform, &config), STATUS_INVALID);
}

static void reset_of_the_machine(void **state)
{
    struct machine *m = *state;
    enable_all_x2apic(m);
    io_set(m, IO_ENTRY(4), 0x34);
    platform_reset(&m->platform);
    power_on_state(state);
    assert_int_equal(io_get(m, IO_ENTRY(4)), 0x10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        APIC_TEST(power_on_state),
        APIC_TEST(registers_keep_what_they_have),
        APIC_TEST(software_disabling_masks),
        APIC_TEST(priorities),
        APIC_TEST(ipis_by_xapic),
        APIC_TEST(cluster_model),
        APIC_TEST(lowest_priority),
        APIC_TEST(errors_are_recorded),
        APIC_TEST(start_up_signals),
        APIC_TEST(base_transitions),
        APIC_TEST(x2apic_face),
        APIC_TEST(too_many_processors),
        APIC_TEST(reset_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
