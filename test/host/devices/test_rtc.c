// SPDX-License-Identifier: MIT
// The real-time clock: calendar, formats, stopping and setting, interrupts, CMOS contents.
#include <time.h>
#include "test/host/devices/machine.h"

enum { SEC, SEC_ALARM, MIN, MIN_ALARM, HOUR, HOUR_ALARM, WDAY, MDAY, MON, YEAR, A, B, C, D };
#define CENTURY 0x32

static uint8_t get(struct machine *m, uint8_t index)
{
    out(m, 0x70, index);
    return in(m, 0x71);
}

static void set(struct machine *m, uint8_t index, uint8_t value)
{
    out(m, 0x70, index);
    out(m, 0x71, value);
}

static unsigned bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 15u);
}

// The time in the registers, by the C library's calendar.
static int64_t read_time(struct machine *m)
{
    struct tm tm = {
        .tm_year = (int)(bcd(get(m, CENTURY)) * 100 + bcd(get(m, YEAR)) - 1900),
        .tm_mon = (int)bcd(get(m, MON)) - 1,
        .tm_mday = (int)bcd(get(m, MDAY)),
        .tm_hour = (int)bcd(get(m, HOUR)),
        .tm_min = (int)bcd(get(m, MIN)),
        .tm_sec = (int)bcd(get(m, SEC)),
    };
    int64_t seconds = timegm(&tm);
    assert_int_equal(tm.tm_wday + 1, get(m, WDAY));
    return seconds;
}

static void set_time(struct machine *m, int64_t seconds)
{
    struct tm tm;
    time_t time = seconds;
    gmtime_r(&time, &tm);
    const unsigned values[][2] = {
        {SEC, (unsigned)tm.tm_sec},
        {MIN, (unsigned)tm.tm_min},
        {HOUR, (unsigned)tm.tm_hour},
        {MDAY, (unsigned)tm.tm_mday},
        {MON, (unsigned)tm.tm_mon + 1},
        {YEAR, (unsigned)tm.tm_year % 100},
        {CENTURY, (unsigned)tm.tm_year / 100 + 19},
    };
    set(m, B, 0x82);
    for (size_t i = 0; i < ARRAY_COUNT(values); i++)
        set(m, (uint8_t)values[i][0], (uint8_t)(values[i][1] / 10 << 4 | values[i][1] % 10));
    set(m, B, 0x02);
}

static void starts_at_the_given_time(void **state)
{
    struct machine *m = *state;
    assert_int_equal(read_time(m), START_TIME);
    assert_int_equal(get(m, HOUR), 0x22);
    assert_int_equal(get(m, YEAR), 0x23);
    assert_int_equal(get(m, CENTURY), 0x20);
    assert_int_equal(get(m, D), 0x80);
    assert_int_equal(get(m, A) & 0x7f, 0x26);
    assert_int_equal(get(m, B), 0x02);
    pass(m, NANOSECONDS - 1);
    assert_int_equal(read_time(m), START_TIME);
    pass(m, 1);
    assert_int_equal(read_time(m), START_TIME + 1);
    assert_int_equal(in(m, 0x70), 0xff);
    assert_int_equal(get(m, 0x80 | YEAR), 0x23); // the NMI bit is no part of the index
}

static void calendar_matches_the_library(void **state)
{
    struct machine *m = *state;
    static const int64_t moments[] = {
        0,          68169600,   951782399,  951868799,  951868800,  1077926399, 1078012799,
        1709164799, 1709251199, 2147483647, 4107542399, 4107542400, 4294967295, 7289654399,
    };
    for (size_t i = 0; i < ARRAY_COUNT(moments); i++) {
        set_time(m, moments[i]);
        assert_int_equal(read_time(m), moments[i]);
        pass(m, NANOSECONDS);
        assert_int_equal(read_time(m), moments[i] + 1);
    }
    int64_t time = 0;
    for (unsigned i = 0; i < 2000; i++) {
        time += 86400 * 21 + 3671;
        set_time(m, time);
        assert_int_equal(read_time(m), time);
    }
}

static void formats(void **state)
{
    struct machine *m = *state;
    set(m, B, 0x06); // binary, 24 hours
    assert_int_equal(get(m, HOUR), 22);
    assert_int_equal(get(m, YEAR), 23);
    set(m, B, 0x04); // binary, 12 hours
    assert_int_equal(get(m, HOUR), 0x80 | 10);
    set(m, B, 0x00);
    assert_int_equal(get(m, HOUR), 0x90);
    set(m, HOUR, 0x12); // 12 at night
    set(m, B, 0x02);
    assert_int_equal(get(m, HOUR), 0x00);
    set(m, B, 0x00);
    set(m, HOUR, 0x92); // noon
    set(m, B, 0x02);
    assert_int_equal(get(m, HOUR), 0x12);
}

