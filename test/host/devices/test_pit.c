// SPDX-License-Identifier: MIT
// The timer: counting modes, latches, the speaker gate, and that ticks neither drift nor get lost.
#include "test/host/devices/machine.h"

#define CONTROL 0x43
#define PORT_B  0x61

// One PIT tick lasts 838.096 nanoseconds; this is the first nanosecond of tick n.
static uint64_t tick(uint64_t n)
{
    return clock_from_ticks(n, PIT_HZ);
}

static void program(struct machine *m, unsigned channel, unsigned mode, unsigned count)
{
    out(m, CONTROL, (uint8_t)(channel << 6 | 0x30 | mode << 1));
    out(m, (uint16_t)(0x40 + channel), (uint8_t)count);
    out(m, (uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static unsigned read_latched(struct machine *m, unsigned channel)
{
    out(m, CONTROL, (uint8_t)(channel << 6));
    unsigned low = in(m, (uint16_t)(0x40 + channel));
    return low | (unsigned)in(m, (uint16_t)(0x40 + channel)) << 8;
}

static unsigned status_of(struct machine *m, unsigned channel)
{
    out(m, CONTROL, (uint8_t)(0xe0 | 2 << channel));
    return in(m, (uint16_t)(0x40 + channel));
}

static unsigned take_ticks(struct machine *m)
{
    unsigned count = 0;
    while (pending(m)) {
        assert_int_equal(acknowledge(m), 0x20);
        out(m, 0x20, 0x20);
        count++;
    }
    return count;
}

static void rate_generator_counts_down(void **state)
{
    struct machine *m = *state;
    go_to(m, tick(10));
    program(m, 0, 2, 1000);
    assert_int_equal(read_latched(m, 0), 1000);
    go_to(m, tick(11 + 1));
    assert_int_equal(read_latched(m, 0), 999);
    go_to(m, tick(11 + 999));
    assert_int_equal(read_latched(m, 0), 1);
    assert_int_equal(status_of(m, 0), 0x34); // OUT is low for this one tick
    go_to(m, tick(11 + 1000));
    assert_int_equal(read_latched(m, 0), 1000);
    assert_int_equal(status_of(m, 0), 0xb4);
    go_to(m, tick(11 + 1000 * 1000 + 500));
    assert_int_equal(read_latched(m, 0), 500);
}

static void square_wave(void **state)
{
    struct machine *m = *state;
    program(m, 0, 3, 9); // odd: high for 5, low for 4
    static const unsigned values[] = {8, 6, 4, 2, 0, 8, 6, 4, 2, 8};
    for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
        go_to(m, tick(1 + i));
        assert_int_equal(read_latched(m, 0), values[i]);
        assert_int_equal(status_of(m, 0) >> 7, i % 9 < 5);
    }
}

// 100 000 ticks at Linux' rate: as many interrupts as the true frequency gives, no drift.
static void periodic_interrupts_do_not_drift(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    program(m, 0, 2, 4772); // 250 Hz
    unsigned count = 0;
    uint64_t deadline;
    for (unsigned i = 0; i < 100000; i++) {
        deadline = platform_next_deadline(&m->platform);
        platform_set_time(&m->platform, deadline - 1);
        platform_run_timers(&m->platform);
        assert_false(pending(m));
        platform_set_time(&m->platform, deadline + i % 1000); // late by up to a microsecond
        platform_run_timers(&m->platform);
        count += take_ticks(m);
    }
    assert_int_equal(count, 100000);
    deadline = platform_next_deadline(&m->platform) - START_TSC;
    assert_int_equal(deadline, tick(1 + 100001ull * 4772));
}

static void missed_ticks_are_made_up_for(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    program(m, 0, 2, 4772);
    go_to(m, tick(1 + 4772 * 10)); // the guest did not run for ten periods
    assert_int_equal(take_ticks(m), 10);
    go_to(m, tick(1 + 4772 * 11)); // one tick waits ...
    go_to(m, tick(1 + 4772 * 12)); // ... when the next comes due
    assert_true(pending(m));
    assert_int_equal(take_ticks(m), 2);
    go_to(m, tick(1 + 4772 * 100000)); // far too many: a second's worth and the current one
    unsigned bound = PIT_HZ / 4772;
    assert_int_equal(take_ticks(m), bound + 1);
    assert_int_equal(m->platform.pit.coalesced, 100000 - 12 - bound - 1);
    go_to(m, tick(1 + 4772 * 100001ull));
    assert_int_equal(take_ticks(m), 1);
}

static void masked_ticks_are_not_kept(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, 0x21, 0x01);
    program(m, 0, 2, 4772);
    for (unsigned i = 1; i <= 50; i++)
        go_to(m, tick(1 + 4772 * i));
    assert_false(pending(m));
    out(m, 0x21, 0x00);
    assert_int_equal(take_ticks(m), 1); // the edge that is latched
}

static void reprogramming_voids_what_is_owed(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    program(m, 0, 2, 4772);
    go_to(m, tick(1 + 4772 * 20));
    assert_int_equal(acknowledge(m), 0x20);
    program(m, 0, 0, 1000); // the owed tick is taken back with the line
    out(m, 0x20, 0x20);
    assert_int_equal(take_ticks(m), 0);
    pass(m, tick(1100));
    assert_int_equal(take_ticks(m), 1);
    pass(m, NANOSECONDS);
    assert_int_equal(take_ticks(m), 0); // once only
    assert_int_equal(platform_next_deadline(&m->platform), 0);
}

static void one_shot_by_strobe(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, CONTROL, 0x38); // mode 4, as Linux' one-shot
    for (unsigned i = 0; i < 5; i++) {
        uint64_t start = clock_now(&m->platform.clock);
        out(m, 0x40, 0xe8);
        out(m, 0x40, 0x03);
        uint64_t written = clock_to_ticks(start, PIT_HZ);
        go_to(m, tick(written + 1 + 1001) - 1); // low for one tick at the end of the count
        assert_false(pending(m));
        go_to(m, tick(written + 1 + 1001));
        assert_int_equal(take_ticks(m), 1);
    }
    out(m, 0x40, 0xe8);
    out(m, 0x40, 0x03);
    pass(m, tick(500));
    out(m, 0x40, 0xe8); // written again before it ends: counts anew
    out(m, 0x40, 0x03);
    pass(m, tick(900));
    assert_int_equal(take_ticks(m), 0);
    pass(m, tick(200));
    assert_int_equal(take_ticks(m), 1);
}

