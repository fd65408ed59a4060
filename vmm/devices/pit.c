// SPDX-License-Identifier: MIT
// The 8254 timer and system control port B. See pit.h for how late ticks are treated; counting
// follows the 8254 data sheet, "Mode Definitions".
#include "vmm/devices/pit.h"

#define CONTROL_READ_BACK 3u // channel field of the control word

#define READ_BACK_NO_COUNT  0x20u
#define READ_BACK_NO_STATUS 0x10u

#define STATUS_OUT  0x80u
#define STATUS_NULL 0x40u

#define ACCESS_LOW  1u
#define ACCESS_HIGH 2u
#define ACCESS_BOTH 3u

#define PORT_B_GATE    0x01u
#define PORT_B_WRITE   0x0fu
#define PORT_B_REFRESH 0x10u
#define PORT_B_OUT     0x20u
#define REFRESH_TICKS  18u // channel 1 of a PC asks for a refresh every 15 microseconds

static uint64_t pit_now(const struct pit *pit)
{
    return clock_now_ticks(pit->clock, PIT_HZ);
}

static bool is_periodic(const struct pit_channel *channel)
{
    return channel->mode == 2 || channel->mode == 3;
}

static uint32_t modulus(const struct pit_channel *channel)
{
    return channel->bcd ? 10000 : 65536;
}

static uint64_t elapsed(const struct pit_channel *channel, uint64_t now)
{
    if (!channel->counting)
        return channel->elapsed;
    return now > channel->start ? now - channel->start : 0;
}

// Takes a count that waits for the end of the period, if that has passed.
static void sync(struct pit_channel *channel, uint64_t now)
{
    if (channel->next == 0 || !is_periodic(channel) || !channel->counting ||
        elapsed(channel, now) < channel->count)
        return;
    channel->start += channel->count;
    channel->count = channel->next;
    channel->next = 0;
}

// Level of the OUT pin.
static bool out(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks = elapsed(channel, now);
    uint32_t count = channel->count;
    switch (channel->mode) {
    case 0:
        return channel->loaded && ticks >= count;
    case 1:
        return !channel->counting || ticks >= count;
    case 2:
        return !channel->counting || ticks % count != count - 1;
    case 3:
        return !channel->counting || ticks % count < (count + 1) / 2;
    default:
        return !channel->counting || ticks != count;
    }
}

// The counting element, as a program reads it (0-65535, or 0-9999 before BCD).
static uint32_t counter(const struct pit_channel *channel, uint64_t now)
{
    uint64_t ticks = elapsed(channel, now);
    uint32_t count = channel->count;
    if (count == 0)
        return 0;
    if (channel->mode == 2)
        return (uint32_t)(count - ticks % count) % modulus(channel);
    if (channel->mode == 3) {
        uint64_t in_half = ticks % count;
        uint32_t first_half = (count + 1) / 2;
        if (in_half >= first_half)
            in_half -= first_half;
        return (uint32_t)((count & ~1u) - 2 * in_half) % modulus(channel);
    }
    uint32_t wrapped = (uint32_t)(ticks % modulus(channel));
    return (count + modulus(channel) - wrapped) % modulus(channel);
}

static uint16_t to_bcd(uint32_t value)
{
    return (uint16_t)(value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
                      value / 1000 % 10 << 12);
}

static uint32_t from_bcd(uint32_t value)
{
    return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 +
           (value >> 12 & 15) * 1000;
}

static uint16_t read_counter(struct pit_channel *channel, uint64_t now)
{
    sync(channel, now);
    uint32_t value = counter(channel, now);
    return channel->bcd ? to_bcd(value) : (uint16_t)value;
}

// Begins a run with the count that was written last.
static void start(struct pit_channel *channel, uint64_t now)
{
    if (channel->next != 0)
        channel->count = channel->next;
    channel->next = 0;
    channel->start = now + 1; // the count is taken over at the next clock
    channel->elapsed = 0;
    channel->counting = true;
}

// A count was written completely.
static void load(struct pit_channel *channel, uint64_t now, uint32_t value)
{
    uint32_t count = channel->bcd ? from_bcd(value) % 10000 : value;
    if (count == 0)
        count = modulus(channel);
    if (is_periodic(channel) && count == 1)
        count = 2; // 1 is illegal in these modes
    sync(channel, now);
    if (channel->counting && is_periodic(channel))
        channel->start += elapsed(channel, now) / channel->count * channel->count;
    bool begin = !channel->counting || channel->mode == 0 || channel->mode == 4;
    channel->next = count;
    channel->loaded = true;
    if (channel->mode == 1 || channel->mode == 5)
        begin = false; // the gate triggers these
    if (begin)
        start(channel, now);
    if (!channel->gate && channel->mode != 1 && channel->mode != 5)
        channel->counting = false;
}