static void setting_keeps_the_phase(void **state)
{
    struct machine *m = *state;
    pass(m, NANOSECONDS / 4);
    set(m, B, 0x82);
    pass(m, 10 * NANOSECONDS); // stands still
    assert_int_equal(read_time(m), START_TIME);
    set(m, SEC, 0x40);
    assert_int_equal(get(m, SEC), 0x40);
    set(m, B, 0x02);
    assert_int_equal(get(m, SEC), 0x40);
    pass(m, NANOSECONDS * 3 / 4 - 1);
    assert_int_equal(get(m, SEC), 0x40);
    pass(m, 1);
    assert_int_equal(get(m, SEC), 0x41);
    set(m, MIN, 0x59); // while it runs
    assert_int_equal(get(m, MIN), 0x59);
    assert_int_equal(get(m, SEC), 0x41);
    pass(m, 19 * NANOSECONDS);
    assert_int_equal(get(m, MIN), 0x00);
    assert_int_equal(get(m, HOUR), 0x23);
}

static void releasing_the_divider_takes_half_a_second(void **state)
{
    struct machine *m = *state;
    pass(m, NANOSECONDS / 3);
    set(m, A, 0x76);
    pass(m, 5 * NANOSECONDS);
    assert_int_equal(read_time(m), START_TIME);
    set(m, A, 0x26);
    pass(m, NANOSECONDS / 2 - 1);
    assert_int_equal(read_time(m), START_TIME);
    pass(m, 1);
    assert_int_equal(read_time(m), START_TIME + 1);
}

static void rubbish_is_survived(void **state)
{
    struct machine *m = *state;
    for (unsigned value = 0; value < 256; value += 5) {
        for (uint8_t index = 0; index < 10; index++)
            set(m, index, (uint8_t)value);
        set(m, CENTURY, (uint8_t)value);
        pass(m, NANOSECONDS);
        read_time(m);
    }
}

static void update_in_progress(void **state)
{
    struct machine *m = *state;
    assert_int_equal(get(m, A) & 0x80, 0);
    pass(m, NANOSECONDS - 244001);
    assert_int_equal(get(m, A) & 0x80, 0);
    pass(m, 1);
    assert_int_equal(get(m, A) & 0x80, 0x80);
    set(m, B, 0x82);
    assert_int_equal(get(m, A) & 0x80, 0);
    set(m, B, 0x02);
    pass(m, 244000);
    assert_int_equal(get(m, A) & 0x80, 0);
}

static bool irq(const struct machine *m)
{
    return m->platform.rtc.irq.level;
}

static void update_interrupt(void **state)
{
    struct machine *m = *state;
    set(m, B, 0x12);
    assert_int_equal(platform_next_deadline(&m->platform), START_TSC + NANOSECONDS);
    pass(m, NANOSECONDS);
    assert_true(irq(m));
    assert_int_equal(platform_next_deadline(&m->platform), 0); // nothing more until it is read
    assert_int_equal(get(m, C) & 0xf0, 0xd0);                  // the periodic flag comes too
    assert_false(irq(m));
    assert_int_equal(get(m, C), 0);
    assert_int_equal(platform_next_deadline(&m->platform), START_TSC + 2 * NANOSECONDS);
    set(m, B, 0x02);
    pass(m, NANOSECONDS);
    assert_false(irq(m));
    assert_int_equal(get(m, C), 0x50); // flags without a request
    set(m, B, 0x92);
    assert_int_equal(get(m, B), 0x82); // SET clears the enable
}

static void periodic_interrupt(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint8_t rate;
        unsigned hz;
    } rates[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {15, 2}};
    for (size_t i = 0; i < ARRAY_COUNT(rates); i++) {
        set(m, A, 0x20 | rates[i].rate);
        set(m, B, 0x42);
        get(m, C);
        uint64_t end = clock_now(&m->platform.clock) + NANOSECONDS;
        unsigned count = 0;
        for (;;) {
            uint64_t deadline = platform_next_deadline(&m->platform) - START_TSC;
            if (deadline > end)
                break;
            go_to(m, deadline);
            assert_true(irq(m));
            assert_int_equal(get(m, C) & 0xc0, 0xc0);
            count++;
        }
        assert_in_range(count, rates[i].hz - 1, rates[i].hz + 1);
    }
    set(m, A, 0x20); // rate 0: none
    get(m, C);
    assert_int_equal(platform_next_deadline(&m->platform), 0);
}

