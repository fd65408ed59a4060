// SPDX-License-Identifier: MIT
// The MC146818 real-time clock and CMOS memory.
#include "vmm/devices/rtc.h"

enum rtc_index {
    SECONDS,
    SECONDS_ALARM,
    MINUTES,
    MINUTES_ALARM,
    HOURS,
    HOURS_ALARM,
    DAY_OF_WEEK,
    DAY_OF_MONTH,
    MONTH,
    YEAR,
    REGISTER_A,
    REGISTER_B,
    REGISTER_C,
    REGISTER_D,
    EQUIPMENT = 0x14,
    BASE_MEMORY = 0x15,
    EXTENDED_MEMORY = 0x17,
    CHECKSUM_FIRST = 0x10,
    CHECKSUM_LAST = 0x2d,
    CHECKSUM = 0x2e,
    EXTENDED_MEMORY_2 = 0x30,
    CENTURY = 0x32,
    MEMORY_ABOVE_16M = 0x34,
    MEMORY_ABOVE_4G = 0x5b,
};

#define A_UPDATING 0x80u
#define A_DIVIDER  0x60u // both set: the divider is held in reset
#define A_DEFAULT  0x26u // 32 768 Hz time base, 1024 Hz periodic rate

#define B_SET      0x80u
#define B_PERIODIC 0x40u
#define B_ALARM    0x20u
#define B_UPDATE   0x10u
#define B_BINARY   0x04u
#define B_24_HOURS 0x02u

#define C_REQUEST  0x80u
#define C_PERIODIC B_PERIODIC // the flags are where their enables are in register B
#define C_ALARM    B_ALARM
#define C_UPDATE   B_UPDATE

#define D_VALID   0x80u
#define HOURS_PM  0x80u
#define ALARM_ANY 0xc0u // alarm bytes from here up match always

#define TIME_BASE_HZ   32768u
#define UPDATE_WARNING 244000u           // nanoseconds from UIP to the update
#define DIVIDER_START  (NANOSECONDS / 2) // from releasing the divider to the first update
#define LATEST_TIME    253402300799 // the end of the year 9999, the last that the registers show
#define DAY            86400

// -- civil time -----------------------------------------------------------------------------

struct civil {
    int64_t year;
    unsigned month, day; // from 1
    unsigned hour, minute, second;
    unsigned weekday; // Sunday 1
};

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(int64_t year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

// Days from 1970-01-01 to the first of January of `year`.
static int64_t days_before_year(int64_t year)
{
    int64_t past = year - 1;
    return 365 * (year - 1970) + past / 4 - past / 100 + past / 400 - 477;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    int64_t days = seconds / DAY;
    unsigned rest = (unsigned)(seconds % DAY);
    struct civil civil = {
        .year = 1970 + days / 366,
        .month = 1,
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
        .weekday = (unsigned)((days + 4) % 7) + 1,
    };
    while (days_before_year(civil.year + 1) <= days)
        civil.year++;
    unsigned day = (unsigned)(days - days_before_year(civil.year));
    while (day >= month_days(civil.year, civil.month))
        day -= month_days(civil.year, civil.month++);
    civil.day = day + 1;
    return civil;
}

static int64_t seconds_from_civil(const struct civil *civil)
{
    int64_t days = days_before_year(civil->year) + civil->day - 1;
    for (unsigned month = 1; month < civil->month; month++)
        days += month_days(civil->year, month);
    unsigned rest = civil->hour * 3600 + civil->minute * 60 + civil->second;
    return days * DAY + rest;
}

// -- register formats -----------------------------------------------------------------------

static uint8_t encode(const struct rtc *rtc, unsigned value)
{
    if (rtc->cmos[REGISTER_B] & B_BINARY)
        return (uint8_t)value;
    return (uint8_t)(value / 10 << 4 | value % 10);
}

static unsigned decode(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REGISTER_B] & B_BINARY)
        return value;
    return (value >> 4) * 10u + (value & 15u);
}

static uint8_t encode_hour(const struct rtc *rtc, unsigned hour)
{
    if (rtc->cmos[REGISTER_B] & B_24_HOURS)
        return encode(rtc, hour);
    unsigned twelve = hour % 12 ? hour % 12 : 12;
    return encode(rtc, twelve) | (hour >= 12 ? HOURS_PM : 0);
}

static unsigned decode_hour(const struct rtc *rtc, uint8_t value)
{
    if (rtc->cmos[REGISTER_B] & B_24_HOURS)
        return decode(rtc, value);
    return decode(rtc, value & 0x7f) % 12 + (value & HOURS_PM ? 12 : 0);
}

