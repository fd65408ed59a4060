// SPDX-License-Identifier: MIT
// What reaches the local APICs of a platform of four processors: their timers, the I/O APIC's pins,
// and how the PIC comes through.
#include "test/host/devices/apic_machine.h"

static void one_shot_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    set(m, 1, APIC_LVT, 0x80);
    set(m, 1, APIC_DIVIDE, 0); // by 2
    set(m, 1, APIC_INITIAL_COUNT, 100);
    assert_int_equal(a->timer_due, START_TSC + 200);
    go_to(m, 150);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 25);
    local_apic_run_timer(a);
    assert_false(waits(m, 1));
    go_to(m, 200);
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    set(m, 1, APIC_EOI, 0);
    set(m, 1, APIC_INITIAL_COUNT, 100);
    set(m, 1, APIC_DIVIDE, 0xb); // by 1, half of it done by then
    assert_int_equal(a->timer_due, START_TSC + 300);
    set(m, 1, APIC_INITIAL_COUNT, 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    set(m, 1, APIC_LVT, 0x10080);
    set(m, 1, APIC_INITIAL_COUNT, 10);
    go_to(m, 1000);
    local_apic_run_timer(a); // masked: it ends in silence
    assert_false(waits(m, 1));
    assert_int_equal(a->timer_due, CLOCK_NEVER);
}

static void dividers(void **state)
{
    struct machine *m = *state;
    static const unsigned by[] = {2, 4, 8, 16, 32, 64, 128, 1};
    enable_all(m);
    for (uint32_t i = 0; i < ARRAY_COUNT(by); i++) {
        set(m, 1, APIC_DIVIDE, (i & 3) | (i & 4) << 1);
        set(m, 1, APIC_INITIAL_COUNT, 1000);
        assert_int_equal(apic(m, 1)->timer_due, START_TSC + 1000 * by[i]);
    }
}

static void periodic_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    set(m, 1, APIC_DIVIDE, 0xb);
    set(m, 1, APIC_LVT, 0x20080);
    set(m, 1, APIC_INITIAL_COUNT, 100);
    go_to(m, 100);
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    set(m, 1, APIC_EOI, 0);
    assert_int_equal(a->timer_due, START_TSC + 200);
    go_to(m, 555); // several at once are one
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    assert_int_equal(a->timer_due, START_TSC + 600);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 45);
    local_apic_skip_time(a, 1000, 0);
    assert_int_equal(a->timer_due, START_TSC + 1600);
}

static void deadline_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    local_apic_set_tsc_offset(a, (uint64_t)0 - START_TSC);
    local_apic_set_deadline(a, 500); // not in this mode
    assert_int_equal(local_apic_deadline(a), 0);
    set(m, 1, APIC_LVT, 0x40081);
    local_apic_set_deadline(a, 500);
    assert_int_equal(local_apic_deadline(a), 500);
    assert_int_equal(a->timer_due, START_TSC + 500);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 0);
    set(m, 1, APIC_INITIAL_COUNT, 5);
    assert_int_equal(a->timer_due, START_TSC + 500);
    go_to(m, 500);
    local_apic_run_timer(a);
    assert_int_equal(local_apic_deadline(a), 0);
    assert_int_equal(take(m, 1), 0x81);
    set(m, 1, APIC_EOI, 0);
    local_apic_set_deadline(a, 400); // the past
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x81);
    set(m, 1, APIC_EOI, 0);
    local_apic_set_deadline(a, UINT64_MAX);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    local_apic_set_deadline(a, 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    local_apic_set_deadline(a, 900);
    local_apic_set_tsc_offset(a, (uint64_t)100 - START_TSC);
    assert_int_equal(a->timer_due, START_TSC + 800);
    set(m, 1, APIC_LVT, 0x81); // another mode disarms
    assert_int_equal(a->timer_due, CLOCK_NEVER);
}

static void io_apic_registers(void **state)
{
    struct machine *m = *state;
    assert_int_equal(io_get(m, 1), 0x170011);
    assert_int_equal(io_get(m, IO_ENTRY(23)), 0x10000);
    io_set(m, 0, 0xffffffff);
    assert_int_equal(io_get(m, 0), 0x0f000000);
    io_set(m, IO_ENTRY(5), 0xffffffff);
    assert_int_equal(io_get(m, IO_ENTRY(5)), 0x1afff);
    io_set(m, IO_ENTRY(5) + 1, 0xffffffff);
    assert_int_equal(io_get(m, IO_ENTRY(5) + 1), 0xff000000);
    assert_int_equal(io_get(m, IO_ENTRY(24)), 0);
    io_set(m, IO_ENTRY(24), 0xffffffff);
    io_set(m, 0xff, 0xffffffff);
}