// Arms the tick timer for channel 0's next rising edge after a new run began.
static void schedule(struct pit *pit)
{
    const struct pit_channel *channel = &pit->channel[0];
    if (!channel->counting || channel->mode == 1 || channel->mode == 5) {
        timer_stop(&pit->tick_timer);
        return;
    }
    pit->next_tick = channel->start + channel->count + (channel->mode == 4);
    timer_set(&pit->tick_timer, clock_from_ticks(pit->next_tick, PIT_HZ));
}

// Raises `ticks` interrupts: one edge now, the others as the guest acknowledges.
static void raise_ticks(struct pit *pit, uint64_t ticks)
{
    uint32_t limit = PIT_HZ / pit->channel[0].count;
    uint64_t missed = pit->missed + ticks - (pit->unacknowledged ? 0 : 1);
    if (interrupt_line_masked(&pit->irq))
        missed = 0;
    if (missed > limit) {
        pit->coalesced += (uint32_t)(missed - limit);
        missed = limit;
    }
    pit->missed = (uint32_t)missed;
    pit->unacknowledged = true;
    interrupt_line_strobe(&pit->irq);
}

static void tick_expired(struct timer *timer, uint64_t now)
{
    struct pit *pit = CONTAINER_OF(timer, struct pit, tick_timer);
    struct pit_channel *channel = &pit->channel[0];
    uint64_t tick = clock_to_ticks(now, PIT_HZ);
    if (!is_periodic(channel)) {
        interrupt_line_strobe(&pit->irq);
        return;
    }
    sync(channel, tick);
    uint64_t ticks = 1 + (tick - pit->next_tick) / channel->count;
    pit->next_tick += ticks * channel->count;
    raise_ticks(pit, ticks);
    timer_set(timer, clock_from_ticks(pit->next_tick, PIT_HZ));
}

void pit_acknowledged(struct pit *pit)
{
    pit->unacknowledged = false;
    if (pit->missed == 0)
        return;
    pit->missed--;
    pit->unacknowledged = true;
    interrupt_line_strobe(&pit->irq);
}

// Channel 0 starts over: what is owed from the previous programming is void.
static void restart_ticks(struct pit *pit)
{
    pit->missed = 0;
    pit->unacknowledged = false;
    if (pit->channel[0].mode == 0)
        interrupt_line_set(&pit->irq, false); // OUT is low until the terminal count
    schedule(pit);
}

static void write_count(struct pit *pit, unsigned number, uint8_t value)
{
    struct pit_channel *channel = &pit->channel[number];
    uint64_t now = pit_now(pit);
    bool was_running = channel->counting && is_periodic(channel);
    if (channel->access == ACCESS_BOTH && !channel->write_high) {
        channel->write_low = value;
        channel->write_high = true;
        if (channel->mode != 0)
            return;
        channel->counting = channel->loaded = false; // the first byte stops the count
        channel->elapsed = 0;
    } else {
        uint32_t count = value;
        if (channel->access == ACCESS_HIGH)
            count = (uint32_t)value << 8;
        else if (channel->access == ACCESS_BOTH)
            count = (uint32_t)value << 8 | channel->write_low;
        channel->write_high = false;
        load(channel, now, count);
    }
    if (number == 0 && !was_running) // a running period ends as planned
        restart_ticks(pit);
}

static void latch_count(struct pit_channel *channel, uint64_t now)
{
    if (channel->latched != 0)
        return;
    channel->latch = read_counter(channel, now);
    if (channel->access == ACCESS_HIGH)
        channel->latch >>= 8;
    channel->latched = channel->access == ACCESS_BOTH ? 2 : 1;
}

static void latch_status(struct pit_channel *channel, uint64_t now)
{
    if (channel->status_latched)
        return;
    sync(channel, now);
    bool null_count = !channel->loaded || channel->next != 0;
    channel->status =
        (uint8_t)((out(channel, now) ? STATUS_OUT : 0) | (null_count ? STATUS_NULL : 0) |
                  channel->access << 4 | channel->mode << 1 | channel->bcd);
    channel->status_latched = true;
}

static void read_back(struct pit *pit, uint8_t value)
{
    uint64_t now = pit_now(pit);
    for (unsigned i = 0; i < 3; i++) {
        if (!(value >> (i + 1) & 1))
            continue;
        if (!(value & READ_BACK_NO_COUNT))
            latch_count(&pit->channel[i], now);
        if (!(value & READ_BACK_NO_STATUS))
            latch_status(&pit->channel[i], now);
    }
}