// `value` brought into [low, high]: software may write anything into the time registers.
static unsigned clamp(unsigned value, unsigned low, unsigned high)
{
    if (value < low)
        return low;
    return value > high ? high : value;
}

static int64_t decode_time(const struct rtc *rtc)
{
    const uint8_t *cmos = rtc->cmos;
    struct civil civil = {
        .year =
            clamp(decode(rtc, cmos[CENTURY]), 19, 99) * 100 + clamp(decode(rtc, cmos[YEAR]), 0, 99),
        .month = clamp(decode(rtc, cmos[MONTH]), 1, 12),
        .hour = clamp(decode_hour(rtc, cmos[HOURS]), 0, 23),
        .minute = clamp(decode(rtc, cmos[MINUTES]), 0, 59),
        .second = clamp(decode(rtc, cmos[SECONDS]), 0, 59),
    };
    if (civil.year < 1970)
        civil.year = 1970;
    civil.day = clamp(decode(rtc, cmos[DAY_OF_MONTH]), 1, month_days(civil.year, civil.month));
    return seconds_from_civil(&civil);
}

// Puts the time `seconds` into the registers.
static void encode_time(struct rtc *rtc, int64_t seconds)
{
    struct civil civil = civil_from_seconds(seconds);
    uint8_t *cmos = rtc->cmos;
    cmos[SECONDS] = encode(rtc, civil.second);
    cmos[MINUTES] = encode(rtc, civil.minute);
    cmos[HOURS] = encode_hour(rtc, civil.hour);
    cmos[DAY_OF_WEEK] = encode(rtc, civil.weekday);
    cmos[DAY_OF_MONTH] = encode(rtc, civil.day);
    cmos[MONTH] = encode(rtc, civil.month);
    cmos[YEAR] = encode(rtc, (unsigned)(civil.year % 100));
    cmos[CENTURY] = encode(rtc, (unsigned)(civil.year / 100 % 100));
}

// -- running time ---------------------------------------------------------------------------

static bool divider_held(const struct rtc *rtc)
{
    return (rtc->cmos[REGISTER_A] & A_DIVIDER) == A_DIVIDER;
}

static bool is_stopped(const struct rtc *rtc)
{
    return rtc->cmos[REGISTER_B] & B_SET || divider_held(rtc);
}

// Seconds that have begun since `epoch`; never negative.
static int64_t seconds_passed(const struct rtc *rtc, uint64_t now)
{
    int64_t since = (int64_t)now - rtc->epoch;
    return since < 0 ? 0 : since / (int64_t)NANOSECONDS;
}

static int64_t time_at(const struct rtc *rtc, uint64_t now)
{
    return rtc->base + seconds_passed(rtc, now);
}

// The moment at which the second after the one of `now` begins.
static uint64_t next_second(const struct rtc *rtc, uint64_t now)
{
    return (uint64_t)(rtc->epoch + (seconds_passed(rtc, now) + 1) * (int64_t)NANOSECONDS);
}

static bool alarm_matches(const struct rtc *rtc, unsigned index, unsigned value)
{
    uint8_t alarm = rtc->cmos[index];
    if (alarm >= ALARM_ANY)
        return true;
    return value == (index == HOURS_ALARM ? decode_hour(rtc, alarm) : decode(rtc, alarm));
}

// The first time after `seconds` at which the alarm matches; a day later at the latest when it
// can match at all, else -1. Whole hours and minutes that cannot match are skipped.
static int64_t next_alarm(const struct rtc *rtc, int64_t seconds)
{
    int64_t time = seconds + 1;
    while (time <= seconds + DAY) {
        unsigned rest = (unsigned)(time % DAY);
        if (!alarm_matches(rtc, HOURS_ALARM, rest / 3600))
            time += 3600 - rest % 3600;
        else if (!alarm_matches(rtc, MINUTES_ALARM, rest / 60 % 60))
            time += 60 - rest % 60;
        else if (!alarm_matches(rtc, SECONDS_ALARM, rest % 60))
            time++;
        else
            return time;
    }
    return -1;
}

// Period of the periodic interrupt in ticks of the time base; 0: off.
static uint64_t periodic_ticks(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REGISTER_A] & 15;
    if (rate == 0 || divider_held(rtc))
        return 0;
    return 1ull << (rate < 3 ? rate + 6 : rate - 1);
}