static void interrupt_on_terminal_count(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    program(m, 0, 0, 100);
    assert_int_equal(status_of(m, 0), 0x30);
    go_to(m, tick(100));
    assert_false(pending(m));
    go_to(m, tick(101));
    assert_int_equal(status_of(m, 0), 0xb0);
    assert_int_equal(take_ticks(m), 1);
    go_to(m, tick(103));
    assert_int_equal(read_latched(m, 0), 0xfffe); // counts on
    out(m, 0x40, 50);                             // the first byte stops it and takes OUT down
    assert_int_equal(status_of(m, 0) & 0xc0, 0x40);
    pass(m, tick(1000));
    assert_false(pending(m));
    out(m, 0x40, 0);
    pass(m, tick(52));
    assert_int_equal(take_ticks(m), 1);
}

static void new_count_waits_for_the_period(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    program(m, 0, 2, 1000);
    go_to(m, tick(1 + 300));
    out(m, 0x40, 100);
    out(m, 0x40, 0);
    assert_int_equal(status_of(m, 0) & 0x40, 0x40); // not taken over yet
    assert_int_equal(read_latched(m, 0), 700);
    go_to(m, tick(1 + 999));
    assert_int_equal(take_ticks(m), 0);
    go_to(m, tick(1 + 1000));
    assert_int_equal(take_ticks(m), 1);
    assert_int_equal(read_latched(m, 0), 100);
    assert_int_equal(status_of(m, 0) & 0x40, 0);
    go_to(m, tick(1 + 1100));
    assert_int_equal(take_ticks(m), 1);
    go_to(m, tick(1 + 1400));
    assert_int_equal(take_ticks(m), 3);
}

