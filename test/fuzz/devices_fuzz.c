// SPDX-License-Identifier: MIT
// Fuzzes the platform's devices: port accesses of all sizes, passing time, typed input, interrupts
// taken and resets, as the input bytes say. Build for libFuzzer with clang -fsanitize=fuzzer; the
// host test test_devices_random.c runs the same function on repeatable random bytes.
#include "test/fuzz/devices_fuzz.h"

#include <stdlib.h>
#include "vmm/devices/platform.h"

#define HOLE_PORT 0x1234u // nothing is ever there

struct fuzz {
    const uint8_t *data;
    size_t size;
    uint64_t tsc;
    uint64_t end_tsc; // 31 years after the start
    size_t typed;     // bytes the source still has
    size_t taken;     // bytes the devices took from it
    struct platform platform;
};

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void output(void *context, uint8_t byte)
{
    (void)context;
    (void)byte;
}

static int input(void *context, bool take)
{
    struct fuzz *fuzz = context;
    if (fuzz->typed == 0)
        return -1;
    fuzz->typed -= take;
    fuzz->taken += take;
    return (int)(fuzz->typed & 0xff);
}

// The next `bytes` (1 to 8) of input as a number; zeros at its end.
static uint64_t next(struct fuzz *fuzz, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && fuzz->size > 0; i++, fuzz->size--)
        value = value << 8 | *fuzz->data++;
    return value;
}

// Mostly a port where something is, else any.
static uint16_t next_port(struct fuzz *fuzz)
{
    static const uint16_t ports[] = {
        0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,  0x42,  0x43,  0x60,
        0x61,  0x64,  0x70,  0x71,  0x80,  0x92,  0xe9,  0xf4,  0x3f8, 0x3f9, 0x3fa,
        0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x600, 0x602, 0x604, 0x608, 0xcf9, 0x8900,
    };
    uint8_t choice = (uint8_t)next(fuzz, 1);
    if (choice >= 0xf8)
        return (uint16_t)next(fuzz, 2);
    return ports[choice % ARRAY_COUNT(ports)];
}

static void access_port(struct fuzz *fuzz, uint8_t operation)
{
    static const uint8_t sizes[8] = {1, 1, 1, 1, 1, 2, 4, 3};
    unsigned size = sizes[operation >> 4 & 7];
    uint16_t port = next_port(fuzz);
    if (operation & 0x80) {
        uint32_t value = platform_port_read(&fuzz->platform, port, size);
        REQUIRE(size == 3 || size == 4 || value >> (8 * size) == 0);
    } else {
        platform_port_write(&fuzz->platform, port, size, (uint32_t)next(fuzz, size));
    }
}

static void pass_time(struct fuzz *fuzz)
{
    unsigned shift = (unsigned)next(fuzz, 1) % 48; // up to about a day at 1 GHz
    uint64_t ticks = next(fuzz, 1) << shift;
    if (ticks > fuzz->end_tsc - fuzz->tsc)
        return; // nanoseconds in 64 bits end after 584 years
    fuzz->tsc += ticks;
    platform_set_time(&fuzz->platform, fuzz->tsc);
    platform_run_timers(&fuzz->platform);
    // A timer may have re-armed itself in the past, but that must come to an end.
    for (unsigned i = 0; clock_is_due(&fuzz->platform.clock); i++) {
        REQUIRE(i < 16);
        platform_run_timers(&fuzz->platform);
    }
}

static void take_interrupts(struct fuzz *fuzz)
{
    unsigned limit = (unsigned)next(fuzz, 1);
    for (unsigned i = 0; i < limit && platform_interrupt_pending(&fuzz->platform); i++)
        platform_interrupt_acknowledge(&fuzz->platform);
}

static void step(struct fuzz *fuzz)
{
    uint8_t operation = (uint8_t)next(fuzz, 1);
    switch (operation & 0x0f) {
    case 0:
    case 1:
        pass_time(fuzz);
        break;
    case 2:
        take_interrupts(fuzz);
        break;
    case 3:
        fuzz->typed += next(fuzz, 1);
        platform_input_ready(&fuzz->platform);
        break;
    case 4:
        if (operation == 0x44)
            platform_reset(&fuzz->platform);
        else if (operation == 0x54)
            acpi_pm_press_power_button(&fuzz->platform.acpi_pm);
        else if (operation == 0x64)
            platform_interrupt_acknowledge(&fuzz->platform); // asked for or not
        break;
    default:
        access_port(fuzz, operation);
        break;
    }
}

// What holds whatever the guest does.
static void check(struct fuzz *fuzz)
{
    struct platform *platform = &fuzz->platform;
    const struct pic_chip *master = &platform->pic.chip[0];
    const struct pic_chip *slave = &platform->pic.chip[1];
    uint64_t deadline = platform_next_deadline(platform);
    REQUIRE(platform_port_read(platform, HOLE_PORT, 4) == UINT32_MAX);
    REQUIRE(deadline == 0 || deadline >= platform->clock.start_tsc);
    REQUIRE(platform->uart.rx_count + platform->uart.held_count <= UART_FIFO ||
            platform->uart.from_loop);
    REQUIRE(platform->uart.rx_count <= UART_FIFO && platform->uart.held_count <= UART_FIFO);
    REQUIRE(platform->pit.missed <= PIT_HZ / 2);
    REQUIRE(!(master->elcr & 0x07) && !(slave->elcr & 0x21));
    REQUIRE(!slave->output == !(master->lines & 4));
    REQUIRE(platform->acpi_pm.pm1_control & 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *fuzz = calloc(1, sizeof(*fuzz));
    REQUIRE(fuzz != NULL);
    fuzz->data = data;
    fuzz->size = size;
    fuzz->tsc = 1000;
    const struct platform_config config = {
        .tsc = 1000,
        .tsc_hz = 1000000 + next(fuzz, 4) * 3,
        .start_time = (int64_t)next(fuzz, 5),
        .memory_bytes = next(fuzz, 5),
        .context = fuzz,
        .console_output = output,
        .console_input = input,
    };
    fuzz->end_tsc = config.tsc + config.tsc_hz * NANOSECONDS;
    REQUIRE(platform_init(&fuzz->platform, &config) == STATUS_OK);
    while (fuzz->size > 0) {
        step(fuzz);
        check(fuzz);
    }
    free(fuzz);
    return 0;
}