// Sets the flags of everything that happened since the last call, and the interrupt line.
static void collect_flags(struct rtc *rtc, uint64_t now)
{
    uint8_t *flags = &rtc->cmos[REGISTER_C];
    uint64_t period = periodic_ticks(rtc);
    if (period && clock_to_ticks(now, TIME_BASE_HZ) / period !=
                      clock_to_ticks(rtc->checked, TIME_BASE_HZ) / period)
        *flags |= C_PERIODIC;
    int64_t before = time_at(rtc, rtc->checked);
    int64_t after = time_at(rtc, now);
    if (!is_stopped(rtc) && after > before) {
        *flags |= C_UPDATE;
        int64_t alarm = next_alarm(rtc, before);
        if (alarm >= 0 && alarm <= after)
            *flags |= C_ALARM;
    }
    rtc->checked = now;
    bool request = *flags & rtc->cmos[REGISTER_B] & (C_PERIODIC | C_ALARM | C_UPDATE);
    *flags = (uint8_t)((*flags & ~C_REQUEST) | (request ? C_REQUEST : 0));
    interrupt_line_set(&rtc->irq, request);
}

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

// Arms the timer for the next enabled flag that is not set yet.
static void schedule(struct rtc *rtc, uint64_t now)
{
    uint64_t deadline = CLOCK_NEVER;
    uint8_t wanted = rtc->cmos[REGISTER_B] & (uint8_t)~rtc->cmos[REGISTER_C];
    uint64_t period = periodic_ticks(rtc);
    if (wanted & B_PERIODIC && period) {
        uint64_t next = (clock_to_ticks(now, TIME_BASE_HZ) / period + 1) * period;
        deadline = earlier(deadline, clock_from_ticks(next, TIME_BASE_HZ));
    }
    if (!is_stopped(rtc) && wanted & B_UPDATE)
        deadline = earlier(deadline, next_second(rtc, now));
    if (!is_stopped(rtc) && wanted & B_ALARM) {
        int64_t seconds = time_at(rtc, now);
        int64_t alarm = next_alarm(rtc, seconds);
        if (alarm >= 0)
            deadline = earlier(deadline, next_second(rtc, now) +
                                             (uint64_t)(alarm - seconds - 1) * NANOSECONDS);
    }
    timer_set(&rtc->timer, deadline);
}

static void timer_expired(struct timer *timer, uint64_t now)
{
    struct rtc *rtc = CONTAINER_OF(timer, struct rtc, timer);
    collect_flags(rtc, now);
    schedule(rtc, now);
}

// -- registers ------------------------------------------------------------------------------

static bool is_time_register(unsigned index)
{
    return index == SECONDS || index == MINUTES || index == HOURS ||
           (index >= DAY_OF_WEEK && index <= YEAR) || index == CENTURY;
}

static uint8_t read_register_a(const struct rtc *rtc, uint64_t now)
{
    bool updating = !is_stopped(rtc) && next_second(rtc, now) - now <= UPDATE_WARNING;
    return rtc->cmos[REGISTER_A] | (updating ? A_UPDATING : 0);
}

static uint8_t read_data(struct rtc *rtc)
{
    uint64_t now = clock_now(rtc->clock);
    uint8_t value;
    switch (rtc->index) {
    case REGISTER_A:
        return read_register_a(rtc, now);
    case REGISTER_C:
        collect_flags(rtc, now);
        value = rtc->cmos[REGISTER_C];
        rtc->cmos[REGISTER_C] = 0;
        interrupt_line_set(&rtc->irq, false);
        schedule(rtc, now);
        return value;
    default:
        if (is_time_register(rtc->index) && !is_stopped(rtc))
            encode_time(rtc, time_at(rtc, now));
        return rtc->cmos[rtc->index];
    }
}

// Register A or B changes: stops or starts the clock where they say so. Stopping by SET keeps the
// phase of the seconds, holding the divider does not.
static void write_control(struct rtc *rtc, uint64_t now, uint8_t value)
{
    bool stopped = is_stopped(rtc);
    bool held = divider_held(rtc);
    if (!stopped)
        encode_time(rtc, time_at(rtc, now));
    if (rtc->index == REGISTER_A)
        value &= (uint8_t)~A_UPDATING;
    else if (value & B_SET)
        value &= (uint8_t)~B_UPDATE; // SET clears the update-ended enable
    rtc->cmos[rtc->index] = value;
    if (held && !divider_held(rtc))
        rtc->epoch = (int64_t)now - (int64_t)DIVIDER_START;
    if (stopped && !is_stopped(rtc)) {
        rtc->epoch += seconds_passed(rtc, now) * (int64_t)NANOSECONDS;
        rtc->base = decode_time(rtc);
    }
}