static void write_control(struct pit *pit, uint8_t value)
{
    unsigned number = value >> 6;
    if (number == CONTROL_READ_BACK) {
        read_back(pit, value);
        return;
    }
    struct pit_channel *channel = &pit->channel[number];
    uint8_t access = value >> 4 & 3;
    if (access == 0) {
        latch_count(channel, pit_now(pit));
        return;
    }
    uint8_t mode = value >> 1 & 7;
    *channel = (struct pit_channel){
        .access = access,
        .mode = mode > 5 ? mode - 4 : mode, // 6 and 7 are 2 and 3
        .bcd = value & 1,
        .gate = channel->gate,
    };
    if (number != 0)
        return;
    restart_ticks(pit);
    if (channel->mode != 0)
        interrupt_line_set(&pit->irq, true);
}

// What was latched is read first: the status, then the count.
static uint8_t read_latch(struct pit_channel *channel)
{
    if (channel->status_latched) {
        channel->status_latched = false;
        return channel->status;
    }
    channel->latched--;
    uint8_t byte = (uint8_t)channel->latch;
    channel->latch >>= 8;
    return byte;
}

static uint8_t read_count(struct pit *pit, struct pit_channel *channel)
{
    if (UNLIKELY((channel->status_latched | channel->latched) != 0))
        return read_latch(channel);
    uint64_t now = channel->counting ? pit_now(pit) : 0; // one that stands needs no time
    uint16_t value = read_counter(channel, now);
    bool high = channel->access == ACCESS_HIGH;
    if (channel->access == ACCESS_BOTH) {
        high = channel->read_high;
        channel->read_high = !high;
    }
    return (uint8_t)(high ? value >> 8 : value);
}

static void set_gate(struct pit_channel *channel, uint64_t now, bool gate)
{
    if (channel->gate == gate)
        return;
    sync(channel, now);
    bool triggered = channel->mode == 1 || channel->mode == 5;
    if (!gate && channel->counting && !triggered) {
        uint64_t ticks = elapsed(channel, now);
        if (ticks >= modulus(channel)) // past the terminal count for good, the counter wraps
            ticks = modulus(channel) + ticks % modulus(channel);
        channel->elapsed = (uint32_t)ticks;
        channel->counting = false;
    }
    channel->gate = gate;
    if (!gate || !channel->loaded)
        return;
    if (triggered || is_periodic(channel)) {
        start(channel, now);
    } else {
        channel->start = now - channel->elapsed;
        channel->counting = true;
    }
}

static uint64_t read_port_b(struct pit *pit)
{
    uint64_t now = pit_now(pit);
    sync(&pit->channel[2], now);
    return (uint64_t)pit->port_b | (now / REFRESH_TICKS & 1 ? PORT_B_REFRESH : 0) |
           (out(&pit->channel[2], now) ? PORT_B_OUT : 0);
}

static uint64_t pit_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct pit *pit = CONTAINER_OF(device, struct pit, device);
    if (LIKELY(reg < PIT_CONTROL))
        return read_count(pit, &pit->channel[reg]);
    return reg == PIT_PORT_B ? read_port_b(pit) : 0xff; // the control word is write-only
}

static void pit_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)size;
    struct pit *pit = CONTAINER_OF(device, struct pit, device);
    if (reg == PIT_PORT_B) {
        pit->port_b = value & PORT_B_WRITE;
        set_gate(&pit->channel[2], pit_now(pit), value & PORT_B_GATE);
    } else if (reg == PIT_CONTROL) {
        write_control(pit, (uint8_t)value);
    } else {
        write_count(pit, reg, (uint8_t)value);
    }
}

// Nothing counts until it is programmed. Channel 0's output is high, as after a firmware's mode 3.
static void pit_reset(struct device *device)
{
    struct pit *pit = CONTAINER_OF(device, struct pit, device);
    for (unsigned i = 0; i < 3; i++)
        pit->channel[i] = (struct pit_channel){.access = ACCESS_BOTH, .mode = 3, .gate = i != 2};
    timer_stop(&pit->tick_timer);
    pit->port_b = 0;
    pit->missed = pit->coalesced = 0;
    pit->unacknowledged = false;
    interrupt_line_set(&pit->irq, true);
}

static const struct device_ops pit_ops = {"pit", pit_read, pit_write, pit_reset};

enum status pit_init(struct pit *pit, struct clock *clock)
{
    *pit = (struct pit){.device = {&pit_ops}, .clock = clock};
    return clock_add_timer(clock, &pit->tick_timer, tick_expired);
}