static void latches_and_access_modes(void **state)
{
    struct machine *m = *state;
    program(m, 1, 2, 0x1234);
    out(m, CONTROL, 0x40);
    pass(m, tick(100));
    out(m, CONTROL, 0x40); // the first latch stays
    assert_int_equal(in(m, 0x41), 0x34);
    assert_int_equal(in(m, 0x41), 0x12);
    assert_int_equal(in(m, 0x41), 0xd1); // live: low, then high
    assert_int_equal(in(m, 0x41), 0x11);
    assert_int_equal(in(m, 0x41), 0xd1);
    out(m, CONTROL, 0xc4);               // status and count of channel 1
    assert_int_equal(in(m, 0x41), 0xb4); // status first
    assert_int_equal(in(m, 0x41), 0xd1);
    assert_int_equal(in(m, 0x41), 0x11);
    assert_int_equal(in(m, 0x41), 0x11); // live again, at the high byte
    out(m, CONTROL, 0x54);               // low byte only
    out(m, 0x41, 0x80);
    assert_int_equal(in(m, 0x41), 0x80);
    assert_int_equal(in(m, 0x41), 0x80);
    out(m, CONTROL, 0x64); // high byte only
    out(m, 0x41, 0x20);
    assert_int_equal(in(m, 0x41), 0x20);
    out(m, CONTROL, 0x40);
    pass(m, tick(300));
    assert_int_equal(in(m, 0x41), 0x20);
    assert_int_equal(in(m, 0x41), 0x1e);
    assert_int_equal(in(m, CONTROL), 0xff);
}

static void counts_at_the_ends(void **state)
{
    struct machine *m = *state;
    program(m, 1, 2, 0); // 65536
    assert_int_equal(read_latched(m, 1), 0);
    pass(m, tick(2));
    assert_int_equal(read_latched(m, 1), 0xffff);
    program(m, 1, 2, 1); // not allowed: taken as 2
    pass(m, tick(50));
    assert_in_range(read_latched(m, 1), 1, 2);
    out(m, CONTROL, 0x75); // BCD
    out(m, 0x41, 0x50);
    out(m, 0x41, 0x12);
    pass(m, tick(52));
    assert_in_range(read_latched(m, 1), 0x1199, 0x1200);
    out(m, CONTROL, 0x75);
    out(m, 0x41, 0);
    out(m, 0x41, 0); // 10000
    pass(m, tick(3));
    assert_in_range(read_latched(m, 1), 0x9997, 0x9999);
    out(m, CONTROL, 0x75);
    out(m, 0x41, 0xff); // not decimal digits
    out(m, 0x41, 0xff);
    pass(m, NANOSECONDS);
    read_latched(m, 1);
    out(m, CONTROL, 0x7e); // mode 7 is mode 3
    assert_int_equal(status_of(m, 1) & 0x0e, 0x06);
}

// The way Linux and others measure the TSC: channel 2, mode 0, OUT2 in port B.
static void speaker_gate_calibration(void **state)
{
    struct machine *m = *state;
    out(m, PORT_B, (uint8_t)((in(m, PORT_B) & ~0x02) | 0x01));
    program(m, 2, 0, 59659); // 50 ms
    uint64_t polls = 0;
    while (!(in(m, PORT_B) & 0x20)) {
        pass(m, 1000);
        polls++;
    }
    assert_in_range(polls, 49999, 50003);
    assert_int_equal(in(m, PORT_B) & 0xcf, 0x01);
    program(m, 2, 0, 0xffff);
    unsigned first = in(m, 0x42);
    unsigned high = in(m, 0x42);
    assert_int_equal(first | high << 8, 0xffff);
    pass(m, tick(300));
    in(m, 0x42);
    assert_int_equal(in(m, 0x42), 0xfe);
}