static void edge_inputs(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    isa(m, 4, true); // masked: lost
    io_set(m, IO_ENTRY(4) + 1, 1u << 24);
    io_set(m, IO_ENTRY(4), 0x34);
    assert_false(waits(m, 1));
    isa(m, 4, false);
    isa(m, 4, true);
    assert_int_equal(take(m, 1), 0x34);
    assert_int_equal(get(m, 1, APIC_TMR + 1), 0);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    io_set(m, IO_ENTRY(2), 0x30); // IRQ 0
    isa(m, 0, false);
    isa(m, 0, true);
    assert_int_equal(take(m, 0), 0x30);
}

static void level_inputs(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    io_set(m, IO_ENTRY(9), 0x8039);
    isa(m, 9, true);
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0xc039); // remote IRR
    assert_int_equal(take(m, 0), 0x39);
    assert_int_equal(get(m, 0, APIC_TMR + 1), 1u << 25);
    isa(m, 9, false);
    isa(m, 9, true);
    assert_false(waits(m, 0)); // until the end of the first
    set(m, 0, APIC_EOI, 0);
    assert_int_equal(take(m, 0), 0x39);
    isa(m, 9, false);
    set(m, 0, APIC_EOI, 0);
    assert_false(waits(m, 0));
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0x8039);
    io_set(m, IO_ENTRY(9), 0x18039);
    isa(m, 9, true);
    io_set(m, IO_ENTRY(9), 0x8039); // unmasked while high
    assert_int_equal(take(m, 0), 0x39);
    io_set(m, IO_ENTRY(9), 0x0039); // edge forgets the service
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0x39);
}

static void pic_through_lint0(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    isa(m, 1, true);
    assert_true(waits(m, 0));
    assert_false(waits(m, 1));
    assert_int_equal(take(m, 0), 0x21);
    for (uint32_t i = 0; i < 8; i++) // nothing in service
        assert_int_equal(get(m, 0, APIC_ISR + i), 0);
    out(m, 0x20, 0x20);
    isa(m, 1, false);
    set(m, 0, APIC_LVT + LVT_LINT0, 0x10700);
    isa(m, 1, true);
    assert_false(waits(m, 0));
    assert_true(set_base(m, 0, 0)); // off: directly
    assert_int_equal(take(m, 0), 0x21);
}

static void pic_comes_before_waiting_vectors(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    local_apic_accept(apic(m, 0), 0xf1, false);
    set(m, 0, APIC_TPR, 0xff);
    isa(m, 1, true);
    assert_int_equal(take(m, 0), 0x21); // the task priority is not asked
    assert_false(waits(m, 0));
    set(m, 0, APIC_TPR, 0);
    assert_int_equal(take(m, 0), 0xf1);
}

static void timer_ticks_are_acknowledged_through_the_io_apic(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    io_set(m, IO_ENTRY(2), 0x30);
    out(m, 0x43, 0x34);
    out(m, 0x40, 0xa9);
    out(m, 0x40, 0x04); // 1 ms
    unsigned ticks = 0;
    for (unsigned i = 0; i < 200; i++) { // half a millisecond a turn; every other is late
        pass(m, 500000);
        for (; i % 4 == 0 && waits(m, 0); ticks++) {
            assert_int_equal(take(m, 0), 0x30);
            set(m, 0, APIC_EOI, 0);
        }
    }
    assert_in_range(ticks, 96, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        APIC_TEST(one_shot_timer),
        APIC_TEST(dividers),
        APIC_TEST(periodic_timer),
        APIC_TEST(deadline_timer),
        APIC_TEST(io_apic_registers),
        APIC_TEST(edge_inputs),
        APIC_TEST(level_inputs),
        APIC_TEST(pic_through_lint0),
        APIC_TEST(pic_comes_before_waiting_vectors),
        APIC_TEST(timer_ticks_are_acknowledged_through_the_io_apic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
