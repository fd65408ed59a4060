// SPDX-License-Identifier: MIT
// Fuzzes the platform's devices, with local APICs or without: port, memory and MSR accesses of all
// sizes, passing time, typed input, interrupts taken and resets, as the input bytes say. The host
// test test_devices_random.c runs the same function on repeatable random bytes.
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
        0x20,  0x21,  0xa0,  0xa1,  0x4d0, 0x4d1, 0x40,  0x41,   0x42,   0x43,   0x60,
        0x61,  0x64,  0x70,  0x71,  0x80,  0x92,  0xe9,  0xf4,   0x3f8,  0x3f9,  0x3fa,
        0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x600, 0x602, 0x604,  0x608,  0xcf9,  0x8900,
        0xcf8, 0xcfc, 0xe0,  0xe2,  0xe4,  0x510, 0x511, 0x2000, 0x2009, 0x2017,
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

// Registers of the local APIC, the I/O APIC and the I/O RAM, and what lies around them.
static void access_memory(struct fuzz *fuzz, uint8_t operation)
{
    static const uint32_t bases[4] = {LOCAL_APIC_ADDRESS, IO_APIC_ADDRESS, IO_RAM_ADDRESS,
                                      IO_RAM_ADDRESS + IO_RAM_BYTES - 4};
    uint32_t processors = fuzz->platform.processors;
    uint8_t where = (uint8_t)next(fuzz, 1);
    struct mmio_bus *bus =
        processors > 0 ? &fuzz->platform.processor[where % processors].mmio : &fuzz->platform.mmio;
    uint64_t address = bases[where >> 3 & 3] + (next(fuzz, 1) << (where & 0x80 ? 4 : 0));
    unsigned size = 1u << (where >> 5 & 3);

    if (operation & 0x80)
        REQUIRE(size == 8 || mmio_bus_read(bus, gpa(address), size) >> (8 * size) == 0);
    else
        mmio_bus_write(bus, gpa(address), size, next(fuzz, size));
}

// What a processor does with its own local APIC: MSRs, base, priority, timer, interrupts.
static void use_local_apic(struct fuzz *fuzz, uint8_t operation)
{
    if (fuzz->platform.processors == 0)
        return;
    uint8_t which = (uint8_t)next(fuzz, 1);
    struct platform_processor *processor =
        &fuzz->platform.processor[which % fuzz->platform.processors];
    struct local_apic *apic = &processor->apic;
    uint64_t value;

    switch (operation >> 5) {
    case 0:
        (void)!local_apic_read_msr(apic, which & 0x3f, &value);
        break;
    case 1:
        (void)!local_apic_write_msr(apic, which & 0x3f, next(fuzz, 8));
        break;
    case 2:
        (void)!platform_set_apic_base(&fuzz->platform, apic,
                                      LOCAL_APIC_ADDRESS ^ next(fuzz, 2) << (which & 0x20));
        break;
    case 3:
        local_apic_set_task_priority(apic, (uint32_t)next(fuzz, 1) & 15);
        break;
    case 4:
        local_apic_set_deadline(apic, next(fuzz, 8));
        break;
    case 5:
        if (platform_processor_pending(&fuzz->platform, apic) &&
            (apic->attention & APIC_ATTENTION_VECTOR || local_apic_passes_pic(apic)))
            (void)platform_processor_acknowledge(&fuzz->platform, apic);
        break;
    case 6:
        local_apic_init_signal(apic);
        break;
    default:
        local_apic_run_timer(apic);
        break;
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
    case 5:
    case 6:
        access_memory(fuzz, operation);
        break;
    case 7:
    case 8:
        use_local_apic(fuzz, operation);
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
        .processors = (uint32_t)next(fuzz, 1) % 5,
        .ticks_per_count = 1 + (uint32_t)next(fuzz, 1),
        .physical_bits = 40,
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