static void write_time(struct rtc *rtc, uint64_t now, uint8_t value)
{
    bool running = !is_stopped(rtc);
    if (running)
        encode_time(rtc, time_at(rtc, now));
    rtc->cmos[rtc->index] = value;
    if (running)
        rtc->base = decode_time(rtc) - seconds_passed(rtc, now);
}

static void write_data(struct rtc *rtc, uint8_t value)
{
    uint64_t now = clock_now(rtc->clock);
    collect_flags(rtc, now);
    if (rtc->index == REGISTER_A || rtc->index == REGISTER_B)
        write_control(rtc, now, value);
    else if (is_time_register(rtc->index))
        write_time(rtc, now, value);
    else if (rtc->index != REGISTER_C && rtc->index != REGISTER_D)
        rtc->cmos[rtc->index] = value;
    if (rtc->index <= REGISTER_D || rtc->index == CENTURY) {
        collect_flags(rtc, now);
        schedule(rtc, now);
    }
}

static uint64_t rtc_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct rtc *rtc = CONTAINER_OF(device, struct rtc, device);
    return reg == 0 ? 0xff : read_data(rtc); // the index is write-only
}

static void rtc_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)size;
    struct rtc *rtc = CONTAINER_OF(device, struct rtc, device);
    if (reg == 0)
        rtc->index = value & (RTC_BYTES - 1); // bit 7 masks NMIs, which nothing raises
    else
        write_data(rtc, (uint8_t)value);
}

// A reset of the machine: interrupts off, the clock and the memory are battery-backed.
static void rtc_reset(struct device *device)
{
    struct rtc *rtc = CONTAINER_OF(device, struct rtc, device);
    rtc->index = 0;
    rtc->cmos[REGISTER_B] &= (uint8_t) ~(B_PERIODIC | B_ALARM | B_UPDATE);
    rtc->cmos[REGISTER_C] = 0;
    timer_stop(&rtc->timer);
    interrupt_line_set(&rtc->irq, false);
}

static const struct device_ops rtc_ops = {"rtc", rtc_read, rtc_write, rtc_reset};

// -- initial contents -----------------------------------------------------------------------

static void put_word(struct rtc *rtc, unsigned index, uint64_t value)
{
    if (value > 0xffff)
        value = 0xffff;
    rtc->cmos[index] = (uint8_t)value;
    rtc->cmos[index + 1] = (uint8_t)(value >> 8);
}

static uint64_t bytes_above(uint64_t bytes, uint64_t floor)
{
    return bytes > floor ? bytes - floor : 0;
}

static void fill_memory_sizes(struct rtc *rtc, uint64_t bytes)
{
    uint64_t low = bytes < 1ull << 32 ? bytes : 1ull << 32;
    uint64_t high = bytes_above(bytes, 1ull << 32) >> 16;
    put_word(rtc, BASE_MEMORY, 640);
    put_word(rtc, EXTENDED_MEMORY, bytes_above(low, 1 << 20) >> 10);
    put_word(rtc, EXTENDED_MEMORY_2, bytes_above(low, 1 << 20) >> 10);
    put_word(rtc, MEMORY_ABOVE_16M, bytes_above(low, 16 << 20) >> 16);
    put_word(rtc, MEMORY_ABOVE_4G, high & 0xffff);
    rtc->cmos[MEMORY_ABOVE_4G + 2] = (uint8_t)(high >> 16);
}

static void fill_checksum(struct rtc *rtc)
{
    unsigned sum = 0;
    for (unsigned i = CHECKSUM_FIRST; i <= CHECKSUM_LAST; i++)
        sum += rtc->cmos[i];
    rtc->cmos[CHECKSUM] = (uint8_t)(sum >> 8); // the high byte comes first here
    rtc->cmos[CHECKSUM + 1] = (uint8_t)sum;
}

enum status rtc_init(struct rtc *rtc, struct clock *clock, int64_t start_time,
                     uint64_t memory_bytes)
{
    *rtc = (struct rtc){.device = {&rtc_ops}, .clock = clock};
    rtc->base = start_time < 0 || start_time > LATEST_TIME ? 0 : start_time;
    rtc->cmos[REGISTER_A] = A_DEFAULT;
    rtc->cmos[REGISTER_B] = B_24_HOURS;
    rtc->cmos[REGISTER_D] = D_VALID;
    rtc->cmos[EQUIPMENT] = 0x02; // coprocessor, no display, no diskette
    fill_memory_sizes(rtc, memory_bytes);
    fill_checksum(rtc);
    encode_time(rtc, rtc->base);
    return clock_add_timer(clock, &rtc->timer, timer_expired);
}