static void gate_stops_and_triggers(void **state)
{
    struct machine *m = *state;
    program(m, 2, 0, 1000);
    pass(m, tick(5000)); // gate low: nothing counts
    assert_int_equal(read_latched(m, 2), 1000);
    out(m, PORT_B, 1);
    pass(m, tick(400));
    out(m, PORT_B, 0);
    unsigned there = read_latched(m, 2);
    assert_in_range(there, 598, 602);
    pass(m, tick(5000));
    assert_int_equal(read_latched(m, 2), there);
    assert_int_equal(in(m, PORT_B) & 0x20, 0);
    out(m, PORT_B, 1);
    pass(m, tick(605));
    assert_int_equal(in(m, PORT_B) & 0x20, 0x20);

    pass(m, tick(3 * 65536));
    out(m, PORT_B, 0);
    assert_int_equal(in(m, PORT_B) & 0x20, 0x20); // past the end stays past the end
    program(m, 2, 1, 500);                        // one-shot by the gate
    pass(m, tick(1000));
    assert_int_equal(in(m, PORT_B) & 0x20, 0x20);
    out(m, PORT_B, 1);
    pass(m, tick(10));
    assert_int_equal(in(m, PORT_B) & 0x20, 0);
    pass(m, tick(300));
    out(m, PORT_B, 0);
    out(m, PORT_B, 1); // again
    pass(m, tick(450));
    assert_int_equal(in(m, PORT_B) & 0x20, 0);
    pass(m, tick(100));
    assert_int_equal(in(m, PORT_B) & 0x20, 0x20);

    program(m, 2, 2, 500); // a rising gate starts the period again
    pass(m, tick(300));
    out(m, PORT_B, 0);
    assert_int_equal(in(m, PORT_B) & 0x20, 0x20);
    out(m, PORT_B, 1);
    pass(m, tick(5));
    assert_in_range(read_latched(m, 2), 494, 498);

    out(m, PORT_B, 0);
    program(m, 2, 5, 100);
    out(m, PORT_B, 1);
    uint64_t start = clock_now(&m->platform.clock);
    unsigned low = 0;
    for (unsigned i = 0; i < 300; i++) {
        go_to(m, start + tick(i));
        low += !(in(m, PORT_B) & 0x20);
    }
    assert_in_range(low, 1, 2); // a strobe of one tick
}

static void refresh_bit_toggles(void **state)
{
    struct machine *m = *state;
    unsigned changes = 0;
    uint8_t last = in(m, PORT_B) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        pass(m, 1000);
        uint8_t now = in(m, PORT_B) & 0x10;
        changes += now != last;
        last = now;
    }
    assert_in_range(changes, 64, 68); // every 15 microseconds in a millisecond
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(rate_generator_counts_down),
        MACHINE_TEST(square_wave),
        MACHINE_TEST(periodic_interrupts_do_not_drift),
        MACHINE_TEST(missed_ticks_are_made_up_for),
        MACHINE_TEST(masked_ticks_are_not_kept),
        MACHINE_TEST(reprogramming_voids_what_is_owed),
        MACHINE_TEST(one_shot_by_strobe),
        MACHINE_TEST(interrupt_on_terminal_count),
        MACHINE_TEST(new_count_waits_for_the_period),
        MACHINE_TEST(latches_and_access_modes),
        MACHINE_TEST(counts_at_the_ends),
        MACHINE_TEST(speaker_gate_calibration),
        MACHINE_TEST(gate_stops_and_triggers),
        MACHINE_TEST(refresh_bit_toggles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