static void alarm(void **state)
{
    struct machine *m = *state;
    set(m, SEC_ALARM, 0x05);
    set(m, MIN_ALARM, 0x00);
    set(m, HOUR_ALARM, 0x23); // 23:00:05, from 22:13:20
    set(m, B, 0x22);
    uint64_t wait = 46 * 60 + 45;
    assert_int_equal(platform_next_deadline(&m->platform), START_TSC + wait * NANOSECONDS);
    go_to(m, wait * NANOSECONDS);
    assert_true(irq(m));
    assert_int_equal(get(m, C) & 0xa0, 0xa0);
    assert_int_equal(platform_next_deadline(&m->platform),
                     START_TSC + (wait + 86400) * NANOSECONDS); // tomorrow
    set(m, HOUR_ALARM, 0xff);
    set(m, MIN_ALARM, 0xc0);
    assert_int_equal(platform_next_deadline(&m->platform),
                     START_TSC + (wait + 60) * NANOSECONDS); // any hour, any minute
    set(m, SEC_ALARM, 0x61);                                 // never
    assert_int_equal(platform_next_deadline(&m->platform), 0);
    pass(m, 86400ull * 3 * NANOSECONDS);
    assert_int_equal(get(m, C) & 0x20, 0);
}

static void interrupts_reach_the_controller(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    set(m, B, 0x12);
    pass(m, NANOSECONDS);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x28);
}

static unsigned word(struct machine *m, uint8_t index)
{
    return get(m, index) | (unsigned)get(m, (uint8_t)(index + 1)) << 8;
}

static void memory_sizes(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint64_t bytes;
        unsigned extended, above_16m, above_4g;
    } cases[] = {
        {256u << 20, 0xffff, 240 * 16, 0},
        {8u << 20, 7 * 1024, 0, 0},
        {512u << 10, 0, 0, 0},
        {3ull << 30, 0xffff, 3056 * 16, 0},
        {6ull << 30, 0xffff, 0xff00, 0x8000},
    };
    assert_int_equal(word(m, 0x15), 640);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct clock clock;
        assert_int_equal(clock_init(&clock, 0, NANOSECONDS), STATUS_OK);
        assert_int_equal(rtc_init(&m->platform.rtc, &clock, 0, cases[i].bytes), STATUS_OK);
        assert_int_equal(word(m, 0x17), cases[i].extended);
        assert_int_equal(word(m, 0x30), cases[i].extended);
        assert_int_equal(word(m, 0x34), cases[i].above_16m);
        assert_int_equal(word(m, 0x5b), cases[i].above_4g);
        unsigned sum = 0;
        for (uint8_t index = 0x10; index < 0x2e; index++)
            sum += get(m, index);
        assert_int_equal(get(m, 0x2e) << 8 | get(m, 0x2f), sum);
    }
}

static void memory_is_kept(void **state)
{
    struct machine *m = *state;
    set(m, 0x0f, 0x05);
    set(m, 0x7f, 0x77);
    set(m, C, 0xff);
    set(m, D, 0x00);
    platform_reset(&m->platform);
    assert_int_equal(get(m, 0x0f), 0x05);
    assert_int_equal(get(m, 0x7f), 0x77);
    assert_int_equal(get(m, C), 0);
    assert_int_equal(get(m, D), 0x80);
    assert_int_equal(read_time(m), START_TIME);
}

static void absurd_start_times(void **state)
{
    struct machine *m = *state;
    static const int64_t starts[] = {-1, INT64_MIN, INT64_MAX, 253402300800};
    for (size_t i = 0; i < ARRAY_COUNT(starts); i++) {
        struct clock clock;
        assert_int_equal(clock_init(&clock, 0, NANOSECONDS), STATUS_OK);
        assert_int_equal(rtc_init(&m->platform.rtc, &clock, starts[i], 0), STATUS_OK);
        assert_int_equal(read_time(m), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(starts_at_the_given_time),
        MACHINE_TEST(calendar_matches_the_library),
        MACHINE_TEST(formats),
        MACHINE_TEST(setting_keeps_the_phase),
        MACHINE_TEST(releasing_the_divider_takes_half_a_second),
        MACHINE_TEST(rubbish_is_survived),
        MACHINE_TEST(update_in_progress),
        MACHINE_TEST(update_interrupt),
        MACHINE_TEST(periodic_interrupt),
        MACHINE_TEST(alarm),
        MACHINE_TEST(interrupts_reach_the_controller),
        MACHINE_TEST(memory_sizes),
        MACHINE_TEST(memory_is_kept),
        MACHINE_TEST(absurd_start_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
